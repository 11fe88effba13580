"""Sets of classes that hold the right one with a promised probability: split conformal prediction.

In: probabilities, labels and the promised coverage. Out: quantiles, and sets as masks. numpy, scipy. It must not know
where the rows come from; that they are other rows than any that the probabilities were fitted to is the caller's duty.

A row's score says how strange a class looks: 1 - p (LAC: Sadinle, Lei & Wasserman 2019), or the probability of all
classes that look likelier (APS: Romano, Sesia & Candès 2020). A class is in the set unless it looks stranger than the
true classes of 90 % of the calibration rows. With n calibration rows the quantile is the ceil((n + 1) coverage)-th
smallest score; for rows that are exchangeable the sets then hold the truth at least that often (Vovk et al. 2005).

APS is not randomised here: the class itself does not count into its score. So the likeliest class is always in the
set, no dice are needed when the model is used, and coverage may lie above what was promised.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri


def lac(scores: np.ndarray) -> np.ndarray:
    """Scores (n, classes) of every class: 1 - p."""
    return 1.0 - scores.astype(np.float64)


def aps(scores: np.ndarray) -> np.ndarray:
    """Scores (n, classes) of every class: the summed probability of the classes that are likelier than it.

    Equal probabilities rank by class index. The likeliest class has exactly 0.

    >>> aps(np.array([[0.5, 0.2, 0.3]])).tolist()
    [[0.0, 0.8, 0.5]]
    """
    p = scores.astype(np.float64)
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    before = np.zeros_like(ranked)
    np.cumsum(ranked[:, :-1], axis=1, out=before[:, 1:])
    out = np.empty_like(before)
    np.put_along_axis(out, order, before, axis=1)
    return out


def rank_of(n: int, coverage: float) -> int:
    """Which of n sorted scores is the quantile, counting from 1; n + 1 means that there are too few rows.

    >>> rank_of(9, 0.9), rank_of(8, 0.9), rank_of(99, 0.9)
    (9, 9, 90)
    """
    return math.ceil(round((n + 1) * coverage, 9))  # 0.7 * 10 is 7.000000000000001 in floating point


def quantile(strangeness: np.ndarray, coverage: float) -> float:
    """The quantile of the true classes' scores (n,); infinite where n rows are too few: then every class is in.

    >>> quantile(np.arange(1.0, 10.0), 0.9), quantile(np.arange(8.0), 0.9)
    (9.0, inf)
    """
    rank = rank_of(len(strangeness), coverage)
    if rank > len(strangeness):
        return math.inf
    return float(np.partition(strangeness, rank - 1)[rank - 1])


def per_class(strangeness: np.ndarray, labels: np.ndarray, classes: int, coverage: float) -> np.ndarray:
    """A quantile of each class's own rows, (classes,): coverage holds class by class (Mondrian: Vovk et al. 2005)."""
    return np.array([quantile(strangeness[labels == k], coverage) for k in range(classes)])


def rows_needed(coverage: float) -> int:
    """The fewest rows with a finite quantile.

    >>> rows_needed(0.9), rows_needed(0.95)
    (9, 19)
    """
    n = math.ceil(round(coverage / (1 - coverage), 9))
    return max(n, 1)


def sets(strangeness: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """Masks bool (n, classes): the classes in each row's set. threshold: one quantile, or one per class."""
    return strangeness <= threshold


def chance(calibrated: np.ndarray, tested: np.ndarray, coverage: float) -> tuple[float, float]:
    """Between which shares the measured coverage lies with probability 95 % if the promise holds and no scores tie.

    calibrated, tested: rows of each class (classes,), or (1,) for one quantile over all. Quantiles from n rows are
    luck, too: of m tested rows a beta-binomial number (m, k, n + 1 - k) is covered, k = `rank_of` (Vovk 2012);
    several classes are added up as a normal. Too few rows for a quantile cover everything.

    >>> [round(end, 3) for end in chance(np.array([1000]), np.array([1000]), 0.9)]
    [0.873, 0.925]
    """
    from scipy.stats import betabinom  # half a second of every start of `hfft predict`, which needs none

    rows = int(tested.sum())
    ranks = np.array([rank_of(int(n), coverage) for n in calibrated])
    bounded = ranks <= calibrated
    m, k, b = (part[bounded] for part in (tested, ranks, calibrated + 1 - ranks))
    sure = rows - int(m.sum())
    if rows == 0 or not bounded.any():
        return 1.0, 1.0
    if len(m) == 1:
        below = np.cumsum(betabinom.pmf(np.arange(int(m[0]) + 1), m[0], k[0], b[0]))
        low, high = (float(np.searchsorted(below, level)) for level in (0.025, 0.975))
        return (sure + low) / rows, min(sure + high, rows) / rows
    mean, spread = betabinom.mean(m, k, b).sum(), float(ndtri(0.975) * np.sqrt(betabinom.var(m, k, b).sum()))
    return float((sure + mean - spread) / rows), float(min(sure + mean + spread, rows) / rows)
