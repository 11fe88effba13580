"""Two models on the same rows: how far apart they are, and whether that could be chance.

In: true labels and the predictions of both, row by row. Out: differences with intervals, p-values, rows needed. Nothing
here knows a file or a run. numpy, scipy.

Rows on which both models agree tell nothing about which is better; all that follows rests on the others. Like any
interval on one test set it takes the rows to be independent, and the two models as they are: another seed is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom, binomtest

from hfft import estimates, image_intervals
from hfft.counts import Counts
from hfft.errors import counted
from hfft.estimates import Estimate
from hfft.intervals import EQUAL, Interval, Statistic, acceleration_of, bca_interval, gathered, wilson
from hfft.records import less_is_better
from hfft.resamples import Sample, sample
from hfft.resamples import told as told_of

MANY = 1000  # rows at which a bootstrap is no longer too sure for their number


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
    groups: np.ndarray | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Every metric of `second` minus `first`: BCa bootstrap over rows, p by approximate randomisation.

    labels, first, second: class indices (n,), or bool (n, classes). statistic: as for `intervals.bca`. groups: (n,),
    rows that are drawn and exchanged together. Bootstrap: rows are drawn in pairs, one multinomial over what truth and
    both models say, Efron 1987. Randomisation: each row's two predictions change places with probability one half
    (Noreen 1989; Yeh 2000), p = (1 + as far apart) / (1 + resamples).
    """
    pairs = sample(labels, [first, second], classes, groups)

    def apart(times: np.ndarray) -> dict[str, np.ndarray]:
        return _apart(*(statistic(pairs.counts(times, who)) for who in (0, 1)))

    points = {name: float(value) for name, value in apart(pairs.times).items()}
    if not points:
        return {}
    draws = gathered(apart(part) for part in pairs.resampled(resamples, seed))
    deleted = gathered(_without_one(pairs, statistic))
    same, by_group = bool((np.asarray(first) == np.asarray(second)).all()), ", drawn by group" * pairs.grouped
    spreads = {}
    for name, point in points.items():
        spread = bca_interval(point, draws[name], acceleration_of(deleted[name], pairs.times), 0.95)
        spreads[name] = spread._replace(method=spread.method + by_group)
    return _tested(pairs, statistic, points, spreads, len(labels), same, resamples, seed)


def image_differences(
    pairs: Sample, statistic: Statistic, n: int, same: bool, resamples: int = 2000, seed: int = 0
) -> dict[str, Difference]:
    """The same of n images with masks. pairs: as of `resamples.of_images`. same: both models answer all pixels alike.

    Images, or groups of them, change places as a whole; intervals are those of `image_intervals.apart`.
    """
    ours, theirs = (statistic(pairs.counts(pairs.times, who)) for who in (0, 1))
    points = {name: float(value) for name, value in _apart(ours, theirs).items()}
    deleted = gathered(_without_one(pairs, statistic))
    spreads = {
        name: image_intervals.apart(point, deleted[name], pairs.times, pairs.grouped) for name, point in points.items()
    }
    return _tested(pairs, statistic, points, spreads, n, same, resamples, seed)


def graded_differences(
    first: Mapping[str, Estimate], second: Mapping[str, Estimate], groups: np.ndarray | None = None
) -> dict[str, Difference]:
    """The same of metrics that rest on probabilities, from each row's pull on both; undefined ones are left out."""
    found, draws = {}, estimates.numbered(groups)
    for name, one in first.items():
        if one.value is not None and second[name].value is not None:
            method = "paired infinitesimal jackknife, normal" + ", clustered by group" * (groups is not None)
            found[name] = Difference(*estimates.apart(one, second[name], draws), len(one.pull), method)
    return found


def careful(apart: Difference, won: int, lost: int, rows: int) -> Difference:
    """A difference that rests on few discordant rows, widened to what so few cannot rule out.

    won, lost: rows that raise the difference, and that lower it.
    Resamples cannot show rows on which the models part if there are none: two models that agree on 50 rows would be
    called equal for certain. So the ends hold Wilson's upper bound for the shares lost and won, of `rows` that may be
    claimed (see `intervals.blind_rows`), and of no more than there are groups.

    >>> round(careful(Difference(0.0, 0.0, 0.0, 1.0, 50, "paired"), 0, 0, 50).low, 3)
    -0.071
    """
    worst, best = (wilson(part / apart.n * rows, rows)[1] for part in (lost, won))
    method = f"{apart.method}, widened for {counted(won + lost, f'discordant {noun(apart.method)}')}"
    return replace(apart, low=min(apart.low, -worst), high=max(apart.high, best), method=method)


def rows_needed(difference: Difference, power: float = 0.8, significance: float = 0.05) -> int | None:
    """Rows at which a difference of this size would show with this power, if rows went on as these; None if it is 0.

    See `rows_for`; the half-width is the mean of both sides.
    """
    if abs(difference.value) <= EQUAL or difference.high - difference.low <= EQUAL:
        return None
    half = (difference.high - difference.low) / 2
    return rows_for(difference.n, half, abs(difference.value), power, significance)


def rows_for(n: int, half: float, gap: float, power: float = 0.8, significance: float = 0.05) -> int:
    """Rows at which an interval leaves out what lies `gap` from the true value, with this power.

    half: half-width of a 95 % interval on n rows. The standard error shrinks with the root of the rows:
    n (z_a/2 + z_b)^2 (se / gap)^2. Rows at which the half-width equals the gap would do it only every other time.
    """
    error = half / float(ndtri(0.975))
    reach = float(ndtri(1 - significance / 2) + ndtri(power))
    return math.ceil(n * (reach * error / gap) ** 2)


def rounded(rows: int) -> str:
    """Two digits, upwards: more would pretend to know.

    >>> rounded(34757)
    '35,000'
    """
    unit = 10 ** max(len(str(rows)) - 2, 0)
    return f"{-(-rows // unit) * unit:,}"


def told(metric: str, apart: Mapping[str, Any]) -> str:
    """A difference {value, low, high} for a sentence: in points of a hundred, or as it is for a loss.

    >>> told("f1_macro", {"value": 0.0312, "low": 0.01, "high": 0.0521})
    '+3.1 points of f1_macro [+1.0, +5.2]'
    """
    if less_is_better(metric):
        return f"{apart['value']:+.4f} of {metric} [{apart['low']:+.4f}, {apart['high']:+.4f}] (less is better)"
    return f"{100 * apart['value']:+.1f} points of {metric} [{100 * apart['low']:+.1f}, {100 * apart['high']:+.1f}]"


def gained(baseline: str, apart: Mapping[str, Any]) -> str:
    """What fine-tuning bought over a baseline on the same rows, or that it cannot be told."""
    points = told(apart["metric"], apart)
    each = noun(apart.get("method", ""))
    chance = f"{each} by {each}, p {'≤' if apart['p'] < 0.001 else '='} {apart['p']:.2g}"
    if apart["p"] >= 0.05 or not apart["value"]:
        return f"It cannot be told whether fine-tuning is better than {baseline}: {points} ({chance}{narrow(apart)})."
    if (apart["value"] > 0) != (less_is_better(apart["metric"])):
        return f"Fine-tuning bought {points} over {baseline} ({chance})."
    return f"Fine-tuning is WORSE than {baseline}: {points} ({chance}). Train longer, or keep the baseline."


def narrow(apart: Mapping[str, Any]) -> str:
    """An aside where the interval leaves 0 out and the test does not: with few rows a bootstrap is too sure."""
    if apart.get("n", 0) >= MANY or apart["low"] <= 0 <= apart["high"]:
        return ""
    return f"; with so few {noun(apart.get('method', ''))}s the interval is too narrow"


def noun(method: str) -> str:
    """What a difference was judged on, by its method: "image" or "row".

    >>> noun("paired jackknife over images, Student's t"), noun("paired BCa bootstrap")
    ('image', 'row')
    """
    return "image" if "images" in method else "row"


def _tested(
    pairs: Sample,
    statistic: Statistic,
    points: Mapping[str, float],
    spreads: Mapping[str, Interval],
    n: int,
    same: bool,
    resamples: int,
    seed: int,
) -> dict[str, Difference]:
    """Differences with their p-values. same: no draw has anything to exchange."""
    swapped = gathered(_exchanged(pairs, statistic, resamples, seed + 1))
    found = {}
    for name, point in points.items():
        far = int((np.abs(swapped[name]) >= abs(point) - EQUAL).sum())
        p = 1.0 if same else (1 + far) / (1 + len(swapped[name]))
        method = f"paired {spreads[name].method}; randomisation, {resamples} resamples"
        found[name] = Difference(point, spreads[name].low, spreads[name].high, p, n, method)
    return found


def _without_one(pairs: Sample, statistic: Statistic) -> Iterator[dict[str, np.ndarray]]:
    """Differences without one draw of each kind in turn."""
    for ours, theirs in zip(pairs.jackknifed(0), pairs.jackknifed(1), strict=True):
        yield _apart(statistic(ours), statistic(theirs))


def _exchanged(pairs: Sample, statistic: Statistic, resamples: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Differences after exchanging each draw's predictions with probability one half."""
    whole = [pairs.counts(pairs.times, who) for who in (0, 1)]
    for kept in pairs.halved(resamples, seed):
        own = [pairs.counts(kept, who) for who in (0, 1)]
        # What a model does not keep of its own it gets from the other one.
        sides = [_merged(own[who], whole[1 - who], own[1 - who]) for who in (0, 1)]
        yield _apart(*(statistic(side) for side in sides))


def _apart(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: theirs[name] - ours[name] for name in ours}


def _merged(own: Counts, whole: Counts, kept: Counts) -> Counts:
    """own + whole - kept."""
    names = told_of(own)
    return replace(own, **{name: getattr(own, name) + getattr(whole, name) - getattr(kept, name) for name in names})
