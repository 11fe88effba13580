"""Mean_iou: of masks, the mean over classes of intersection over union (Jaccard's index).

A class's IoU is its hits / pixels that are truly or predicted the class, counted over all images of the split together;
images of their own have no IoU here. The mean runs over the classes that occur in the truth of the split. A class that
is only predicted has no term of its own: its pixels are misses of the classes that they truly are. Ignored pixels are
in no count.

>>> from hfft.counts import of_cells
>>> import numpy as np
>>> counts = of_cells(np.array([[3, 1], [0, 4]]))  # 3 of 4 pixels of class 0 found, all 4 of class 1
>>> per_class(counts)["iou"].round(4).tolist()  # 3 / 4 and 4 / 5
[0.75, 0.8]
>>> round(float(score(counts)["mean_iou"]), 4)
0.775
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion

MASKS = True


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"mean_iou": array (...)}, over the classes that occur."""
    return {"mean_iou": counts.mean(per_class(counts)["iou"])}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """{"iou": array (..., classes)}; 0 for a class that neither occurs nor is predicted."""
    return {"iou": counts.hits / np.maximum(counts.support + counts.predicted - counts.hits, 1)}


def proportions(counts: Counts) -> dict[str, Proportion]:
    """Nothing: pixels are no independent trials."""
    return {}
