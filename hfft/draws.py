"""Drawing rows evenly: as often as asked, and never a row twice more often than another.

In: rows and how many to draw. Out: rows. No torch; it must not know why rows are drawn.
"""

from __future__ import annotations

import numpy as np


def evenly(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of `rows`, int (count,): each of them equally often, and a rest of them once more, at random."""
    whole, rest = divmod(count, len(rows))
    return np.concatenate([np.tile(rows, whole), rng.choice(rows, rest, replace=False)])


def groups(labels: np.ndarray) -> list[np.ndarray]:
    """The rows of each class that has any. labels: class ids, int (n,), or a 0 or 1 per class, (n, classes).

    With several classes per row, a row is in each of its groups, and rows of no class are a group of their own.
    """
    if labels.ndim == 1:
        ends = np.cumsum(np.unique(labels, return_counts=True)[1])
        return np.split(np.argsort(labels, kind="stable"), ends[:-1])
    found = [np.flatnonzero(column) for column in labels.T]
    return [rows for rows in [*found, np.flatnonzero(~labels.astype(bool).any(axis=1))] if len(rows)]


def extras(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows that are shown once more, each with a chance of `shares`, 0 to below 1, (n,); as many each time, none twice.

    Systematic sampling in random order (Madow 1949). The sum is rounded, and the chances go along with it.
    """
    count = int(shares.sum() + 0.5)
    order = rng.permutation(len(shares))
    upto = np.cumsum(_summing(shares, count)[order])
    found = np.searchsorted(upto, rng.random() + np.arange(count), side="right")
    picked: np.ndarray = order[np.minimum(found, len(order) - 1)]
    return picked


def _summing(shares: np.ndarray, count: int) -> np.ndarray:
    """The same chances, scaled to sum up to `count`, none above 1."""
    out = shares.astype(float)
    while count and not np.isclose(out.sum(), count, rtol=1e-9):
        free = out < 1
        out[free] *= (count - np.sum(~free)) / out[free].sum()
        out = np.minimum(out, 1)
    return out
