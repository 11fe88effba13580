"""A mean over rows and how far it may be from the truth.

In: one number per row and, where rows belong together, the unit of each row. Out: a `Score`. numpy only; it must not
know what is averaged.
"""

from __future__ import annotations

import numpy as np

from hfft.estimates import SHARE, interval, spread, student
from hfft.estimates import mean as pulled
from hfft.records import Score


def mean(values: np.ndarray, units: np.ndarray | None = None, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Score:
    """Mean with Student's 95 % interval; the standard error is that of the units' sums where rows belong together.

    bounds: what the mean can be; the interval is cut there. One unit alone has no spread, so no interval is told.
    Clustered standard error: Liang & Zeger 1986, with the factor units / (units - 1).

    >>> score = mean(np.array([0.0, 1.0, 1.0, 0.0]))
    >>> (score.value, round(score.low, 3), round(score.high, 3), score.n)
    (0.5, -0.419, 1.419, 4)
    """
    n = len(values)
    if n == 0:
        return Score(None, None, None, 0, "undefined: no rows")
    value = float(values.mean())
    error, _, draws = spread(values - value, units)
    if draws < 2:
        return Score(value, None, None, n, f"no interval: {'one row' if units is None else 'one group'}")
    reach = student(draws - 1) * error
    low, high = value - reach, value + reach
    method = "Student's t" if units is None else f"Student's t, clustered by {draws:,} groups"
    return Score(value, min(value, max(low, bounds[0])), max(value, min(high, bounds[1])), n, method)


def loss(each: np.ndarray, units: np.ndarray | None = None) -> Score:
    """Mean loss of the rows (n,), each at least 0, with the interval that the metric of it has (see estimates.py)."""
    if spread(each, units)[2] < 2:
        return mean(each, units)
    found = interval(pulled(each), units)
    return Score(float(each.mean()), found.low, found.high, len(each), found.method)


def share(mask: np.ndarray, units: np.ndarray | None = None) -> Score:
    """The share of True in mask (n,) with Wilson's 95 % interval; rows of one unit are worth less than they are many.

    >>> share(np.array([True, True, False, True])).value
    0.75
    """
    if not len(mask):
        return Score(None, None, None, 0, "undefined: no rows")
    found = interval(pulled(mask, SHARE), units)
    return Score(float(np.mean(mask)), found.low, found.high, len(mask), found.method)
