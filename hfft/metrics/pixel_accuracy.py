"""Pixel_accuracy: of masks, the share of pixels whose predicted class is the true one, over all images together.

Large classes rule it: a model that knows nothing but road and sky can look good. Read `mean_iou` beside it.

>>> from hfft.counts import of_cells
>>> import numpy as np
>>> float(score(of_cells(np.array([[3, 1], [0, 4]])))["pixel_accuracy"])  # 7 of 8
0.875
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion

MASKS = True


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"pixel_accuracy": array (...)}"""
    return {"pixel_accuracy": counts.hits.sum(axis=-1) / np.maximum(counts.support.sum(axis=-1), 1)}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Nothing: that of a class is `mean_accuracy`'s class_accuracy."""
    return {}


def proportions(counts: Counts) -> dict[str, Proportion]:
    """Nothing: pixels are no independent trials."""
    return {}
