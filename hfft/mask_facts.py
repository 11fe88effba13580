"""What a page tells of predicted masks besides scores: which class is taken for which, in pixels, and colours.

In: `MaskPredictions`; pixels of each class and split. Out: plain JSON-able data. It must not know a run folder or a
template. numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hfft import palette
from hfft.mask_records import MaskPredictions
from hfft.records import SPLITS

MOST = 200  # pairs of classes
BAD = 0.5


def told(predictions: MaskPredictions) -> dict[str, Any]:
    """Facts about the pixels of all images together.

    classes: [{name, colour, images: that truly hold it, pixels: true ones, share: of all, predicted: share of all}], in
    the model's order. cells: of each true class, the share of its pixels that is predicted as each class, None without
    true pixels. pairs: [{label, prediction, pixels, of: share of the true class, errors: share of all wrong pixels}],
    most pixels first. wrong: share of all pixels. worst: images below a half of their own IoU.
    """
    matrix, names = predictions.matrix, predictions.names
    true, guess, whole = matrix.sum(axis=1), matrix.sum(axis=0), max(int(matrix.sum()), 1)
    held = np.count_nonzero(predictions.totals[1], axis=0)
    wrong, own = int(matrix.sum() - np.trace(matrix)), predictions.own_iou
    classes = [
        {"name": name, "colour": colour, "images": int(held[k]), "pixels": int(true[k])}
        | {"share": int(true[k]) / whole, "predicted": int(guess[k]) / whole}
        for k, (name, colour) in enumerate(zip(names, colours(names), strict=True))
    ]
    pairs = [
        {"label": names[i], "prediction": names[j], "pixels": int(matrix[i, j])}
        | {"of": int(matrix[i, j]) / int(true[i]), "errors": int(matrix[i, j]) / wrong}
        for i, j in zip(*matrix.nonzero(), strict=True)
        if i != j
    ]
    pairs.sort(key=lambda pair: -pair["pixels"])
    return {
        "n": predictions.n,
        "groups": predictions.groups is not None,
        "pixels": int(matrix.sum()),
        "classes": classes,
        "cells": [(row / total).tolist() if total else None for row, total in zip(matrix, true.tolist(), strict=True)],
        "pairs": pairs[:MOST],
        "wrong": wrong / whole,
        "bad": int((own < BAD).sum()),
        "middle": float(np.nanmedian(own)) if np.isfinite(own).any() else None,
    }


def colours(names: tuple[str, ...]) -> list[str]:
    """
    >>> colours(("background", "road"))
    ['#464646', '#e69f00']
    """
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette.colours(names)]


def shares(pixels: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """[{name, splits: {split: share of its pixels}}] of pixels by split and class, commonest in train first."""
    splits = [name for name in SPLITS if name in pixels]
    if not splits:
        return []
    whole = {name: max(sum(pixels[name].values()), 1) for name in splits}
    rows: list[dict[str, Any]] = [
        {"name": label, "splits": {name: pixels[name].get(label, 0) / whole[name] for name in splits}}
        for label in pixels[splits[0]]
    ]
    return sorted(rows, key=lambda row: -row["splits"][splits[0]])
