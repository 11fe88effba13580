"""Boundary_f1: of masks, how well outlines lie on the true ones, within a tolerance of 0.75 % of the image's diagonal.

Boundary pixels of a class are counted over all images of the split: recall is the share of true ones that a predicted
one of the class lies near, precision the share of predicted ones that a true one lies near, and the F1 their harmonic
mean (Csurka, Larlus & Perronnin 2013, who average over images first). The mean runs over the classes that occur in the
truth. A class that fills every image has no outline and counts as 1 if none is predicted, else as 0.

>>> from hfft.counts import of_cells
>>> import numpy as np
>>> counts = of_cells(np.array([[4, 0], [0, 4]]), np.array([[10, 5, 8, 8], [10, 10, 10, 10]]))
>>> per_class(counts)["boundary_f1"].round(4).tolist()  # recall 5 / 10, precision 8 / 8; and all met
[0.6667, 1.0]
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion

MASKS = True


def score(counts: Counts) -> dict[str, np.ndarray]:
    """{"boundary_f1": array (...)}, over the classes that occur; nothing where boundaries were not counted."""
    each = per_class(counts)
    return {name: counts.mean(values) for name, values in each.items()}


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """{"boundary_f1": array (..., classes)}; nothing where boundaries were not counted."""
    if counts.edges is None:
        return {}
    true, true_met, guess, guess_met = np.moveaxis(counts.edges, -1, 0)
    recall, precision = true_met / np.maximum(true, 1), guess_met / np.maximum(guess, 1)
    both = recall + precision
    found = np.where(both > 0, 2 * recall * precision / np.where(both > 0, both, 1), 0.0)
    return {"boundary_f1": np.where((true == 0) & (guess == 0) & (counts.hits > 0), 1.0, found)}


def proportions(counts: Counts) -> dict[str, Proportion]:
    """Nothing: pixels are no independent trials."""
    return {}
