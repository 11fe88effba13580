"""Rows of rare classes are repeated by the square root of how rare they are; no row is left out.

Gupta et al. 2019, "LVIS", section 3.1: a class that a share f of the rows has gets the factor max(1, sqrt(t / f)), a
row the largest factor of its classes.
"""

from __future__ import annotations

import numpy as np

from hfft import draws

MULTI_LABEL = True  # labels may be a number per class


def draw(labels: np.ndarray, rng: np.random.Generator, threshold: float | None = None) -> np.ndarray:
    """Rows of one epoch, int: as many each time, the sum of the rows' factors, rounded.

    labels: class ids, int (n,), or a 0 or 1 per class, (n, classes). threshold: share t below which a class is
    repeated; default: the mean share of the classes that have rows.
    """
    share = labels.mean(axis=0) if labels.ndim == 2 else np.bincount(labels) / len(labels)
    target = share[share > 0].mean() if threshold is None else threshold
    factor = np.maximum(1, np.sqrt(target / np.maximum(share, 1 / len(labels))))
    of_row = factor[labels] if labels.ndim == 1 else np.where(labels > 0, factor, 1).max(axis=1)
    whole = np.floor(of_row)
    every = np.repeat(np.arange(len(labels)), whole.astype(int))
    return np.concatenate([every, draws.extras(of_row - whole, rng)])
