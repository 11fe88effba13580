"""Two models on the same images: who answers which image better, and how far apart they are over all.

In: `MaskPredictions` of both. Out: the second in the order of the first, differences, images won and lost. It must not
know how the predictions were made. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfft import pairing
from hfft.errors import InputError
from hfft.intervals import EQUAL, FEW_ERRORS, Statistic
from hfft.mask_records import MaskPredictions
from hfft.pairing import Difference
from hfft.resamples import of_images


def aligned(
    name: str, base: MaskPredictions, other: str, predictions: MaskPredictions, rows: np.ndarray
) -> MaskPredictions:
    """The second predictions in the images and classes of the first. rows: their places in the second.

    Raises InputError where masks differ in how many pixels are truly of which class.
    """
    found = predictions.where(rows).among(base.names)
    apart = (base.totals[1] != found.totals[1]).any(axis=1)
    if different := int(apart.sum()):
        raise InputError(f"{name} and {other} have different true masks for {different:,} images")
    groups = base.groups if base.groups is not None else found.groups
    return MaskPredictions(base.ids, found.cells, found.edges, base.names, groups, found.flipped)


def differences(
    base: MaskPredictions, other: MaskPredictions, statistic: Statistic, resamples: int = 2000
) -> dict[str, Difference]:
    """Second minus first of images in one order; images are drawn as the second's groups say."""
    if not base.n:
        return {}
    parts = (base, other)
    pairs = of_images([part.cells for part in parts], [part.edges for part in parts], other.groups)
    return pairing.image_differences(pairs, statistic, base.n, not disagreeing(base, other).any(), resamples)


def disagreeing(base: MaskPredictions, other: MaskPredictions) -> np.ndarray:
    """Images whose counts differ, bool (n,)."""
    apart = np.asarray(abs(base.cells - other.cells).sum(axis=1)).ravel()
    return np.asarray((apart > 0) | (base.edges != other.edges).any(axis=(1, 2)))


def won_lost(base: MaskPredictions, other: MaskPredictions) -> tuple[np.ndarray, np.ndarray]:
    """Images whose own IoU is higher, and lower, with the second: bool (n,) each."""
    gap = np.nan_to_num(other.own_iou - base.own_iou)
    return gap > EQUAL, gap < -EQUAL


def by_class(base: MaskPredictions, other: MaskPredictions) -> list[dict[str, Any]]:
    """Of each class that any image holds: {name, n: images with it, won, lost: by its IoU in the image, p: None}."""
    there = base.totals[1] > 0
    gap, held = np.where(there, other.class_iou - base.class_iou, 0.0), there.sum(axis=0)
    won, lost = ((side > EQUAL).sum(axis=0).tolist() for side in (gap, -gap))
    columns: Sequence[Any] = (base.names, held.tolist(), won, lost)
    return [
        {"name": name, "n": n, "won": up, "lost": down, "p": None}
        for name, n, up, down in zip(*columns, strict=True)
        if n
    ]


def cautious(base: MaskPredictions, other: MaskPredictions, apart: Difference) -> Difference:
    """The difference of two models on images in one order, widened where they disagree on few images."""
    won, lost = won_lost(base, other)
    witnesses, units = base.n, np.arange(base.n) if base.groups is None else base.groups
    if base.groups is not None:
        witnesses = len(np.unique(base.groups))
    if len(np.unique(units[disagreeing(base, other)])) >= min(FEW_ERRORS, witnesses):
        return apart
    return pairing.careful(apart, int(won.sum()), int(lost.sum()), witnesses)
