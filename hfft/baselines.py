"""What a score has to be held against: predictors that need no fine-tuning, on the same test rows.

In: training texts or features and labels, test rows. Out: `Predictions` like any model's. scikit-learn only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hfft import thresholds
from hfft.errors import InputError
from hfft.records import Predictions

NAMES = ("majority", "tfidf_linear", "linear_probe", "place")
# Words and pairs kept, the most frequent, and the weights that they may have in all classes together: L-BFGS looks ten
# steps back, and took 300 bytes for each of them.
MOST, WEIGHTS = 200_000, 2_000_000
WORD = r"(?u)\b\w+\b"
SETTINGS = {"C": 10.0, "max_iter": 1000}  # C: little shrinkage, as is usual for tf-idf rows of length one
PROBE = {
    "C": 0.01,
    "max_iter": 1000,
}  # strong shrinkage: standardised features are hundreds, and need little weight each


def majority(
    train: Mapping[str, int], labels: np.ndarray, ids: np.ndarray, names: tuple[str, ...], rows: int | None = None
) -> Predictions:
    """Always the most frequent training class; its scores are the training shares.

    train: class name → training rows. labels: test class indices (n,). ids: (n,). rows: of train, where labels are bool
    (n, classes) and several classes may apply: then what most rows say of each class, which is mostly no.
    """
    shares = np.array([train.get(name, 0) for name in names], dtype=np.float32) / (rows or sum(train.values()))
    scores = np.tile(shares, (len(labels), 1))
    if labels.ndim == 2:
        return Predictions(ids, labels, scores > 0.5, scores, names)
    return Predictions(ids, labels, scores.argmax(axis=1), scores, names)


def tfidf_linear(
    train: list[tuple[str, str]], texts: list[str], labels: np.ndarray, ids: np.ndarray, names: tuple[str, ...]
) -> Predictions:
    """TF-IDF of words and word pairs into logistic regression, with fixed settings: nothing is tuned on any split.

    train: (text, class name) pairs. texts, labels, ids: the test rows, (n,). Raises InputError where no training text
    holds a word.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    _wordy(text for text, _ in train)
    model = make_pipeline(_words(len(names)), LogisticRegression(**SETTINGS))
    model.fit([text for text, _ in train], [label for _, label in train])
    known = {name: place for place, name in enumerate(model.classes_)}
    found = model.predict_proba(texts)
    scores = np.zeros((len(texts), len(names)), dtype=np.float32)
    for place, name in enumerate(names):
        if name in known:
            scores[:, place] = found[:, known[name]]
    return Predictions(ids, labels, scores.argmax(axis=1), scores, names)


def tfidf_tagger(
    train: list[str], given: np.ndarray, texts: list[str], labels: np.ndarray, ids: np.ndarray, names: tuple[str, ...]
) -> Predictions:
    """The same for several classes. train: training texts (m,); given: which classes apply to them, bool (m, classes).

    texts, labels, ids: the test rows. Raises InputError where no training text holds a word.
    """
    _wordy(train)
    words = _words()
    return _tagged(words.fit_transform(train), given, words.transform(texts), SETTINGS, labels, ids, names)


def _tagged(
    train: Any,
    given: np.ndarray,
    rows: Any,
    settings: dict[str, Any],
    labels: np.ndarray,
    ids: np.ndarray,
    names: tuple[str, ...],
) -> Predictions:
    """A logistic regression per class, and a threshold for each as the model has one.

    train, rows: features (m, d), (n, d). Thresholds are tuned on every fifth training row, by regressions fitted to the
    others: against one half, fine-tuning would seem to buy what its thresholds did. Of fewer rows than five none can be
    spared, and one half stays.
    """
    held = np.arange(len(given)) % 5 == 4
    cuts = np.full(len(names), thresholds.HALF)
    if held.any():
        chances = _chances(train[~held], given[~held], train[held], settings)
        cuts = thresholds.tune(Predictions(np.flatnonzero(held), given[held], given[held], chances, names))
    scores = _chances(train, given, rows, settings)
    return thresholds.applied(Predictions(ids, labels, labels, scores, names), cuts)


def _chances(train: Any, given: np.ndarray, rows: Any, settings: dict[str, Any]) -> np.ndarray:
    """Probabilities, float32 (n, classes); a class that no training row has, or every one, is answered by its share."""
    from sklearn.linear_model import LogisticRegression

    scores = np.tile(given.mean(axis=0).astype(np.float32), (rows.shape[0], 1))
    for place, column in enumerate(given.T):
        if 0 < column.sum() < len(column):
            scores[:, place] = LogisticRegression(**settings).fit(train, column).predict_proba(rows)[:, 1]
    return scores


def _wordy(texts: Iterable[str]) -> None:
    if not any(re.search(WORD, text) for text in texts):
        raise InputError("no training text holds a letter or a digit")


def _words(classes: int = 1) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    # One-letter words count too: "I", "u" and numbers carry meaning in short texts.
    most = max(1, min(MOST, WEIGHTS // classes))
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD, max_features=most)


def linear_probe(
    train: np.ndarray,
    given: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    ids: np.ndarray,
    names: tuple[str, ...],
) -> Predictions:
    """Logistic regression on what the pretrained model sees before it is fine-tuned (Alain & Bengio 2016).

    train: features of training rows (m, d). given: their classes, int (m,), or which of several apply, bool (m,
    classes). features, labels, ids: the test rows (n,).
    Settings are fixed; nothing is tuned on any split.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if given.ndim == 2:
        scaler = StandardScaler().fit(train)
        return _tagged(scaler.transform(train), given, scaler.transform(features), PROBE, labels, ids, names)
    model = make_pipeline(StandardScaler(), LogisticRegression(**PROBE))
    model.fit(train, given)
    scores = np.zeros((len(features), len(names)), dtype=np.float32)
    scores[:, np.unique(given)] = model.predict_proba(features)
    return Predictions(ids, labels, scores.argmax(axis=1), scores, names)


def joined(rows: Any) -> list[str]:
    """The texts of rows, a pair as one text: to a bag of words it is one."""
    texts: list[str] = rows["text"][:]
    if "text_pair" not in rows.column_names:
        return texts
    return [f"{first} {second or ''}" for first, second in zip(texts, rows["text_pair"][:], strict=True)]
