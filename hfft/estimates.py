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
from scipy.special import expit, logit, ndtri, stdtr, stdtrit

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
    if estimate.kind == SHARE:
        trials = len(estimate.pull) if groups is None else _trials(value, error, draws, len(estimate.pull))
        return Interval(*wilson(value * trials, trials, confidence), method)
    if estimate.kind == MEAN:
        reach = student(draws - 1, confidence)
        low, high = (value + error * _abc(skewness / 6, side * reach) for side in (-1, 1))
        return Interval(max(0.0, min(low, value)), max(high, value), method)
    if error <= EQUAL or not 0 < value < 1:
        return widened(Interval(value, value, method), value, min(estimate.trials, draws), confidence)
    reach = student(min(estimate.trials, draws) - 1, confidence) * error / (value * (1 - value))
    return Interval(float(expit(logit(value) - reach)), float(expit(logit(value) + reach)), method)


def apart(first: Estimate, second: Estimate, groups: np.ndarray | None = None) -> tuple[float, float, float, float]:
    """(second - first, low, high, two-sided p) from the pulls of the same rows on both; 95 %, Student's t.

    Draws that all pull alike show no spread: p is then that of as many equal signs, and where it is not small the
    interval reaches as far as a difference can.
    """
    assert first.value is not None and second.value is not None
    value, (error, _, draws) = second.value - first.value, spread(second.pull - first.pull, groups)
    if abs(value) <= EQUAL and error <= EQUAL:
        return value, value, value, 1.0
    if draws < 2 or error <= EQUAL:
        chance, far = 2.0 ** (1 - draws), max(1.0, first.value, second.value)
        return (value, value, value, chance) if chance < 0.05 else (value, value - far, value + far, chance)
    few = (min(first.trials, draws) if first.kind == RANKING else draws) - 1
    reach = student(few) * error
    return value, value - reach, value + reach, float(2 * stdtr(max(few, 1), -abs(value) / error))


def student(degrees: int, confidence: float = 0.95) -> float:
    """How many standard errors an interval reaches to either side when few draws told them."""
    return float(stdtrit(max(degrees, 1), 0.5 + confidence / 2))


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
    worth = value * (1 - value) / error**2 * (Z / student(draws - 1)) ** 2  # see intervals.effective
    return float(min(rows, worth))
