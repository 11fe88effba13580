"""Two ways of training over the same seeds and the same rows: how far apart they are on average, allowing for both.

In: a value per seed of each way, and the pull of every row on it. Out: the difference of means, its interval and p.
Nothing here knows a model, a file, or what is compared. numpy, scipy.

Rows and seeds are crossed: every seed's model answers the same rows. The variance of a mean difference is then that of
the rows, seen in pulls averaged over the seeds, plus what the seeds vary beyond it: seeds that part on single rows vary
by those rows, which the first term holds already (variance components of a two-way layout: Searle, Casella & McCulloch
1992, chapter 4; for classifiers over test cases Owen 2007). A few seeds cannot show their own spread, so it is pooled
over all ways of training, which share seeds: the residual variance of the table ways x seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri, ndtri, stdtr, stdtrit

from hfft.estimates import spread, summed
from hfft.intervals import EQUAL

OWN = 0.99  # level of the F test by which a way of training has a spread of its own


@dataclass(frozen=True)
class Apart:
    """value: mean over the seeds of second minus first; low, high; p: two-sided, of no difference. error, freedom: of
    Student's t."""

    value: float
    low: float
    high: float
    p: float
    error: float
    freedom: float


@dataclass(frozen=True)
class Noise:
    """variance: of a difference between two ways of training with one seed, by the seed. freedom: of that number."""

    variance: float
    freedom: float


def pooled(values: np.ndarray) -> Noise:
    """From values (ways, seeds) of two ways or more: twice the residual variance without ways' and seeds' means."""
    ways, seeds = values.shape
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    freedom = (ways - 1) * (seeds - 1)
    return Noise(2 * float((rest**2).sum()) / freedom, float(freedom))


def apart(
    values: np.ndarray, pulls: np.ndarray, noise: Noise, units: np.ndarray | None = None, level: float = 0.95
) -> Apart:
    """values: second minus first, float (seeds,), two seeds or more. pulls: of the rows on each, float (seeds, n).

    noise: see `pooled`; where these values vary more than it allows, their own variance counts. units: int (n,), which
    rows are one draw. Degrees of freedom by Satterthwaite 1946; those of the rows' variance from the kurtosis of their
    pulls, because a few rows on which two models part may be all that it rests on.
    """
    seeds, n = pulls.shape
    value, own = float(values.mean()), float(values.var(ddof=1))
    if own > noise.variance * fdtri(seeds - 1, noise.freedom, OWN):
        noise = Noise(own, seeds - 1.0)
    mean = pulls.mean(axis=0)
    error, _, draws = spread(mean, units)
    rows = error**2
    apiece = np.stack([summed(pull, units) for pull in pulls])
    single = float(apiece.var(axis=0, ddof=1).sum()) / n**2  # of one seed's difference, by rows that seeds part on
    beyond = max(noise.variance - single, 0.0) / seeds
    total = rows + beyond
    if total <= EQUAL**2:
        return Apart(value, value, value, 1.0, 0.0, float(draws))
    shaky = rows**2 / _freedom(summed(mean, units)) + (noise.variance / seeds) ** 2 / noise.freedom * (beyond > 0)
    freedom = max(total**2 / shaky, 1.0)
    wide = total**0.5
    reach = float(stdtrit(freedom, 0.5 + level / 2)) * wide
    p = float(2 * stdtr(freedom, -abs(value) / wide))
    return Apart(value, value - reach, value + reach, p, wide, freedom)


def shown(error: float, freedom: float, significance: float, power: float = 0.8) -> float:
    """The smallest difference that a two-sided test at this level finds with this power."""
    return error * float(stdtrit(freedom, 1 - significance / 2) + ndtri(power))


def macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[float, np.ndarray]:
    """(macro-F1 over the classes that occur, the pull of each row (n,)), its influence function; mean 0.

    F1 of a class is 2 h / (s + p): a hit pulls by 2 - F, being truly or predicted the class by -F, over (s + p) / n.

    >>> value, pull = macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2)
    >>> round(value, 4), round(abs(float(pull.sum())), 9)
    (0.7333, 0.0)
    """
    n, right = len(labels), labels == predicted
    true, said = (np.bincount(part, minlength=classes) for part in (labels, predicted))
    there = true > 0
    f1 = 2 * np.bincount(labels[right], minlength=classes) / np.maximum(true + said, 1)
    weight = np.where(there, n / (there.sum() * np.maximum(true + said, 1)), 0.0)
    pull = 2 * right * weight[labels] - (f1 * weight)[labels] - (f1 * weight)[predicted]
    return float(f1[there].mean()), pull


def recall(labels: np.ndarray, predicted: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """(recall of class k, which occurs; the pull of each row (n,))."""
    own = labels == k
    value = float((predicted == k)[own].mean())
    return value, own * ((predicted == k) - value) * (len(labels) / own.sum())


def _freedom(sums: np.ndarray) -> float:
    """Degrees of freedom of the variance of these, from their kurtosis; those of normal ones are their number."""
    square = float((sums**2).sum())
    kurtosis = len(sums) * float((sums**4).sum()) / square**2 if square > EQUAL**2 else 3.0
    return max(2 * len(sums) / max(kurtosis - 1, 1.0), 1.0)
