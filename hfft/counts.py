"""What single-label metrics are made of: hits, support and predicted totals per class.

In: labels and predictions as class indices. Out: `Counts`, whose arrays may carry leading axes, so that a metric
written once works on one test set and on two thousand bootstrap resamples alike. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """hits, support, predicted: (..., classes) rows of the class predicted right, truly of it, predicted as it."""

    hits: np.ndarray
    support: np.ndarray
    predicted: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Rows in all, (...)."""
        return self.support.sum(axis=-1)


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrix (classes, classes), int64: rows true, columns predicted.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(np.asarray(labels) * classes + np.asarray(predicted), minlength=classes * classes)
    return cells.reshape(classes, classes)


def count(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Counts:
    """Counts of one prediction file; arrays of shape (classes,)."""
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    return Counts(
        np.bincount(labels[labels == predicted], minlength=classes),
        np.bincount(labels, minlength=classes),
        np.bincount(predicted, minlength=classes),
    )
