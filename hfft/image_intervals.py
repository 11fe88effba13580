"""How far a number made of pixels may be from the truth, when the witnesses are images.

In: a `Sample` of images, or groups of images, and what is computed of its counts. Out: intervals. It must not know a
metric or a file. numpy, scipy.

A million pixels of twenty images are twenty witnesses, and a class that three of them hold has three. So each image is
left out in turn (the jackknife: Efron & Stein 1981), and the spread of what is left gives the standard error. With few
images it is not well known itself: Student's t says so, with degrees of freedom that fall where few images carry most
of it (Satterthwaite 1946). Scores lie in [0, 1], so their intervals are made on the logit scale.

benchmarks/mask_intervals.py simulates it: 5 to 100 images, each with a difficulty of its own, and a class that is in
every seventh. These intervals hold the truth in 93 % of the cases or more; the percentile bootstrap and BCa in 50 to
72 % for that class in up to 20 images, and in 78 to 84 % for the mean IoU of 5 images. Nothing can say much of a class
that fewer than WITNESSES images hold: its interval is widened to hold Wilson's for that many trials, which no share of
so many images exceeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import expit, logit, stdtrit

from hfft.counts import Counts
from hfft.intervals import EQUAL, Interval, gathered, wilson
from hfft.resamples import Sample

WITNESSES = 5
METHOD = "jackknife over {}, Student's t"
SCALE = ", logit scale"
ALONE = " alone"  # in a method that can tell nothing


def of(
    sample: Sample, statistic: Callable[[Counts], dict[str, np.ndarray]], witnesses: Mapping[str, int]
) -> dict[str, tuple[float, Interval | None]]:
    """{key: (value, 95 % interval)}; None in its place where there is one image, or group, alone.

    statistic: from `Counts` (..., classes) to {key: array (...)} with values in [0, 1]. witnesses: of each key that is
    about one class, how many draws hold it; of the others that many as `blind` gives are taken, where nothing varies.
    """
    values = {key: float(value) for key, value in statistic(sample.counts(sample.times)).items()}
    if sample.draws < 2:
        return {key: (value, None) for key, value in values.items()}
    deleted = gathered(statistic(part) for part in sample.jackknifed())
    most, method = blind(sample), METHOD.format("groups of images" if sample.grouped else "images") + SCALE
    found: dict[str, tuple[float, Interval | None]] = {}
    for key, value in values.items():
        error, degrees = spread(deleted[key], sample.times)
        trials = witnesses.get(key, sample.draws)
        if error <= EQUAL or not 0 < value < 1:
            interval = _widened(Interval(value, value, method), value, witnesses.get(key, most), sample.grouped)
        else:
            reach = student(degrees) * error / (value * (1 - value))
            low, high = (float(expit(logit(value) + side * reach)) for side in (-1, 1))
            interval = Interval(low, high, method)
            if trials < WITNESSES:
                interval = _widened(interval, value, trials, sample.grouped)
        found[key] = (value, interval)
    return found


def apart(value: float, deleted: np.ndarray, times: np.ndarray, grouped: bool = False) -> Interval:
    """95 % interval of a difference in [-1, 1] from its values without each kind of draw in turn; Student's t."""
    if times.sum() < 2:
        return Interval(-1.0, 1.0, f"one {'group of images' if grouped else 'of the images'}{ALONE}")
    method = METHOD.format("groups of images" if grouped else "images")
    error, degrees = spread(deleted, times)
    reach = student(degrees) * error
    return Interval(max(value - reach, -1.0), min(value + reach, 1.0), method)


def spread(deleted: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """(standard error, degrees of freedom) from the values without one draw of each kind, which occurs `times` each.

    The degrees, 2 n / (kurtosis - 1), are those of a variance that is told by n squares of such kurtosis; at least 1,
    at most n - 1.
    """
    n = int(times.sum())
    pull = deleted - np.average(deleted, weights=times)
    square = float((times * pull**2).sum())
    if n < 2 or square <= EQUAL**2:
        return 0.0, float(max(n - 1, 1))
    kurtosis = n * float((times * pull**4).sum()) / square**2
    degrees = 2 * n / (kurtosis - 1) if kurtosis > 1 + 2 / n else float(n)
    return (square * (n - 1) / n) ** 0.5, min(max(degrees, 1.0), n - 1.0)


def student(degrees: float) -> float:
    """Standard errors from the value to the end of a 95 % interval."""
    return float(stdtrit(degrees, 0.975))


def holders(sample: Sample) -> np.ndarray:
    """Of each class, how many draws truly hold it; int (classes,)."""
    return np.asarray((sample.models[0].support > 0) @ sample.times, dtype=np.int64)


def blind(sample: Sample) -> int:
    """Draws that a value without any spread may claim, such as a perfect score: classes x draws that hold the rarest.

    As `intervals.blind_rows`, for images: one of them that goes wrong costs a class at most its share of the mean.
    """
    found = holders(sample)[sample.occurring]
    return max(1, min(sample.draws, int(len(found) * found.min())))


def _widened(interval: Interval, value: float, trials: int, grouped: bool) -> Interval:
    low, high = wilson(min(max(value, 0.0), 1.0) * trials, trials)
    noun = ("group" if grouped else "image") + "s" * (trials != 1)
    method = f"{interval.method}, widened to Wilson on {trials:,} {noun}"
    return Interval(min(low, interval.low), max(high, interval.high), method)
