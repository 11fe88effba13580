"""Dice: of masks, 2 hits / (pixels truly the class + pixels predicted as it), the F1 of pixels.

Counted over all images of the split together. mean_dice runs over the classes that occur in the truth of the split. It
is a rising function of the IoU, 2 IoU / (1 + IoU), and so puts classes in the same order; its mean is kinder.

>>> from hfft.counts import of_cells
>>> import numpy as np
>>> counts = of_cells(np.array([[3, 1], [0, 4]]))
>>> per_class(counts)["dice"].round(4).tolist()  # 2 x 3 / (4 + 3) and 2 x 4 / (4 + 5)
[0.8571, 0.8889]
>>> round(float(score(counts)["mean_dice"]), 4)
0.873
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion

MASKS = True


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"mean_dice": array (...)}, over the classes that occur."""
    return {"mean_dice": counts.mean(per_class(counts)["dice"])}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """{"dice": array (..., classes)}; 0 for a class that neither occurs nor is predicted."""
    return {"dice": 2 * counts.hits / np.maximum(counts.support + counts.predicted, 1)}


def proportions(counts: Counts) -> dict[str, Proportion]:
    """Nothing: pixels are no independent trials."""
    return {}
