"""Whether some rows are answered worse than the rest, and by how much.

In: which rows were answered rightly, or how well each was in [0, 1], which of them are meant, and perhaps the unit each
row belongs to. Out: p-values and differences. numpy, scipy. It must not know what the rows have in common, nor who
chose them and why.

Rows of a unit (a group) are no independent witnesses. What so many of them are worth is told by a design effect: how
much more a difference of two shares varies than with independent rows. The test is then Fisher's on the rows that are
left after dividing by it; of numbers, such as an image's own IoU, it is Welch's on a variance multiplied by it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtr
from scipy.stats import hypergeom

from hfft.records import Score


class Split(NamedTuple):
    """Rows and wrong rows of a slice, and of all."""

    rows: int
    wrong: int
    n: int
    errors: int


def weaker(right: np.ndarray, mask: np.ndarray, units: np.ndarray | None, likeness: float = 0.0) -> tuple[float, float]:
    """One-sided (exact, mid-p) p-values of the rows of `mask` being right as often as the others, or more often.

    right, mask: bool (n,). units: int (n,), or None where each row is its own. likeness: as `alike` gives it; of no
    account without units. Fisher's exact test; (1, 1) where either side has no rows or but one unit, and where nothing
    or all is right.

    >>> tea = np.array([True, True, True, False, True, False, False, False])
    >>> round(weaker(~tea, np.repeat([True, False], 4), None)[0], 4)  # Fisher 1935: 17 of 70
    0.2429
    """
    found = Split(int(mask.sum()), int((mask & ~right).sum()), len(right), int((~right).sum()))
    if found.rows in (0, found.n) or found.errors in (0, found.n):
        return 1.0, 1.0
    effect = 1.0 if units is None else design_effect(right, mask, units, likeness)
    return _fisher(found, effect) if math.isfinite(effect) else (1.0, 1.0)


def lower(values: np.ndarray, mask: np.ndarray, units: np.ndarray | None, likeness: float = 0.0) -> float:
    """One-sided p-value of the numbers (n,) of `mask` being as large on average as the others, or larger.

    Welch 1947. units, likeness: as for `weaker`; the variance and the degrees of freedom then are those of as many rows
    as the units are worth. 1 where either side has fewer than two rows or but one unit, or nothing varies.

    >>> round(lower(np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.9]), np.repeat([True, False], 3), None), 4)
    0.0053
    """
    inside, outside = values[mask], values[~mask]
    if min(len(inside), len(outside)) < 2:
        return 1.0
    effect = 1.0 if units is None else design_effect(values, mask, units, likeness)
    parts = [side.var(ddof=1) / len(side) for side in (inside, outside)]
    if not math.isfinite(effect) or sum(parts) == 0:
        return 1.0
    degrees = sum(parts) ** 2 / sum(p * p / (len(s) - 1) for p, s in zip(parts, (inside, outside), strict=True))
    reach = (outside.mean() - inside.mean()) / math.sqrt(effect * sum(parts))
    return float(stdtr(max(degrees / effect, 1.0), -reach))


def alike(right: np.ndarray, units: np.ndarray | None) -> float:
    """Correlation of two rows of a unit, at least 0: how far knowing one answer tells the other.

    Method of moments over all pairs, each pair once; 1 / (units - 1) of the units' spread is added back for the mean
    that was taken from the same rows.
    """
    if units is None or not 0 < right.mean() < 1:
        return 0.0
    off = right - right.mean()
    varied = right.mean() * (1 - right.mean()) if right.dtype == bool else float((off**2).mean())
    if not varied:
        return 0.0
    sums, sizes = np.bincount(units, off), np.bincount(units)
    pairs, draws = float((sizes * (sizes - 1.0)).sum()), np.count_nonzero(sizes)
    if not pairs or draws < 2:
        return 0.0
    square = float((sums**2).sum())
    shared = square * (1 + 1 / (draws - 1)) - float((off**2).sum())
    return min(max(shared / (pairs * varied), 0.0), 1.0)


def design_effect(right: np.ndarray, mask: np.ndarray, units: np.ndarray, likeness: float) -> float:
    """How much more (slice minus rest) varies than with independent rows; at least 1, infinite for one unit on a side.

    The larger of two: what units with this likeness would do (Kish 1965), which few units cannot hide, and what these
    units do show around the share of their own side (Liang & Zeger 1986), which sees a slice whose units are all of one
    piece where the others are not.
    """
    rows, n = mask.sum(), len(mask)
    fewest = min(len(np.unique(units[mask])), len(np.unique(units[~mask])))
    if fewest < 2:
        return math.inf
    weight = np.where(mask, 1 / rows, -1 / (n - rows))
    plain = 1 / rows + 1 / (n - rows)
    expected = 1 + likeness * (float((np.bincount(units, weight) ** 2).sum()) / plain - 1)
    off = weight * (right - np.where(mask, right[mask].mean(), right[~mask].mean()))
    square = float((off**2).sum())
    seen = float((np.bincount(units, off) ** 2).sum()) / square * fewest / (fewest - 1) if square else 1.0
    return max(1.0, expected, seen)


def gap(part: Score, rest: Score) -> dict[str, float | None]:
    """{value, low, high} of slice minus rest from the score intervals of both: Newcombe 1998, method 10.

    Units that reach into both sides make it too wide, never too narrow.

    >>> from hfft.intervals import wilson
    >>> one, other = (Score(x / n, *wilson(x, n), n, "Wilson") for x, n in ((56, 70), (48, 80)))
    >>> {end: round(number, 4) for end, number in gap(one, other).items()}  # Newcombe's first example
    {'value': 0.2, 'low': 0.0524, 'high': 0.3339}
    """
    if part.value is None or rest.value is None:
        return {"value": None, "low": None, "high": None}
    assert part.low is not None and part.high is not None and rest.low is not None and rest.high is not None
    value = part.value - rest.value
    low = value - math.hypot(part.value - part.low, rest.high - rest.value)
    high = value + math.hypot(part.high - part.value, rest.value - rest.low)
    return {"value": value, "low": low, "high": high}


def visible(share: float, n: float, part: float, level: float, power: float = 0.8) -> float:
    """How much less right a `part` of n rows, of which the others are right with `share`, must be to be seen.

    A test at the one-sided `level` finds it with this `power`. Normal approximation.
    """
    reach = float(ndtri(1 - level)), float(ndtri(power))
    lost = 0.0
    for _ in range(50):  # the spread depends on what is lost: a few rounds settle it
        weak = min(max(share - lost, 0.0), 1.0)
        common = part * weak + (1 - part) * share
        null = math.sqrt(common * (1 - common) * (1 / (part * n) + 1 / ((1 - part) * n)))
        own = math.sqrt(weak * (1 - weak) / (part * n) + share * (1 - share) / ((1 - part) * n))
        lost = reach[0] * null + reach[1] * own
    return lost


def seen(spread: float, n: float, part: float, level: float, power: float = 0.8) -> float:
    """The same of numbers with a standard deviation `spread`: how much lower a part's mean must be."""
    return float(ndtri(1 - level) + ndtri(power)) * spread * math.sqrt(1 / (part * n) + 1 / ((1 - part) * n))


def _fisher(found: Split, effect: float) -> tuple[float, float]:
    """The upper tail of the hypergeometric distribution, of fewer rows where a row is worth less than one."""
    rows, wrong, n, errors = found
    if effect > 1:
        spread = math.sqrt(effect * rows * (n - rows) * errors * (n - errors) / (n * n * (n - 1)))
        surprise = (wrong - rows * errors / n) / spread
        n, rows, errors = max(2, round(n / effect)), max(1, round(rows / effect)), round(errors / effect)
        rows, errors = min(rows, n - 1), min(max(errors, 1), n - 1)
        plain = math.sqrt(rows * (n - rows) * errors * (n - errors) / (n * n * (n - 1)))
        wrong = math.floor(rows * errors / n + surprise * plain + 1e-9)  # as surprising a count, and no more so
    exact = float(hypergeom.sf(wrong - 1, n, errors, rows))
    return exact, exact - float(hypergeom.pmf(wrong, n, errors, rows)) / 2
