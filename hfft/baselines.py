"""What a score has to be held against: predictors that need no fine-tuning, on the same test rows.

In: training texts or features and labels, test rows. Out: `Predictions` like any model's. scikit-learn only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hfft.records import Predictions

NAMES = ("majority", "tfidf_linear", "linear_probe")
MOST = 200_000  # words and pairs kept, the most frequent: bounds memory on large data


def majority(train: Mapping[str, int], labels: np.ndarray, ids: np.ndarray, names: tuple[str, ...]) -> Predictions:
    """Always the most frequent training class; its scores are the training shares.

    train: class name → training rows. labels: test class indices (n,). ids: (n,).
    """
    shares = np.array([train.get(name, 0) for name in names], dtype=np.float32) / sum(train.values())
    scores = np.tile(shares, (len(labels), 1))
    return Predictions(ids, labels, scores.argmax(axis=1), scores, names)


def tfidf_linear(
    train: list[tuple[str, str]], texts: list[str], labels: np.ndarray, ids: np.ndarray, names: tuple[str, ...]
) -> Predictions:
    """TF-IDF of words and word pairs into logistic regression, with fixed settings: nothing is tuned on any split.

    train: (text, class name) pairs. texts, labels, ids: the test rows, (n,).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # One-letter words count too: "I", "u" and numbers carry meaning in short texts. C=10: little shrinkage, as is
    # usual for tf-idf rows of length one.
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", max_features=MOST)
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000))
    model.fit([text for text, _ in train], [label for _, label in train])
    known = {name: place for place, name in enumerate(model.classes_)}
    found = model.predict_proba(texts)
    scores = np.zeros((len(texts), len(names)), dtype=np.float32)
    for place, name in enumerate(names):
        if name in known:
            scores[:, place] = found[:, known[name]]
    return Predictions(ids, labels, scores.argmax(axis=1), scores, names)


def linear_probe(
    train: np.ndarray,
    given: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    ids: np.ndarray,
    names: tuple[str, ...],
) -> Predictions:
    """Logistic regression on what the pretrained model sees before it is fine-tuned (Alain & Bengio 2016).

    train: features of training rows (m, d). given: their classes, int (m,). features, labels, ids: the test rows (n,).
    Settings are fixed; nothing is tuned on any split.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Strong shrinkage: features are hundreds, and standardised ones need little weight each.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
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
