"""A mean over rows and how far it may be from the truth.

In: one number per row and, where rows belong together, the unit of each row. Out: a `Score`. numpy only; it must not
know what is averaged.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from hfft.intervals import wilson
from hfft.records import Score

Z = float(ndtri(0.975))


def units_of(groups: np.ndarray | None) -> np.ndarray | None:
    """A number per row, int (n,), equal for rows of one group; None where the data has no groups."""
    return None if groups is None else np.unique(groups.astype(str), return_inverse=True)[1]


def summed(values: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """Sums of values (n,) over the rows of each unit; the values themselves where each row is its own unit."""
    return values if units is None else np.bincount(units, weights=values)


def mean(values: np.ndarray, units: np.ndarray | None = None, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Score:
    """Mean with a normal 95 % interval; the standard error is that of the units' sums where rows belong together.

    bounds: what the mean can be; the interval is cut there. One unit alone has no spread, so no interval is told.
    Clustered standard error: Liang & Zeger 1986, with the factor units / (units - 1).

    >>> score = mean(np.array([0.0, 1.0, 1.0, 0.0]))
    >>> (score.value, round(score.low, 3), round(score.high, 3), score.n)
    (0.5, -0.066, 1.066, 4)
    """
    n = len(values)
    if n == 0:
        return Score(None, None, None, 0, "undefined: no rows")
    value = float(values.mean())
    pulls = summed(values - value, units)
    if len(pulls) < 2:
        return Score(value, None, None, n, f"no interval: {'one row' if units is None else 'one group'}")
    half = Z * float(np.sqrt((pulls**2).sum() * len(pulls) / (len(pulls) - 1))) / n
    method = "normal" if units is None else f"normal, clustered by {len(pulls):,} groups"
    return Score(value, min(value, max(value - half, bounds[0])), max(value, min(value + half, bounds[1])), n, method)


def share(mask: np.ndarray, units: np.ndarray | None = None) -> Score:
    """The share of True in mask (n,) with Wilson's 95 % interval.

    Where rows belong together, the interval is Wilson's on as many rows as would tell as much if they were independent
    (Korn & Graubard 1998): n over the design effect, and one per unit where all or none are True.

    >>> share(np.array([True, True, False, True])).value
    0.75
    """
    n, hits = len(mask), int(mask.sum())
    if n == 0:
        return Score(None, None, None, 0, "undefined: no rows")
    if units is None:
        return Score(hits / n, *wilson(hits, n), n, "Wilson")
    size = len(np.unique(units))
    effective = float(size)
    if 0 < hits < n and size > 1:
        pulls = summed(mask - hits / n, units)
        spread = float((pulls**2).sum()) * size / (size - 1) / n
        effective = n / max(spread / (hits / n * (1 - hits / n)), 1.0)
    method = f"Wilson on {effective:,.0f} rows' worth, {size:,} groups"
    return Score(hits / n, *wilson(min(hits / n * effective, effective), effective), n, method)
