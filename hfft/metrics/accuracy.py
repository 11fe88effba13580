"""Accuracy: the share of rows whose predicted class is the true one.

It says little when classes are uneven: always read it beside the share of the most frequent class.

>>> from hfft.counts import count
>>> counts = count(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=2)  # 3 of 4 rows right
>>> float(score(counts)["accuracy"])
0.75
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"accuracy": array (...)}, hits over all rows."""
    return {"accuracy": counts.hits.sum(axis=-1) / np.maximum(counts.n, 1)}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Nothing: the accuracy "of a class" is its recall."""
    return {}


def proportions(counts: Counts) -> dict[str, Proportion]:
    return {"accuracy": Proportion(counts.hits.sum(axis=-1), counts.n)}
