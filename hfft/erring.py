"""Which answers are wrong, how sure the model was of them, and which of them are worth keeping.

In: `Predictions`. Out: places of rows. numpy only; it must not know texts, pictures or files.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from hfft.records import Predictions

EACH = 3  # examples that every confused pair keeps, as far as there is room


def mistakes(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """(places of the rows answered wrongly, int (w,), the model's confidence in each wrong answer, (w,)), surest first.

    Of several classes a row's confidence is that of its surest wrong answer, yes or no.
    """
    labels, predicted, scores = predictions.labels, predictions.predicted, predictions.scores
    if predictions.multi_label:
        sure = answers(predictions).max(axis=1)
        wrong = np.flatnonzero(sure >= 0)
        sure = sure[wrong]
    else:
        wrong = np.flatnonzero(labels != predicted)
        sure = scores[wrong, predicted[wrong]]
    order = np.argsort(-sure, kind="stable")
    return wrong[order], sure[order]


def answers(predictions: Predictions) -> np.ndarray:
    """How sure each wrong answer is, yes or no, of several classes (n, classes); -1 where the answer is right."""
    scores = np.where(predictions.predicted, predictions.scores, 1 - predictions.scores)
    return np.where(predictions.labels == predictions.predicted, -1.0, scores)


def pairs(predictions: Predictions, rows: np.ndarray) -> list[Hashable]:
    """What was taken for what, per row; of several classes there are too many to keep examples of each: all alike."""
    if predictions.multi_label:
        return [None] * len(rows)
    return list(zip(predictions.labels[rows].tolist(), predictions.predicted[rows].tolist(), strict=True))


def first_of_each(kinds: Sequence[Hashable], each: int = EACH) -> np.ndarray:
    """Places in an order of keeping, int (n,): the first row of every kind, the second of every kind … then the rest.

    kinds: of rows that are in an order of worth; that order decides within each round. After `each` rounds all rows
    that are left count alike. A budget that ends early so leaves the fewest kinds without an example.

    >>> first_of_each(["a", "a", "a", "b", "a", "b"], each=2).tolist()
    [0, 3, 1, 5, 2, 4]
    """
    met: dict[Hashable, int] = {}
    rounds = []
    for kind in kinds:
        rounds.append(min(met.get(kind, 0), each))
        met[kind] = met.get(kind, 0) + 1
    return np.argsort(np.array(rounds, dtype=int), kind="stable")
