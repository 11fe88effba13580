"""Recall: of the rows that truly are a class, the share that was found (sensitivity).

macro is the plain mean over classes, also called balanced accuracy: every class weighs the same. micro and weighted
both equal the accuracy when each row has exactly one class; they are here because people look for them.

>>> from hfft.counts import count
>>> counts = count(labels=[0, 0, 0, 0, 1], predicted=[0, 0, 0, 1, 1], classes=2)
>>> per_class(counts)["recall"].tolist()  # class 0: 3 of 4 found; class 1: 1 of 1
[0.75, 1.0]
>>> {key: float(value) for key, value in score(counts).items()}
{'recall_macro': 0.875, 'recall_micro': 0.8, 'recall_weighted': 0.8}
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion


def score(counts: Counts) -> dict[str, np.ndarray]:
    """macro, micro and weighted recall, arrays (...); macro runs over all classes in `counts`."""
    right = counts.hits.sum(axis=-1) / np.maximum(counts.support.sum(axis=-1), 1)
    return {
        "recall_macro": counts.mean(per_class(counts)["recall"]),
        "recall_micro": right,
        "recall_weighted": right,
    }


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """{"recall": array (..., classes)}; 0 for a class without rows, which cannot have hits either."""
    return {"recall": counts.hits / np.maximum(counts.support, 1)}


def proportions(counts: Counts) -> dict[str, Proportion]:
    right = Proportion(counts.hits.sum(axis=-1), counts.support.sum(axis=-1), undefined="no labels")
    return {
        "recall_micro": right,
        "recall_weighted": right,
        "recall": Proportion(counts.hits, counts.support, undefined="no rows"),
    }
