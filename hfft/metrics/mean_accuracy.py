"""Mean_accuracy: of masks, the mean over classes of the share of a class's true pixels that is found (recall).

It does not count what is predicted too much: a model that floods an image with a rare class is paid for it. Read
`mean_iou` beside it. The mean runs over the classes that occur in the truth of the split.

>>> from hfft.counts import of_cells
>>> import numpy as np
>>> float(score(of_cells(np.array([[3, 1], [0, 4]])))["mean_accuracy"])  # (3 / 4 + 4 / 4) / 2
0.875
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion

MASKS = True


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"mean_accuracy": array (...)}, over the classes that occur."""
    return {"mean_accuracy": counts.mean(per_class(counts)["class_accuracy"])}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """{"class_accuracy": array (..., classes)}; 0 for a class without true pixels."""
    return {"class_accuracy": counts.hits / np.maximum(counts.support, 1)}


def proportions(counts: Counts) -> dict[str, Proportion]:
    """Nothing: pixels are no independent trials."""
    return {}
