"""How far apart two grey thumbnails are once a small crop and a blur of either is allowed for.

In: thumbnails (n, SIDE, SIDE) and pairs of them. Out: distances. A copy that was shrunk and enlarged, blurred or
cropped by a few per cent is the original seen through one of a small bank of separable linear views; a look-alike is
not, so the best view brings copies together and leaves look-alikes apart. numpy only.
"""

from __future__ import annotations

import functools

import numpy as np

SIDE = 24
BLURS = (0.0, 0.55, 0.75, 0.95, 1.2)  # standard deviations, thumbnail pixels
CROPS = (0.0, 0.02, 0.035)  # share of each border
CHUNK = 512  # pairs registered together
NEAREST = 48  # pairs of one thumbnail that are registered: bounds the time where very many look alike
DULL = 1.5  # blur of both thumbnails for the first, cheap comparison
ROOM = 0.1  # by which views can bring two thumbnails nearer than that comparison says


@functools.cache
def _views() -> np.ndarray:
    """(views, SIDE, SIDE) matrices M: M @ thumbnail @ M.T is the thumbnail seen cropped, then blurred."""
    return np.stack([_blur(blur) @ _crop(crop) for crop in CROPS for blur in BLURS]).astype(np.float32)


def _blur(deviation: float) -> np.ndarray:
    """Gaussian blur of a line of SIDE pixels, as a matrix whose rows add up to one."""
    at = np.arange(SIDE)
    if not deviation:
        return np.eye(SIDE)
    weight = np.exp(-((at[:, None] - at[None]) ** 2) / (2 * deviation**2))
    return weight / weight.sum(axis=1, keepdims=True)


def _crop(share: float) -> np.ndarray:
    """Cubic interpolation (Keys 1981, a = -1/2) of a line cropped by `share` at both ends and stretched back."""
    at = (np.arange(SIDE) + 0.5) * (1 - 2 * share) + share * SIDE - 0.5
    far = np.abs(at[:, None] - np.arange(SIDE)[None])
    inner = 1.5 * far**3 - 2.5 * far**2 + 1
    outer = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    weight = np.where(far < 1, inner, np.where(far < 2, outer, 0))
    return weight / weight.sum(axis=1, keepdims=True)


def standardised(grey: np.ndarray) -> np.ndarray:
    """(..., SIDE * SIDE) float32 of mean 0 and length 1 from (..., SIDE, SIDE) grey levels; all 0 where blank."""
    flat = grey.reshape(*grey.shape[:-2], SIDE * SIDE).astype(np.float32)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)


def distance(grey: np.ndarray, i: np.ndarray, j: np.ndarray, most: float) -> tuple[np.ndarray, int]:
    """(pairs,) |a - b| of the standardised thumbnails i and j, the least over all views of the one or the other.

    Inf where a first comparison of blurred thumbnails says that no view brings them to `most`, and for all but the
    `NEAREST` by that comparison of each i; the second result is how many i had more. `i` must be ascending.
    """
    apart = np.full(len(i), np.inf)
    blur = _blur(DULL).astype(np.float32)
    dull = standardised(blur @ grey.astype(np.float32) @ blur.T)
    gap = np.concatenate([np.zeros(0), *(_gap(dull, i[some], j[some]) for some in _slices(len(i), 1 << 15))])
    hopeful = np.flatnonzero(gap <= most + ROOM)
    hopeful = hopeful[np.lexsort((gap[hopeful], i[hopeful]))]
    first = np.searchsorted(i[hopeful], i[hopeful])
    near = np.arange(len(hopeful)) - first < NEAREST
    crowded = len(np.unique(i[hopeful[~near]]))
    hopeful = hopeful[near]
    for some in _slices(len(hopeful), CHUNK):
        pair = hopeful[some]
        rows, at = np.unique(np.concatenate([i[pair], j[pair]]), return_inverse=True)
        seen, plain = _seen(grey[rows]), standardised(grey[rows])
        a, b = at[: len(pair)], at[len(pair) :]
        alike = np.maximum(_alike(seen[a], plain[b]), _alike(seen[b], plain[a]))
        apart[pair] = np.sqrt(np.maximum(2 - 2 * alike, 0))
    return apart, crowded


def _slices(n: int, step: int) -> list[slice]:
    return [slice(low, low + step) for low in range(0, n, step)]


def _gap(dull: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    return np.linalg.norm(dull[i] - dull[j], axis=1)


def _seen(grey: np.ndarray) -> np.ndarray:
    """(n, views, SIDE * SIDE): every view of every thumbnail, standardised."""
    views = _views()
    return standardised(views[None] @ grey[:, None].astype(np.float32) @ views.transpose(0, 2, 1)[None])


def _alike(seen: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """(pairs,) the highest correlation of a view with the other thumbnail."""
    return (seen @ plain[:, :, None])[:, :, 0].max(axis=1)
