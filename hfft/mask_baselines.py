"""What a score of masks has to be held against: answers that know where a pixel lies, and nothing of the picture.

In: true masks of training, and of the rows to be answered, one at a time. Out: `MaskPredictions` like any model's.
Memory does not grow with images. numpy only.

"majority" answers the class with the most training pixels everywhere. "place" answers each pixel the class that lies
most often at its relative position in the training masks, on a grid: what a camera that always points the same way
gives away for nothing, such as road below and sky above.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack

from hfft import boundaries, counts
from hfft.mask_records import MaskPredictions

NAMES = ("majority", "place")
GRID = 64  # cells along each axis: fine enough for outlines, coarse enough for a few hundred masks


@dataclass
class Places:
    """How often each class lies in each cell of the grid, int64 (GRID, GRID, classes), and how many pixels it has.

    A mask counts at the pixel in the middle of each cell, so that small masks leave no cell empty.
    """

    counts: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, masks: Iterable[np.ndarray], classes: int) -> Places:
        """masks: int (H, W), of any sizes, negative where ignored."""
        total = np.zeros((GRID, GRID, classes), dtype=np.int64)
        pixels = np.zeros(classes, dtype=np.int64)
        places = np.arange(GRID * GRID).reshape(GRID, GRID)
        for mask in masks:
            seen = mask[np.ix_(*((2 * np.arange(GRID) + 1) * length // (2 * GRID) for length in mask.shape))]
            kept = seen >= 0
            code = places[kept] * classes + seen[kept]
            total += np.bincount(code, minlength=total.size).reshape(total.shape)
            pixels += np.bincount(mask[mask >= 0], minlength=classes)
        return cls(total, pixels)

    def majority(self, shape: tuple[int, int]) -> np.ndarray:
        """The most frequent class of all, int (H, W)."""
        return np.full(shape, int(self.pixels.argmax()))

    def place(self, shape: tuple[int, int]) -> np.ndarray:
        """The most frequent class of each position, int (H, W); where all was ignored, of all."""
        seen = self.counts.sum(axis=2) > 0
        grid = np.where(seen, self.counts.argmax(axis=2), int(self.pixels.argmax()))
        return grid[np.ix_(*(np.arange(length) * GRID // length for length in shape))]


def made(
    train: Iterable[np.ndarray], truths: Iterable[np.ndarray], model: MaskPredictions
) -> dict[str, MaskPredictions]:
    """Baseline → its answers to the images of `model`, whose ids, classes and groups they get.

    train, truths: true masks of training rows and of the images of `model` in their order, int (H, W), negative where
    ignored. Each is read once.
    """
    k = len(model.names)
    places = Places.of(train, k)
    cells: dict[str, list[csr_array]] = {name: [] for name in NAMES}
    edges: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    for truth in truths:
        for name, answer in (("majority", places.majority(truth.shape)), ("place", places.place(truth.shape))):
            cells[name].append(csr_array(counts.of_mask(truth, answer, k)[None]))
            edges[name].append(boundaries.edges(truth, answer, k, boundaries.tolerance(*truth.shape)))
    empty = csr_array((0, k * k), dtype=np.int64)
    return {
        name: MaskPredictions(
            model.ids,
            csr_array(vstack([empty, *cells[name]])),
            np.array(edges[name], dtype=np.int64).reshape(-1, k, 4),
            model.names,
            model.groups,
        )
        for name in NAMES
    }
