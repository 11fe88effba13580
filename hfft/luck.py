"""What looking more than once at the same test rows is worth: the best of several equally good models looks too good.

In: a score and how many different models were looked at. Out: points of luck and a wider interval. Nothing here knows
a ledger or a file. numpy, scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

from hfft.intervals import wilson
from hfft.records import Score

# Correlation of two models' errors, row by row, as a share of their variance. Models fine-tuned on the same data err on
# the same rows: right and wrong answers of models at 90 % show 0.51 where what lies behind them correlates at 0.8.
ALIKE = 0.5


@dataclass(frozen=True)
class Luck:
    """models: looked at. independent, alike: by how much the best of them looks too good, errors independent or not.

    low, high: the interval that still holds at 95 % for every one of that many looks (Bonferroni). Units of the score.
    """

    models: int
    independent: float
    alike: float
    low: float
    high: float


def of(score: Score, models: int) -> Luck | None:
    """None for a single model, or for a score without an interval."""
    if models < 2 or score.value is None or score.low is None or score.high is None:
        return None
    error = standard_error(score)
    return Luck(models, best_of(models, error), best_of(models, error, ALIKE), *widened(score, models))


def expected_maximum(k: int) -> float:
    """Expected largest of k independent standard normals: the integral of x k phi(x) Phi(x)^(k - 1).

    >>> [round(expected_maximum(k), 4) for k in (1, 2, 3, 20)]
    [0.0, 0.5642, 0.8463, 1.8675]
    """
    if k < 1:
        raise ValueError(f"expected at least one model, got {k}")

    def weighted(x: float) -> float:
        return float(x * k * np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * ndtr(x) ** (k - 1))

    # Beyond 40 the density is 0 in double precision; the bulk lies within 10 of 0 for any k that fits a disk.
    return 0.0 if k == 1 else float(quad(weighted, -40, 40, points=(-10, 0, 10), limit=200)[0])


def best_of(k: int, error: float, correlation: float = 0.0) -> float:
    """By how much the best of k equally good models exceeds their common true score, in expectation.

    error: standard error of one score. correlation: of two models' errors on the same rows, at least 0. Scores that
    share a part do not differ by it: of k equicorrelated normals the largest is sqrt(1 - correlation) times as far out.

    >>> round(100 * best_of(5, (0.9 * 0.1 / 200) ** 0.5), 1)
    2.5
    """
    return error * float(np.sqrt(1 - correlation)) * expected_maximum(k)


def standard_error(score: Score) -> float:
    """Half of the 95 % interval / 1.96."""
    assert score.low is not None and score.high is not None
    return (score.high - score.low) / (2 * float(ndtri(0.975)))


def widened(score: Score, looks: int) -> tuple[float, float]:
    """Ends at level 1 - 0.05 / looks: exact for a proportion, else each side stretched as a normal's would be.

    Stretched ends stay within 0 and 1 where the 95 % interval and the value do.
    """
    assert score.value is not None and score.low is not None and score.high is not None
    level = 1 - 0.05 / looks
    if score.method == "Wilson" and 0 <= score.value <= 1:
        return wilson(score.value * score.n, score.n, level)
    reach = float(ndtri(0.5 + level / 2) / ndtri(0.975))
    low = score.value - reach * (score.value - score.low)
    high = score.value + reach * (score.high - score.value)
    inside = score.low >= 0 and score.high <= 1
    return (max(low, 0.0), min(high, 1.0)) if inside else (low, high)
