"""A learning curve from the answers of models trained on shares of the rows: points, a fitted law, what twice brings.

In: predictions of every share and seed on the same validation rows. Out: plain facts. Knows no run folder and no model.
numpy, scipy.

All models answer the same rows, so what is easy or hard moves all points alike: the covariance comes from a bootstrap
that draws a row for all of them at once. Other training moves each point by itself: with several seeds its variance,
pooled over shares, is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from hfft import intervals, rooms, scoring
from hfft.power_law import LEAST, Fit
from hfft.records import Predictions
from hfft.resamples import sample

RESAMPLES = 2000
WORTH = 0.0005  # a lower end that is told as 0.0 points is 0
FLAT = 0.005  # half a point: whoever hopes for less need not count on more rows
BEYOND = 4.0  # how far the page draws the law, in times the most rows


@dataclass(frozen=True)
class Curve:
    """One metric at K sizes: values (K,), the mean over seeds; covariance (K, K) of them, other rows and seeds in it.

    noise: standard deviation by the training seed; None with one seed.
    """

    values: np.ndarray
    covariance: np.ndarray
    noise: float | None

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Normal 95 % intervals (K,), cut at 0 and 1."""
        reach = float(ndtri(0.975)) * np.sqrt(np.diag(self.covariance))
        return np.clip(self.values - reach, 0.0, 1.0), np.clip(self.values + reach, 0.0, 1.0)


def judged(
    sizes: Sequence[int], parts: Sequence[Sequence[Predictions]], metrics: Sequence[str], lead: str
) -> tuple[dict[str, Any], Fit]:
    """({"n", "points", "curves", "band", "foretold", "verdict"}, the fit of `lead`).

    sizes: training rows of each share. parts: its predictions, one per seed, all on the same rows. metrics: names of
    `Counted` metrics, of which `lead` is a key. points: one per share with {key: {value, low, high}}. curves: key → the
    law and what twice the most rows would bring. band: the lead's score along the law.
    """
    found = curves(parts, metrics)
    fits = {key: Fit(np.array(sizes), 1 - curve.values, curve.covariance) for key, curve in found.items()}
    ends = {key: curve.ends() for key, curve in found.items()}
    points = [
        {
            "rows": int(size),
            "seeds": len(parts[place]),
            "scores": {
                key: {"value": float(curve.values[place])}
                | {name: float(ends[key][side][place]) for side, name in enumerate(("low", "high"))}
                for key, curve in found.items()
            },
        }
        for place, size in enumerate(sizes)
    ]
    told = {key: _told(fit, found[key]) for key, fit in fits.items()}
    facts = {"n": parts[0][0].n, "points": points, "curves": told, "band": _band(fits[lead], sizes)}
    facts["foretold"] = _foretold(sizes, found[lead])
    return facts | {"verdict": _verdict(fits[lead], told[lead]["doubled"])}, fits[lead]


def counted(metrics: Sequence[str]) -> list[str]:
    """Of these the metrics that predicted classes alone decide; accuracy where there is none."""
    return [name for name in metrics if not scoring.is_graded(rooms.find("metrics", name))] or ["accuracy"]


def curves(parts: Sequence[Sequence[Predictions]], metrics: Sequence[str]) -> dict[str, Curve]:
    """Key → its curve, for every metric of the whole split."""
    base, statistic = parts[0][0], scoring.statistic(metrics)
    runs = [run for part in parts for run in part]
    together = sample(base.labels, [run.predicted for run in runs], len(base.names), base.groups)
    full = [together.counts(together.times, model) for model in range(len(runs))]
    values = [statistic(count) for count in full]
    drawn = [
        [statistic(together.counts(times, model)) for model in range(len(runs))]
        for times in together.resampled(RESAMPLES, 0)
    ]
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    # Where models err as good as never, or nearly agree, resamples show no spread: two rows of doubt each, which is
    # Agresti and Coull's variance where there is no error.
    few = min(int(count.wrong) for count in full) < intervals.FEW_ERRORS
    rows = min(min(intervals.blind_rows(count) for count in full) if few else base.n, together.draws)
    doubt = 2.0 / max(rows, 1) ** 2
    found = {}
    for key in values[0]:
        each = np.array([float(value[key]) for value in values])
        draws = np.concatenate([np.stack([np.asarray(d[key], dtype=float) for d in piece]) for piece in drawn], axis=1)
        means = np.stack([draws[owner == place].mean(axis=0) for place in range(len(parts))])
        own = [each[owner == place] for place in range(len(parts))]
        seeds, noise = _by_seed(own)
        covariance = np.cov(means) + np.diag(seeds + doubt)
        found[key] = Curve(np.array([value.mean() for value in own]), covariance, noise)
    return found


def _by_seed(own: Sequence[np.ndarray]) -> tuple[np.ndarray, float | None]:
    """(variance of each share's mean by the seed, widened as Student's t is; SD of one seed or None)."""
    freedom = sum(len(values) - 1 for values in own)
    if not freedom:
        return np.zeros(len(own)), None
    variance = sum(float(((values - values.mean()) ** 2).sum()) for values in own) / freedom
    wider = (float(stdtrit(freedom, 0.975)) / float(ndtri(0.975))) ** 2
    return np.array([variance / len(values) for values in own]) * wider, variance**0.5


def _verdict(fit: Fit, doubled: dict[str, float]) -> str:
    """ "worth", "flat", "falling" or "cannot tell", of what twice the rows would bring."""
    if fit.law.falling:
        return "falling"
    if doubled["low"] >= WORTH:
        return "worth"
    return "flat" if doubled["high"] <= FLAT else "cannot tell"


def _told(fit: Fit, curve: Curve) -> dict[str, Any]:
    law = fit.law
    return {
        "floor": law.floor,
        "scale": law.scale,
        "exponent": law.exponent,
        "misfit": law.misfit,
        "freedom": law.freedom,
        "widened": fit.widened,
        "noise": curve.noise,
        "doubled": asdict(fit.gain(1.0, 2.0)),
    }


def _foretold(sizes: Sequence[int], curve: Curve) -> dict[str, float] | None:
    """What the law fitted without the most rows says of them: {"value", "low", "high", "measured"}; None for three."""
    if len(sizes) <= LEAST:
        return None
    fit = Fit(np.array(sizes[:-1]), 1 - curve.values[:-1], curve.covariance[:-1, :-1])
    ends = fit.level(sizes[-1] / sizes[-2])
    found = {"value": 1 - ends.value, "low": max(1 - ends.high, 0.0), "high": 1 - ends.low}
    return found | {"measured": float(curve.values[-1])}


def _band(fit: Fit, sizes: Sequence[int]) -> list[dict[str, float]]:
    """The score along the law from the fewest rows to BEYOND times the most."""
    parts = [np.geomspace(min(sizes) / max(sizes), 1.0, 25), np.geomspace(1.0, 2.0, 9), np.geomspace(2.0, BEYOND, 9)]
    times = np.unique(np.concatenate(parts).round(9))
    found = [fit.level(float(at)) for at in times]
    return [
        {"rows": float(at * max(sizes)), "value": 1 - ends.value, "low": max(1 - ends.high, 0.0), "high": 1 - ends.low}
        for at, ends in zip(times, found, strict=True)
    ]
