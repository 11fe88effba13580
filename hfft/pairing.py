"""Two models on the same rows: how far apart they are, and whether that could be chance.

In: true labels and the predictions of both, row by row. Out: differences with intervals, p-values, rows needed. Nothing
here knows a file or a run. numpy, scipy.

Rows on which both models agree tell nothing about which is better; all that follows rests on the others. Like any
interval on one test set it takes the rows to be independent, and the two models as they are: another seed is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtri
from scipy.stats import binom, binomtest

from hfft.counts import Counts
from hfft.intervals import CHUNK, EQUAL, Statistic, acceleration_of, bca_interval, gathered, resampled


@dataclass(frozen=True)
class Difference:
    """Second model minus first. low, high: 95 % interval. p: two-sided, of no difference. method: of both."""

    value: float
    low: float
    high: float
    p: float
    n: int
    method: str


def mcnemar(won: int, lost: int) -> tuple[float, float]:
    """(exact, mid-p) two-sided p-values of `won` against `lost` discordant rows; (1, 1) when they are equal.

    McNemar 1947; mid-p: Fagerland, Lydersen & Laake 2013, who find it near the nominal level where the exact test is
    conservative.

    >>> [round(p, 4) for p in mcnemar(9, 2)]
    [0.0654, 0.0386]
    >>> mcnemar(0, 0)
    (1.0, 1.0)
    """
    if won == lost:
        return 1.0, 1.0
    exact = float(binomtest(min(won, lost), won + lost).pvalue)
    return exact, exact - float(binom.pmf(min(won, lost), won + lost, 0.5))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, step-down (Holm 1979), in their order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=float)[order] * np.arange(len(order), 0, -1)
    out = np.empty(len(order))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in out]


def differences(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    classes: int,
    statistic: Statistic,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Every metric of `second` minus `first`: BCa bootstrap over rows, p by approximate randomisation.

    labels, first, second: class indices (n,). statistic: as for `intervals.bca`. Bootstrap: rows are drawn in pairs,
    one multinomial over the joint cells (label, first, second), Efron 1987. Randomisation: each row's two predictions
    change places with probability one half (Noreen 1989; Yeh 2000), p = (1 + as far apart) / (1 + resamples).
    """
    cells = _Joint(labels, first, second, classes)

    def apart(rows: np.ndarray) -> dict[str, np.ndarray]:
        ours, theirs = (statistic(cells.counts(rows, who)) for who in (0, 1))
        return {name: theirs[name] - ours[name] for name in ours}

    points = {name: float(value) for name, value in apart(cells.rows).items()}
    draws = gathered(apart(part) for part in resampled(cells, resamples, seed))
    deleted = gathered(apart(part) for part in _without_one(cells))
    swapped = gathered(_exchanged(cells, statistic, resamples, seed))
    found = {}
    for name, point in points.items():
        spread = bca_interval(point, draws[name], acceleration_of(deleted[name], cells.rows), 0.95)
        far = int((np.abs(swapped[name]) >= abs(point) - EQUAL).sum())
        p = (1 + far) / (1 + len(swapped[name])) if cells.discordant else 1.0
        method = f"paired {spread.method}; randomisation, {resamples} resamples"
        found[name] = Difference(point, spread.low, spread.high, p, int(cells.rows.sum()), method)
    return found


def rows_needed(difference: Difference, power: float = 0.8, significance: float = 0.05) -> int | None:
    """Rows at which a difference of this size would show with this power, if rows went on as these; None if it is 0.

    The standard error shrinks with the root of the rows: n (z_a/2 + z_b)^2 (se / difference)^2, se from the interval.
    """
    if abs(difference.value) <= EQUAL or difference.high - difference.low <= EQUAL:
        return None
    error = (difference.high - difference.low) / (2 * float(ndtri(0.975)))
    reach = float(ndtri(1 - significance / 2) + ndtri(power))
    return math.ceil(difference.n * (reach * error / abs(difference.value)) ** 2)


class _Joint:
    """The non-empty cells (label, first, second): rows (cells,), and how they add up to each model's counts."""

    def __init__(self, labels: np.ndarray, first: np.ndarray, second: np.ndarray, classes: int) -> None:
        code = (np.asarray(labels, dtype=np.int64) * classes + first) * classes + second
        kept, self.rows = np.unique(code, return_counts=True)
        self.classes, self.true = classes, kept // classes**2
        self.guess = (kept // classes % classes, kept % classes)
        self.discordant = int(self.rows[self.guess[0] != self.guess[1]].sum())
        self._support = self._adder(self.true, np.ones(len(kept), dtype=bool))
        self._hits = [self._adder(self.true, self.true == guess) for guess in self.guess]
        self._predicted = [self._adder(guess, np.ones(len(kept), dtype=bool)) for guess in self.guess]

    def _adder(self, owner: np.ndarray, mask: np.ndarray) -> csr_array:
        cell = np.flatnonzero(mask)
        ones = np.ones(len(cell), dtype=np.int64)
        return csr_array((ones, (owner[cell], cell)), shape=(self.classes, len(owner)))

    def counts(self, rows: np.ndarray, who: int) -> Counts:
        """Counts (..., classes) of model `who` (0 or 1) for rows per cell (..., cells)."""
        adders = (self._hits[who], self._support, self._predicted[who])
        return Counts(*(np.ascontiguousarray((adder @ rows.T).T) for adder in adders))


def _without_one(cells: _Joint) -> Iterator[np.ndarray]:
    """Rows per cell without one row of each cell in turn, in parts (some, cells)."""
    step = max(1, CHUNK // max(len(cells.rows), cells.classes))
    for start in range(0, len(cells.rows), step):
        some = np.arange(start, min(start + step, len(cells.rows)))
        part = np.repeat(cells.rows[None], len(some), axis=0)
        part[np.arange(len(some)), some] -= 1
        yield part


def _exchanged(cells: _Joint, statistic: Statistic, resamples: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Differences after exchanging each row's predictions with probability one half."""
    rng = np.random.default_rng(seed + 1)
    step = max(1, CHUNK // max(len(cells.rows), cells.classes))
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), len(cells.rows))
        kept = rng.binomial(cells.rows, 0.5, size=size)
        gone = cells.rows - kept
        sides = []
        for who in (0, 1):
            mine, other = cells.counts(kept, who), cells.counts(gone, 1 - who)
            sides.append(
                statistic(
                    Counts(mine.hits + other.hits, mine.support + other.support, mine.predicted + other.predicted)
                )
            )
        yield {name: sides[1][name] - sides[0][name] for name in sides[0]}
