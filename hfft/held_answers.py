"""Answers to rows held out, by what is fitted on the other rows' features, or texts: no model is trained for them.

In: features or texts of all rows, their classes, and the parts of each fold. Out: `Predictions` of the rows that are
held out, each by models that saw neither it nor a copy of it. scikit-learn, numpy; no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hfft import baselines, transferability
from hfft.records import Predictions

Parts = Sequence[tuple[np.ndarray, np.ndarray]]  # (rows to fit on, rows held out) of each fold, both bool (n,)
Answer = Callable[[np.ndarray, np.ndarray], Predictions]


def joined(parts: Parts, answer: Answer, groups: np.ndarray | None) -> Predictions:
    """The answers of all folds, sorted by id. groups: of all rows, (n,)."""
    found = [replace(answer(fit, held), groups=None if groups is None else groups[held]) for fit, held in parts]
    whole = found[0].joined(*found[1:])
    return whole.where(np.argsort(whole.ids, kind="stable"))


def linear(features: np.ndarray, given: np.ndarray, ids: np.ndarray, names: tuple[str, ...]) -> Answer:
    """A linear probe (Alain & Bengio 2016). features: (n, d). given: int (n,), or bool (n, classes). ids: (n,)."""

    def answer(fit: np.ndarray, held: np.ndarray) -> Predictions:
        if _one_class(given[fit]):
            return majority(given, ids, names)(fit, held)
        return baselines.linear_probe(features[fit], given[fit], features[held], given[held], ids[held], names)

    return answer


def nearest(features: np.ndarray, given: np.ndarray, ids: np.ndarray, names: tuple[str, ...]) -> Answer:
    """The class that most of the nearest rows have, or of several those that at least half of them have."""
    wanted = transferability.targets(given, len(names))

    def answer(fit: np.ndarray, held: np.ndarray) -> Predictions:
        scores = transferability.votes(features[fit], wanted[fit], features[held])
        predicted = scores >= 0.5 if given.ndim == 2 else scores.argmax(axis=1)
        return Predictions(ids[held], given[held], predicted, scores, names)

    return answer


def majority(given: np.ndarray, ids: np.ndarray, names: tuple[str, ...]) -> Answer:
    """The most frequent class of the rows to fit on."""
    wanted = transferability.targets(given, len(names))

    def answer(fit: np.ndarray, held: np.ndarray) -> Predictions:
        counts = dict(zip(names, wanted[fit].sum(0).astype(int).tolist(), strict=True))
        return baselines.majority(counts, given[held], ids[held], names, int(fit.sum()))

    return answer


def words(texts: list[str], given: np.ndarray, ids: np.ndarray, names: tuple[str, ...]) -> Answer:
    """TF-IDF of words and word pairs into logistic regression. Raises InputError where no text holds a word."""
    every = np.array(texts, dtype=object)

    def answer(fit: np.ndarray, held: np.ndarray) -> Predictions:
        told = (given[held], ids[held], names)
        if given.ndim == 2:
            return baselines.tfidf_tagger(every[fit].tolist(), given[fit], every[held].tolist(), *told)
        if _one_class(given[fit]):
            return majority(given, ids, names)(fit, held)
        known = [(text, names[row]) for text, row in zip(every[fit], given[fit], strict=True)]
        return baselines.tfidf_linear(known, every[held].tolist(), *told)

    return answer


def _one_class(given: np.ndarray) -> bool:
    return given.ndim == 1 and len(np.unique(given)) < 2
