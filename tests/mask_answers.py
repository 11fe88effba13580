"""Predicted masks without a model: images with a difficulty of their own, and a class that few of them hold."""

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from hfft.mask_records import MaskPredictions

NAMES = ("road", "sky", "tree", "car", "pole")
THERE = np.array([1, 1, 0.9, 0.5, 0.15])  # share of the images that hold a class
SIZE = np.array([4.0, 3.0, 1.0, 0.5, 0.2])
EASE = np.array([2.5, 2.0, 1.0, 0.5, -0.2])


def matrices(rng, n, spread=1.0, pixels=10_000, skill=0.0, there=THERE):
    """Confusion matrices, int64 (n, K, K): what is missed goes to the other classes, mostly those of the image."""
    held = rng.random((n, len(NAMES))) < there
    held[~held.any(axis=1), 0] = True
    area = held * rng.gamma(1.5, SIZE, held.shape)
    area /= area.sum(axis=1, keepdims=True)
    found = expit(EASE + skill + rng.normal(0, spread, (n, 1)) + rng.normal(0, 0.7 * spread, held.shape))
    to = (held + 0.02) * SIZE
    cells = np.zeros((n, len(NAMES), len(NAMES)))
    for k in range(len(NAMES)):
        share = to.copy()
        share[:, k] = 0
        share /= share.sum(axis=1, keepdims=True)
        cells[:, k] = (area * (1 - found))[:, [k]] * share
        cells[:, k, k] = area[:, k] * found[:, k]
    return np.rint(pixels * cells).astype(np.int64)


def boundaries(cells):
    """Boundary counts that go with them, int64 (n, K, 4)."""
    hits = np.diagonal(cells, axis1=1, axis2=2)
    sides = [np.ceil(np.sqrt(part)).astype(np.int64) for part in (cells.sum(2), hits, cells.sum(1), hits)]
    return np.stack(sides, axis=2)


def predictions(n=40, seed=0, groups=None, cells=None, names=NAMES, **kwargs):
    """MaskPredictions; cells (n, K, K) where they are given."""
    cells = matrices(np.random.default_rng(seed), n, **kwargs) if cells is None else np.asarray(cells)
    ids = np.array([f"{place:012x}-mask" for place in range(len(cells))], dtype=object)
    flat = csr_array(cells.reshape(len(cells), -1))
    return MaskPredictions(ids, flat, boundaries(cells), tuple(names), groups)
