"""Means over the folds of cross-validation, with intervals and tests that allow for folds sharing their training rows.

In: one number per fold, and how many rows were held out for each row trained on. Out: mean, spread, interval, p. It
must not know what the numbers are. numpy, scipy.

Two of five folds have three quarters of their training rows in common, so their scores are no five witnesses: their
variance over the number of folds is too small, and a naive t-test calls equal models different too often.
Nadeau and Bengio (2003, Machine Learning 52) take (1 / J + held out / trained on) s² for the variance of a mean of J;
Bouckaert and Frank (2004, PAKDD) the same for k folds dealt r times, J = k r.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Mean:
    """mean, sd (divisor J - 1), least, most: of `values`, one per fold. low, high: interval of the mean, for training
    sets of this size from the same source. p: two-sided, that the true mean is 0.
    """

    mean: float
    sd: float
    least: float
    most: float
    low: float
    high: float
    p: float
    values: list[float]


def mean(values: Sequence[float], ratio: float, level: float = 0.95, bounded: bool = False) -> Mean:
    """values: (J,), two or more. ratio: rows held out per row trained on. bounded: lies between 0 and 1.

    >>> found = mean([0.80, 0.82, 0.78, 0.81, 0.79], 0.25)
    >>> round(found.mean, 3), round(found.sd, 4), round(found.low, 3), round(found.high, 3)
    (0.8, 0.0158, 0.771, 0.829)
    """
    found = np.asarray(values, dtype=float)
    count = len(found)
    if count < 2:
        raise ValueError(f"one value has no spread: expected two or more, got {count}")
    middle, sd = float(found.mean()), float(found.std(ddof=1))
    error = sd * float(np.sqrt(1 / count + ratio))
    half = float(stdtrit(count - 1, 0.5 + level / 2)) * error
    low, high = middle - half, middle + half
    if bounded:
        low, high = max(low, 0.0), min(high, 1.0)
    p = float(2 * stdtr(count - 1, -abs(middle) / error)) if error else float(middle == 0)
    return Mean(middle, sd, float(found.min()), float(found.max()), low, high, p, found.tolist())
