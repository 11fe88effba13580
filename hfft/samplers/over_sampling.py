"""Every class as often as the largest: rows of smaller classes are shown again and again."""

from __future__ import annotations

import numpy as np

from hfft import draws


def draw(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of one epoch, int: classes times rows of the largest class. labels: class ids, int (n,).

    A row is shown as often as any other of its class, or once more.
    """
    groups = draws.groups(labels)
    most = max(map(len, groups))
    return np.concatenate([draws.evenly(rows, most, rng) for rows in groups])
