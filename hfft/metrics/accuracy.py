"""Accuracy: the share of rows whose predicted class is the true one.

It says little when classes are uneven: always read it beside the share of the most frequent class. Multi-label: the
share of rows with every label right and none too many, also called subset accuracy.

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
    """{"accuracy": array (...)}, right rows over all rows."""
    return {"accuracy": counts.exact / np.maximum(counts.n, 1)}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Nothing: the accuracy "of a class" is its recall."""
    return {}


def proportions(counts: Counts) -> dict[str, Proportion]:
    return {"accuracy": Proportion(counts.exact, counts.n)}
