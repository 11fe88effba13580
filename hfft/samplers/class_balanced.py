"""Every class equally often, in an epoch of as many rows as train has: large classes are thinned, small ones repeated.

Class-balanced sampling (Kang et al. 2020, "Decoupling representation and classifier", equation 1 with q = 0), by quota
where the paper draws: the shares are the same, and exact. Where several classes may apply, a row is drawn for each of
them, and rows of no class count as one more class (Shen et al. 2016, class-aware sampling).
"""

from __future__ import annotations

import numpy as np

from hfft import draws

MULTI_LABEL = True  # labels may be a number per class


def draw(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of one epoch, int (n,). labels: class ids, int (n,), or a 0 or 1 per class, (n, classes)."""
    groups = draws.groups(labels)
    quota = draws.evenly(np.arange(len(groups)), len(labels), rng)
    counts = np.bincount(quota, minlength=len(groups))
    return np.concatenate([draws.evenly(rows, int(count), rng) for rows, count in zip(groups, counts, strict=True)])
