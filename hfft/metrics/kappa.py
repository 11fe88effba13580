"""Kappa: Cohen's agreement of true and predicted classes beyond what their frequencies alone would give.

(share right - share right by chance) / (1 - share right by chance), with sum t_k p_k / n^2 right by chance (Cohen
1960); 0 where chance is always right, because one class only is true and predicted.

>>> from hfft.counts import count
>>> counts = count(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=2)
>>> float(score(counts)["kappa"])  # (3 / 4 - 1 / 2) / (1 - 1 / 2)
0.5
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion

MULTI_LABEL = False


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"kappa": array (...)}, at most 1."""
    rows = counts.n.astype(float)
    # Whole numbers up to here, times n^2, so that "chance is always right" is seen exactly.
    chance = (counts.support.astype(float) * counts.predicted).sum(axis=-1)
    room = rows**2 - chance
    above = counts.hits.sum(axis=-1) * rows - chance
    return {"kappa": np.where(room > 0, above / np.maximum(room, 1), 0.0)}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Nothing."""
    return {}


def proportions(counts: Counts) -> dict[str, Proportion]:
    return {}
