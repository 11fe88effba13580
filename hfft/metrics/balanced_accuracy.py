"""Balanced_accuracy: the plain mean of the classes' recalls, so that every class weighs the same.

The same number as `recall_macro`, under the name people ask for.

>>> from hfft.counts import count
>>> counts = count(labels=[0, 0, 0, 0, 1], predicted=[0, 0, 0, 1, 1], classes=2)
>>> float(score(counts)["balanced_accuracy"])  # (3 / 4 + 1 / 1) / 2
0.875
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"balanced_accuracy": array (...)}, over the classes that occur."""
    return {"balanced_accuracy": counts.mean(counts.hits / np.maximum(counts.support, 1))}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Nothing: it would be the recall."""
    return {}


def proportions(counts: Counts) -> dict[str, Proportion]:
    return {}
