"""Precision: of the rows predicted to be a class, the share that truly is (positive predictive value).

macro is the plain mean over classes, weighted the mean by true rows; micro is over all rows at once, and equals the
accuracy when each row has one class. A class that is never predicted counts as 0 in the means: not finding it is no
success.

>>> from hfft.counts import count
>>> counts = count(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=2)
>>> per_class(counts)["precision"].tolist()  # class 0: 2 of 2 right; class 1: 1 of 2
[1.0, 0.5]
>>> {key: float(value) for key, value in score(counts).items()}
{'precision_macro': 0.75, 'precision_micro': 0.75, 'precision_weighted': 0.875}
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion


def score(counts: Counts) -> dict[str, np.ndarray]:
    """macro, micro and weighted precision, arrays (...); macro runs over all classes in `counts`."""
    each = per_class(counts)["precision"]
    return {
        "precision_macro": counts.mean(each),
        "precision_micro": counts.hits.sum(axis=-1) / np.maximum(counts.predicted.sum(axis=-1), 1),
        "precision_weighted": counts.weighted(each),
    }


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """{"precision": array (..., classes)}; 0 for a class that is never predicted, which cannot have hits either."""
    return {"precision": counts.hits / np.maximum(counts.predicted, 1)}


def proportions(counts: Counts) -> dict[str, Proportion]:
    return {
        "precision_micro": Proportion(
            counts.hits.sum(axis=-1), counts.predicted.sum(axis=-1), undefined="nothing predicted"
        ),
        "precision": Proportion(counts.hits, counts.predicted, undefined="never predicted"),
    }
