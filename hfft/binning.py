"""How far stated confidence is from what happens: calibration errors, their intervals, and the reliability diagram.

In: confidences, whether they came true, and each one's bin. Out: numbers. numpy, scipy. It must not know a file, nor
what the rows are.

ECE: rows are put into bins by confidence; in each bin the mean confidence is held against the share that came true; the
gaps, weighted by the bins' rows, are summed. Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017. Noise makes gaps, too:
a perfectly calibrated model never shows 0, and the fewer rows the more it shows. See `nulls`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hfft.intervals import Interval, wilson

BINS = 15
RESAMPLES = 1000
SURE = 2.0  # standard errors from which a bin's gap is no noise


def equal_width(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each confidence, int, same shape: bin b is (b / bins, (b + 1) / bins], and 0 is in the first.

    >>> equal_width(np.array([0.0, 0.2, 0.21, 1.0]), 5).tolist()
    [0, 0, 1, 4]
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")


def equal_mass(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each confidence (n,), int: bins of as many rows each as ties allow (Nixon et al. 2019).

    Equal confidences share a bin, so that the order of the rows does not matter.

    >>> equal_mass(np.array([0.1, 0.9, 0.2, 0.8]), 2).tolist()
    [0, 1, 0, 1]
    """
    if not len(confidence):
        return np.zeros(0, dtype=np.int64)
    ranked = np.sort(confidence)
    lasts = [part[-1] for part in np.array_split(ranked, bins) if len(part)]
    return np.searchsorted(np.unique(lasts), confidence, side="left")


def gaps(confidence: np.ndarray, hits: np.ndarray, place: np.ndarray, bins: int) -> np.ndarray:
    """Per bin, (bins,): what came true minus what was stated, as shares of all rows. Their absolute sum is the ECE."""
    return np.bincount(place, weights=hits - confidence, minlength=bins) / max(len(confidence), 1)


def interval(
    confidence: np.ndarray, hits: np.ndarray, place: np.ndarray, units: np.ndarray | None = None, seed: int = 0
) -> Interval:
    """95 % interval (low, high, method) of the ECE that endlessly many rows with these confidences would show.

    Resampling rows does not give it: every resample adds noise to gaps that are noise already, so such an interval
    lies above the truth. Here truths are tried out: a shape of gaps times a factor from 0 upwards. A factor belongs to
    the interval when the ECE that was seen lies within the middle 95 % of what this truth would show. The noise is
    normal, per bin, or drawn by unit where rows belong together. How much of the ECE is noise depends on the shape, so
    each end takes the careful one: the lower end all error in the few bins whose gap is no noise (soft threshold at
    SURE standard errors), the upper end the gaps as seen. The ends are widened to hold the value, which leans high.
    Simulated over seven kinds of miscalibration: it holds the truth in 92 % at 100 rows, 94 % and more from 500 on.
    """
    n, bins = len(confidence), int(place.max()) + 1
    seen = gaps(confidence, hits, place, bins)
    value = float(np.abs(seen).sum())
    if value == 0:
        return Interval(0.0, 0.0, f"no gap in any of {bins} bins")
    noise, spread = _noise(confidence, hits, place, units, np.random.default_rng(seed))
    few = np.sign(seen) * np.maximum(np.abs(seen) - SURE * spread, 0)
    if not few.any():
        few = np.where(np.arange(bins) == np.abs(seen).argmax(), seen, 0)

    def end(shape: np.ndarray, level: float) -> float:
        size = float(np.abs(shape).sum())

        def reached(factor: float) -> bool:
            return bool(np.quantile(np.abs(factor * shape + noise).sum(axis=1), level) >= value)

        return _first(reached, 2 * value / size) * size

    by = f"{n:,} rows" if units is None else f"{int(units.max()) + 1:,} groups"
    method = f"inverted simulation, {len(noise)} draws of {by}"
    return Interval(min(end(few, 0.975), value), min(max(end(seen, 0.025), value), 1.0), method)


def diagram(confidence: np.ndarray, hits: np.ndarray, place: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """The bins that hold rows: {low, high: of the bin, n, confidence: mean, accuracy: {value, low, high, n, method}}.

    Equal-width bins; accuracy with Wilson's interval.
    """
    rows = np.bincount(place, minlength=bins)
    sums = np.bincount(place, weights=confidence, minlength=bins)
    right = np.bincount(place, weights=hits, minlength=bins)
    found = []
    for b in np.flatnonzero(rows):
        n, k = int(rows[b]), float(round(right[b]))
        low, high = wilson(k, n)
        accuracy = {"value": k / n, "low": low, "high": high, "n": n, "method": "Wilson"}
        edges = {"low": b / bins, "high": (b + 1) / bins}
        found.append({**edges, "n": n, "confidence": float(sums[b] / n), "accuracy": accuracy})
    return found


def _noise(
    confidence: np.ndarray, hits: np.ndarray, place: np.ndarray, units: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(draws (RESAMPLES, bins), standard errors (bins,)) of the gaps.

    Residuals about a bin's own gap lack one row's variance; a stated one, c (1 - c), stands in, which is also all there
    is in a bin with a single row.
    """
    n, bins = len(confidence), int(place.max()) + 1
    rows = np.maximum(np.bincount(place, minlength=bins), 1)
    centre = np.bincount(place, weights=hits - confidence, minlength=bins) / rows
    stated = np.bincount(place, weights=confidence, minlength=bins) / rows
    stated = stated * (1 - stated) * (np.bincount(place, minlength=bins) > 0)
    left = hits - confidence - centre[place]
    plain = rng.standard_normal((RESAMPLES, bins))
    if units is None:
        spread = np.sqrt(np.bincount(place, weights=left**2, minlength=bins) + stated) / n
        return plain * spread, spread
    cells = np.bincount(units * bins + place, weights=left, minlength=(int(units.max()) + 1) * bins).reshape(-1, bins)
    spread = np.sqrt((cells**2).sum(axis=0) + stated) / n
    # One covariance for all bins: a group that is right is right in every bin it has rows in.
    values, vectors = np.linalg.eigh(cells.T @ cells + np.diag(stated))
    return plain @ (vectors * np.sqrt(np.maximum(values, 0))).T / n, spread


def _first(reached: Callable[[float], bool], start: float) -> float:
    """The smallest factor >= 0 from which `reached` is true, by doubling and bisection."""
    if reached(0.0):
        return 0.0
    low, high = 0.0, start
    while not reached(high):
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
