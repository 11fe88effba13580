"""What a perfectly calibrated model with these confidences would show on so many rows.

In: probabilities, answers, bins. Out: calibration errors of simulated labels. numpy, scipy. It must not know the true
labels where rows are independent: labels are drawn from the model's own probabilities, y ~ p, which makes the model
perfectly calibrated, and its calibration error is then nothing but noise. "Miscalibrated" may be said of a value above
95 % of these, and of no other (Vaicenavicius et al. 2019 call this consistency resampling).

Rows of a group are alike beyond what their probabilities say, so independent draws would show too little noise. With
groups the true residuals are kept and each group's change their sign together (wild cluster bootstrap: Cameron, Gelbach
& Miller 2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array

WORK = 150_000_000  # random labels drawn, times classes: about half a second
FEWEST, MOST = 99, 999  # draws; with 99 a test at 5 % is exact, too


@dataclass(frozen=True)
class Cells:
    """Every claim of the model and the bin it lies in; a claim is a probability that something is so.

    stated: probabilities float64 (n, classes). predicted: (n,), or None where a row may have several classes. place:
    (n, classes), the bin of every class's claim, from 0 to bins - 1. tops: kind → bins (n,) of the answer's claim.
    """

    stated: np.ndarray
    predicted: np.ndarray | None
    place: np.ndarray
    bins: int
    tops: dict[str, np.ndarray]

    @property
    def n(self) -> int:
        return len(self.stated)

    @property
    def classes(self) -> int:
        return self.stated.shape[1]


def seen(cells: Cells, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of the true labels: kind → (), and "classes" → (classes,). truth: bool (n, classes)."""
    place, width = _counted_through(cells)
    sums = np.bincount(place.ravel(), weights=(truth - cells.stated).ravel(), minlength=width)
    found = {"classes": np.abs(sums.reshape(cells.classes, -1)).sum(axis=1) / cells.n}
    if cells.predicted is not None:
        each = np.arange(cells.n), cells.predicted
        left = truth[each] - cells.stated[each]
        found |= {kind: np.abs(np.bincount(place, weights=left)).sum() / cells.n for kind, place in cells.tops.items()}
    return found


def shown(
    cells: Cells, truth: np.ndarray, units: np.ndarray | None = None, seed: int = 0, most: int = MOST
) -> dict[str, np.ndarray]:
    """Errors that a perfectly calibrated model would show: kind → (draws,), and "classes" → (draws, classes)."""
    rng = np.random.default_rng(seed)
    draws = int(np.clip(WORK // max(cells.n * (cells.classes + 3), 1), FEWEST, most))
    if units is not None:
        return _turned(cells, truth, units, draws, rng)
    parts = list(_drawn(cells, draws, rng))
    return {kind: np.stack([part[kind] for part in parts]) for kind in parts[0]}


def threshold(draws: np.ndarray, level: float = 0.95) -> np.ndarray:
    """What 95 % of the draws stay at or below: the ceil(0.95 (draws + 1))-th smallest, so that the test is exact."""
    rank = int(np.ceil(round(level * (len(draws) + 1), 9)))
    return np.sort(draws, axis=0)[rank - 1]


def _counted_through(cells: Cells) -> tuple[np.ndarray, int]:
    """(bins (n, classes) with numbers of their own for each class, how many there are)."""
    return cells.place + cells.bins * np.arange(cells.classes), cells.bins * cells.classes


def _drawn(cells: Cells, draws: int, rng: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
    """y ~ p, row by row."""
    n, classes = cells.n, cells.classes
    place, width = _counted_through(cells)
    place = np.ascontiguousarray(place.T)
    stated = np.bincount(place.ravel(), weights=np.ascontiguousarray(cells.stated.T).ravel(), minlength=width)
    if cells.predicted is None:
        p = np.ascontiguousarray(cells.stated.T, dtype=np.float32)
        for _ in range(draws):
            true = np.bincount(place[rng.random((classes, n), dtype=np.float32) < p], minlength=width)
            yield {"classes": np.abs((true - stated).reshape(classes, -1)).sum(axis=1) / n}
        return
    ladder = np.cumsum(cells.stated.T, axis=0)[:-1].astype(np.float32)  # classes first: one pass per class is fast
    answer = cells.stated[np.arange(n), cells.predicted]
    tops = {kind: (top, np.bincount(top, weights=answer)) for kind, top in cells.tops.items()}
    start, flat = np.arange(n), place.astype(np.int32).ravel()
    small = np.uint8 if classes <= 256 else np.int64  # adding bytes to bytes is several times faster
    for _ in range(draws):
        dice = rng.random(n, dtype=np.float32)
        label = np.zeros(n, dtype=small)
        for step in ladder:
            label += (dice > step).view(np.uint8)
        true = np.bincount(flat[label * np.int64(n) + start], minlength=width)
        errors = {"classes": np.abs((true - stated).reshape(classes, -1)).sum(axis=1) / n}
        hit = label == cells.predicted
        for kind, (top, claimed) in tops.items():
            errors[kind] = np.abs(np.bincount(top[hit], minlength=len(claimed)) - claimed).sum() / n
        yield errors


def _turned(
    cells: Cells, truth: np.ndarray, units: np.ndarray, draws: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The true residuals, each unit's all with one random sign."""
    n, size = cells.n, int(units.max()) + 1
    signs = rng.choice([-1.0, 1.0], size=(draws, size))

    def errors(left: np.ndarray, place: np.ndarray, owner: np.ndarray, width: int) -> np.ndarray:
        sums = coo_array((left, (owner, place)), shape=(size, width)).tocsr()
        return np.abs(signs @ sums) / n

    left = (truth - cells.stated).ravel()
    place, width = _counted_through(cells)
    each = errors(left, place.ravel(), np.repeat(units, cells.classes), width)
    found = {"classes": each.reshape(draws, cells.classes, -1).sum(axis=2)}
    if cells.predicted is not None:
        rows = np.arange(n), cells.predicted
        left = truth[rows] - cells.stated[rows]
        found |= {kind: errors(left, top, units, int(top.max()) + 1).sum(axis=1) for kind, top in cells.tops.items()}
    return found
