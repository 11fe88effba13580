"""What metrics of predicted classes are made of: hits, support and predicted totals per class.

In: labels and predictions. Out: `Counts`, whose arrays may carry leading axes, so that a metric written once works on
one test set and on two thousand bootstrap resamples alike. numpy only.

Single-label: class indices, int (n,). Multi-label: which classes apply, bool (n, classes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """hits, support, predicted: (..., classes) rows of the class predicted right, truly of it, predicted as it.

    right, rows: multi-label only, (...): rows with every label right, and rows in all. occurring: mask (classes,) of
    the classes that averages run over, None for all.

    Of masks, hits, support and predicted count pixels. edges: masks only, (..., classes, 4), boundary pixels: true
    ones, those of them that the prediction's boundary meets, predicted ones, those of them that the true boundary
    meets; None where they were not counted.
    """

    hits: np.ndarray
    support: np.ndarray
    predicted: np.ndarray
    right: np.ndarray | None = None
    rows: np.ndarray | None = None
    occurring: np.ndarray | None = None
    edges: np.ndarray | None = None

    @property
    def multi_label(self) -> bool:
        return self.rows is not None

    @property
    def n(self) -> np.ndarray:
        """Rows in all, (...)."""
        return self.support.sum(axis=-1) if self.rows is None else self.rows

    @property
    def exact(self) -> np.ndarray:
        """Rows whose prediction is right as a whole, (...)."""
        return self.hits.sum(axis=-1) if self.right is None else self.right

    @property
    def wrong(self) -> np.ndarray:
        """Errors, (...): rows with the wrong class; multi-label: labels missed or added."""
        if not self.multi_label:
            return self.n - self.exact
        return (self.support + self.predicted - 2 * self.hits).sum(axis=-1)

    def mean(self, each: np.ndarray) -> np.ndarray:
        """Plain mean (...) of values (..., classes) over the classes that occur in the split."""
        return (each if self.occurring is None else each[..., self.occurring]).mean(axis=-1)

    def weighted(self, each: np.ndarray) -> np.ndarray:
        """Mean (...) of values (..., classes), each class by its true rows."""
        return (each * self.support).sum(axis=-1) / np.maximum(self.support.sum(axis=-1), 1)


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrix (classes, classes), int64: rows true, columns predicted. Single-label.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(np.asarray(labels) * classes + np.asarray(predicted), minlength=classes * classes)
    return cells.reshape(classes, classes)


def of_mask(truth: np.ndarray, answer: np.ndarray, classes: int) -> np.ndarray:
    """The confusion matrix of an image as a row, int64 (classes * classes,): pixels truly t, predicted p at t * K + p.

    truth: int (h, w), negative where a pixel counts nowhere. answer: int (h, w).

    >>> of_mask(np.array([[0, 1, -100]]), np.array([[0, 0, 1]]), 2).tolist()
    [1, 0, 1, 0]
    """
    valid = truth >= 0
    return confusion(truth[valid].astype(np.int64), answer[valid], classes).ravel()


def count(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Counts:
    """Counts of one prediction file; arrays of shape (classes,).

    >>> count(np.array([[True, True]]), np.array([[True, False]]), 2).wrong.tolist()  # one row, one label missed
    1
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.ndim == 2:
        hits, right = (labels & predicted).sum(axis=0), (labels == predicted).all(axis=1).sum()
        return Counts(hits, labels.sum(axis=0), predicted.sum(axis=0), right, np.array(len(labels)))
    return Counts(
        np.bincount(labels[labels == predicted], minlength=classes),
        np.bincount(labels, minlength=classes),
        np.bincount(predicted, minlength=classes),
    )


def of_cells(cells: np.ndarray, edges: np.ndarray | None = None) -> Counts:
    """Counts of confusion matrices (..., classes, classes), rows true, columns predicted; edges as in `Counts`.

    >>> of_cells(np.array([[3, 1], [0, 2]])).support.tolist()
    [4, 2]
    """
    cells = np.asarray(cells)
    return Counts(np.diagonal(cells, axis1=-2, axis2=-1), cells.sum(-1), cells.sum(-2), edges=edges)
