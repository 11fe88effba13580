"""Every class as often as the smallest: each epoch leaves out other rows of the larger classes."""

from __future__ import annotations

import numpy as np

from hfft import draws


def draw(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of one epoch, int: classes times rows of the smallest class, none twice. labels: class ids, int (n,)."""
    groups = draws.groups(labels)
    least = min(map(len, groups))
    return np.concatenate([draws.evenly(rows, least, rng) for rows in groups])
