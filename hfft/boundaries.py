"""How well the outlines of a predicted mask lie on the true ones.

In: a true mask and a predicted one. Out: per class, boundary pixels and how many of them are met by the other side's.
It must not know how a score is made of them. numpy only.

Csurka, Larlus & Perronnin 2013, "What is a good evaluation measure for semantic segmentation?", section 3: a boundary
pixel of one mask is met where the other has a boundary pixel of the same class within a tolerance, there 0.75 % of the
image's diagonal. Recall is the share of true boundary pixels that are met, precision that of predicted ones.
"""

from __future__ import annotations

import numpy as np

SHARE = 0.0075  # of the image's diagonal, as in the paper
IGNORED = -1
NEAR = 12.0  # px; up to here looking around each pixel is faster than a tree of all of them


def tolerance(height: int, width: int) -> float:
    """The usual tolerance in pixels; at least 1, or small images would ask for exact outlines.

    >>> tolerance(480, 360)
    4.5
    """
    return max(1.0, SHARE * float(np.hypot(height, width)))


def edges(truth: np.ndarray, answer: np.ndarray, classes: int, tolerance: float) -> np.ndarray:
    """Boundary pixels of each class, int64 (classes, 4): true, of those met, predicted, of those met.

    truth: int (H, W), negative where ignored. answer: int (H, W). tolerance: pixels, Euclidean. A boundary pixel has
    one of its four neighbours in another class. Ignored pixels are no boundary and make none, in both masks, and the
    image's border makes none. Raises ValueError for masks of different shapes.

    >>> truth = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    >>> edges(truth, np.array([[0, 1, 1, 1], [0, 1, 1, 1]]), 2, 0.5).tolist()  # one pixel aside, none allowed
    [[2, 0, 2, 0], [2, 0, 2, 0]]
    >>> edges(truth, np.array([[0, 1, 1, 1], [0, 1, 1, 1]]), 2, 1.0).tolist()
    [[2, 2, 2, 2], [2, 2, 2, 2]]
    """
    if truth.shape != answer.shape:
        raise ValueError(f"expected masks of one shape, got {truth.shape} and {answer.shape}")
    counted = truth >= 0
    maps = [outline(np.where(counted, part, IGNORED).astype(np.int32)) for part in (truth, answer)]
    out = np.zeros((classes, 4), dtype=np.int64)
    for side, (own, other) in enumerate((maps, maps[::-1])):
        met = meeting(own, other, tolerance)
        of = own[own >= 0]
        out[:, 2 * side] = np.bincount(of, minlength=classes)
        out[:, 2 * side + 1] = np.bincount(of[met], minlength=classes)
    return out


def outline(mask: np.ndarray) -> np.ndarray:
    """The class of each boundary pixel, -1 elsewhere; int (H, W). mask: int (H, W), negative where ignored."""
    found = np.zeros(mask.shape, dtype=bool)
    for later, earlier in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        apart = (mask[later] != mask[earlier]) & (mask[later] >= 0) & (mask[earlier] >= 0)
        found[later] |= apart
        found[earlier] |= apart
    return np.where(found, mask, IGNORED)


def meeting(own: np.ndarray, other: np.ndarray, tolerance: float) -> np.ndarray:
    """Of each boundary pixel of `own`, row by row, whether `other` has one of its class within the tolerance: bool."""
    rows, columns = np.nonzero(own >= 0)
    classes = own[rows, columns]
    if tolerance > NEAR:
        return _by_tree(rows, columns, classes, other, tolerance)
    reach = int(tolerance)
    padded = np.pad(other, reach, constant_values=IGNORED)
    width = padded.shape[1]
    flat, places = padded.ravel(), (rows + reach) * width + columns + reach
    met, left = np.zeros(len(places), dtype=bool), np.arange(len(places))
    steps = np.arange(-reach, reach + 1)
    square = steps[:, None] ** 2 + steps**2
    # Nearest first: most pixels of a fair prediction are met soon, and what is met is not looked at again.
    for place in np.argsort(square, axis=None, kind="stable"):
        if square.flat[place] > tolerance**2 or not len(left):
            break
        down, aside = divmod(int(place), len(steps))
        hit = flat[places[left] + (down - reach) * width + aside - reach] == classes[left]
        met[left[hit]] = True
        left = left[~hit]
    return met


def _by_tree(
    rows: np.ndarray, columns: np.ndarray, classes: np.ndarray, other: np.ndarray, tolerance: float
) -> np.ndarray:
    """The same for large tolerances; classes lie so far apart in a third dimension that none meets another."""
    from scipy.spatial import cKDTree

    theirs = np.nonzero(other >= 0)
    if not len(rows) or not len(theirs[0]):
        return np.zeros(len(rows), dtype=bool)
    apart = 4 * (tolerance + 1)
    tree = cKDTree(np.column_stack([*theirs, apart * other[theirs]]))
    found = tree.query(np.column_stack([rows, columns, apart * classes]), distance_upper_bound=tolerance + 1e-6)[0]
    return np.asarray(found <= tolerance + 1e-9)
