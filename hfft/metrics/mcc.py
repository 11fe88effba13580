"""MCC: Matthews correlation coefficient of true and predicted classes, 0 for guessing, 1 for no error, -1 at worst.

With c hits among n rows, t_k rows truly and p_k rows predicted as class k (Gorodkin 2004, eq. 8):
(c n - sum t p) / sqrt((n^2 - sum p^2) (n^2 - sum t^2)); 0 where one class only is true or predicted.

>>> from hfft.counts import count
>>> counts = count(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=2)
>>> round(float(score(counts)["mcc"]), 4)  # (3 x 4 - 8) / sqrt(8 x 6)
0.5774
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion

MULTI_LABEL = False


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"mcc": array (...)} in [-1, 1]."""
    rows = counts.n.astype(float)
    true, guess = counts.support.astype(float), counts.predicted.astype(float)
    above = counts.hits.sum(axis=-1) * rows - (true * guess).sum(axis=-1)
    square = (rows**2 - (guess**2).sum(axis=-1)) * (rows**2 - (true**2).sum(axis=-1))
    return {"mcc": np.where(square > 0, above / np.sqrt(np.maximum(square, 1)), 0.0)}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Nothing."""
    return {}


def proportions(counts: Counts) -> dict[str, Proportion]:
    return {}
