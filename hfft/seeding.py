"""One recipe, several training seeds, the same test rows: how much the seed matters, and how much the rows.

In: the scores of the runs. Out: mean, spread and an interval that covers both. Nothing here knows a file, or how the
runs were made. numpy, scipy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtri, ndtri, stdtrit

from hfft.luck import standard_error
from hfft.records import Score, less_is_better

# Ratio of seed noise to row noise below and above which one of them can be neglected.
HARDLY, MOSTLY = 0.5, 2.0


@dataclass(frozen=True)
class Spread:
    """One metric over seeds. mean, sd (divisor seeds - 1), least, most, values: of the runs' scores.

    error: standard error that the test rows alone leave to one score. low, high: 95 % interval of the mean, which
    covers other seeds and other test rows. n: test rows of one run.
    """

    mean: float
    sd: float
    least: float
    most: float
    error: float
    low: float
    high: float
    n: int
    values: list[float]


def spreads(runs: Sequence[Mapping[str, Score]], alike: float = 1.0, confidence: float = 0.95) -> dict[str, Spread]:
    """{metric: spread} of the metrics that every run has a value and an interval for, classes left out.

    alike: see `likeness`; 1 where nothing is known about it, which is the widest.
    """
    if len(runs) < 2:
        return {}
    keys = [key for key in runs[0] if "[" not in key]
    found = {
        key: spread([run[key] for run in runs], alike, confidence) for key in keys if all(key in run for run in runs)
    }
    return {key: made for key, made in found.items() if made}


def likeness(right: np.ndarray) -> float:
    """Mean correlation, over pairs of runs, of which rows they answer right; 1 where it is undefined.

    right: bool (seeds, rows), or what each row is worth to each. It is the share of row noise that runs have in common:
    easy and hard rows are so for all.
    """
    centred = right - right.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1))
    if (size == 0).any():
        return 1.0
    table = (centred / size[:, None]) @ (centred / size[:, None]).T
    seeds = len(right)
    return float(np.clip((table.sum() - seeds) / (seeds * (seeds - 1)), 0.0, 1.0))


def spread(scores: Sequence[Score], alike: float = 1.0, confidence: float = 0.95) -> Spread | None:
    """Of two runs or more; None where one has no value or no interval.

    See `interval`. error is the root of the mean of the runs' squared standard errors.
    """
    if len(scores) < 2 or any(score.value is None or score.low is None for score in scores):
        return None
    values = np.array([score.value for score in scores], dtype=float)
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    errors = np.array([standard_error(score) for score in scores])
    error = float(np.sqrt((errors**2).mean()))
    low, high = interval(mean, sd, error, len(values), alike, confidence)
    if all(score.low >= 0 and score.high <= 1 for score in scores):  # type: ignore[operator]
        low, high = max(low, 0.0), min(high, 1.0)
    rows = max(score.n for score in scores)
    return Spread(mean, sd, float(values.min()), float(values.max()), error, low, high, rows, values.tolist())


def interval(
    mean: float, sd: float, error: float, seeds: int, alike: float = 1.0, confidence: float = 0.95
) -> tuple[float, float]:
    """Ends of the interval of a mean over seeds that allows for other seeds and for other test rows.

    Two half-widths, squared and added. Other seeds: t sd / sqrt(seeds), seeds - 1 degrees of freedom. Other rows: 1.96
    sqrt(alike) error: of the noise of the rows, the part that all runs share. The other part differs from run to run
    and is in sd already; should sd be smaller than it by luck, the interval is at least what the rows alone leave to
    the mean. Exact where either is all there is, in between a little too wide (rows and seeds are crossed effects: Owen
    2007). A bootstrap over three to five seeds is too narrow: so few cannot show their spread, and t can.

    >>> [round(end, 4) for end in interval(0.8, 0.0, 0.01, 5)]
    [0.7804, 0.8196]
    >>> [round(end, 4) for end in interval(0.8, 0.01, 0.0, 5)]
    [0.7876, 0.8124]
    """
    tail = 0.5 + confidence / 2
    reach = float(ndtri(tail)) * error
    both = np.hypot(stdtrit(seeds - 1, tail) * sd / np.sqrt(seeds), reach * np.sqrt(alike))
    half = float(max(both, reach * np.sqrt(alike + (1 - alike) / seeds)))
    return mean - half, mean + half


def sentence(metric: str, found: Spread) -> str:
    """How much the seed matters beside the test rows, in words; said only where all of the SD's interval says so."""
    seeds, loss = len(found.values), less_is_better(metric)
    own, rows, low, high = (
        f"{part:.4f}" if loss else f"{100 * part:.1f}" for part in (found.sd, found.error, *deviation(found))
    )
    apart = f"{metric}: seeds differ by {own}{' points' * (not loss)} (SD over {seeds}, the true one {low} to {high}), "
    ends = f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"
    said = f"{apart}the test rows alone allow {rows}: {_weighed(found)}"
    return f"{said}. Mean {ends}, other seeds and other rows allowed for."


def deviation(found: Spread, confidence: float = 0.95) -> tuple[float, float]:
    """Ends of the chi-square interval of the true SD over seeds, seeds - 1 degrees of freedom.

    Scores move in steps of about 1 / n: seeds that agree to the last row do not show an SD of 0, so it is taken to be
    one step at least.
    """
    freedom, tail = len(found.values) - 1, (1 - confidence) / 2
    squares = freedom * max(found.sd, 1 / max(found.n, 1)) ** 2
    low, high = (float(np.sqrt(squares / chdtri(freedom, part))) for part in (tail, 1 - tail))
    return min(low, found.sd), high


def _weighed(found: Spread) -> str:
    low, high = deviation(found)
    if high < HARDLY * found.error:
        return "the seed hardly matters beside the choice of test rows"
    if low > MOSTLY * found.error:
        return "the seed matters more than the choice of test rows, so a single run says little"
    if low >= HARDLY * found.error and high <= MOSTLY * found.error:
        return "the seed matters about as much as the choice of test rows"
    return f"{len(found.values)} seeds cannot tell which of the two matters more"


def plain(found: Mapping[str, Spread]) -> dict[str, Any]:
    """The same as JSON-able data."""
    return {key: dataclasses.asdict(made) for key, made in found.items()}
