"""Numbers that rest on every row's probabilities, and how far each row pulls them.

In: a value and the pull of each row on it. Out: intervals and paired differences. It knows no metric. numpy, scipy.

The pull of a row is the influence function of the value: value - truth is about the mean of the pulls, so their spread
is the standard error (the infinitesimal jackknife, Jaeckel 1972). One pass over the rows takes the place of thousands
of resamples, rows of a group are added up before squaring, and two models are compared by subtracting their pulls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri, stdtrit

from hfft.intervals import EQUAL, Interval, widened, wilson

Z = float(ndtri(0.975))
SHARE, RANKING, MEAN = "share", "ranking", "mean"
METHODS = {
    SHARE: "Wilson",
    RANKING: "infinitesimal jackknife, logit scale",
    MEAN: "infinitesimal jackknife, corrected for skewness",
}


@dataclass(frozen=True)
class Estimate:
    """value, or None where it is undefined for the reason given. pull: float (n,), mean 0, of each row of the split.

    kind: share (of rows), ranking (in [0, 1], such as AUROC) or mean (of a loss, at least 0). trials: rows that a
    value of exactly 0 or 1, whose pulls are all 0, may claim.
    """

    value: float | None
    pull: np.ndarray
    kind: str
    trials: int = 0
    undefined: str = ""


def mean(each: np.ndarray, kind: str = MEAN) -> Estimate:
    """The mean of a value per row (n,)."""
    each = np.asarray(each, dtype=float)
    if not len(each):
        return Estimate(None, each, kind, 0, "no rows")
    value = float(each.mean())
    return Estimate(value, each - value, kind, len(each))


def average(parts: Sequence[Estimate], undefined: str) -> Estimate:
    """The plain mean of those estimates that are defined, such as a macro average over classes."""
    known = [part for part in parts if part.value is not None]
    if not known:
        return Estimate(None, parts[0].pull * 0, parts[0].kind, 0, undefined)
    value = float(np.mean([part.value for part in known]))
    pull = np.mean([part.pull for part in known], axis=0)
    return Estimate(value, pull, known[0].kind, min(part.trials for part in known))


def interval(estimate: Estimate, groups: np.ndarray | None = None, confidence: float = 0.95) -> Interval:
    """Interval of a defined estimate. groups: int (n,), which rows are one draw; None where each is its own.

    Shares: Wilson on as many trials as independent rows would need for this standard error. Rankings: on the logit
    scale, which keeps it inside [0, 1] (for AUROC, with DeLong's variance: DeLong et al. 1988; Pepe 2003, section 5.2),
    with Student's t for the rarer kind of row, which gives nearly all of the spread. Means: the ABC interval of
    DiCiccio & Efron 1992 for a mean, which is BCa without resampling. In simulations of 2,000 test sets (100 to 600
    rows, 10 to 150 positives) all of them held the truth in 94.5 to 95.7 %.
    """
    assert estimate.value is not None
    value, (error, skewness, draws) = estimate.value, spread(estimate.pull, groups)
    method = METHODS[estimate.kind] + (", clustered by group" if groups is not None else "")
    z = float(ndtri(0.5 + confidence / 2))
    if estimate.kind == SHARE:
        trials = len(estimate.pull) if groups is None else _trials(value, error, draws, len(estimate.pull))
        return Interval(*wilson(value * trials, trials, confidence), method)
    if estimate.kind == MEAN:
        low, high = (value + error * _abc(skewness / 6, side * z) for side in (-1, 1))
        return Interval(max(0.0, min(low, value)), max(high, value), method)
    if error <= EQUAL or not 0 < value < 1:
        return widened(Interval(value, value, method), value, min(estimate.trials, draws), confidence)
    few = max(min(estimate.trials, draws) - 1, 1)
    reach = float(stdtrit(few, 0.5 + confidence / 2)) * error / (value * (1 - value))
    return Interval(float(expit(logit(value) - reach)), float(expit(logit(value) + reach)), method)


def apart(first: Estimate, second: Estimate, groups: np.ndarray | None = None) -> tuple[float, float, float, float]:
    """(second - first, low, high, two-sided p), normal, from the pulls of the same rows on both; 95 %."""
    assert first.value is not None and second.value is not None
    value, (error, _, _) = second.value - first.value, spread(second.pull - first.pull, groups)
    if error <= EQUAL:
        return value, value, value, 1.0 if abs(value) <= EQUAL else 0.0
    return value, value - Z * error, value + Z * error, float(2 * ndtr(-abs(value) / error))


def numbered(groups: np.ndarray | None) -> np.ndarray | None:
    """Group names (n,) as numbers."""
    return None if groups is None else np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]


def summed(pull: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Sums of pulls (n,) over the rows of each group; the pulls themselves where each row is its own."""
    return pull if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], weights=pull)


def spread(pull: np.ndarray, groups: np.ndarray | None) -> tuple[float, float, int]:
    """(standard error of the mean of the pulls, its skewness, draws)."""
    sums = summed(pull, groups)
    draws, square = len(sums), float((sums**2).sum())
    if draws < 2 or square <= EQUAL**2:
        return 0.0, 0.0, draws
    return (square * draws / (draws - 1)) ** 0.5 / len(pull), float((sums**3).sum()) / square**1.5, draws


def _abc(acceleration: float, z: float) -> float:
    """Standard errors from the value to the end of the ABC interval; for a mean, bias correction = acceleration."""
    reach = acceleration + z
    return reach / (1 - acceleration * reach) ** 2


def _trials(value: float, error: float, draws: int, rows: int) -> float:
    if error <= EQUAL:
        return float(draws)
    return float(min(rows, value * (1 - value) / error**2))
