"""Brier: the mean squared distance between the probabilities and what came true (Brier 1950). Less is better.

Two classes: (p - y)^2 of one of them, in [0, 1]. More: summed over the classes, in [0, 2]; scikit-learn's default.
Multi-label: the mean over rows and classes of (p - y)^2.

>>> import numpy as np
>>> whole, _ = estimates(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]]))
>>> round(whole["brier"].value, 4)  # (0.5^2 + 0.75^2) / 2
0.4062
"""

from __future__ import annotations

import numpy as np

from hfft.estimates import Estimate, mean
from hfft.reliability import brier


def estimates(labels: np.ndarray, scores: np.ndarray) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """({"brier": …}, nothing per class)."""
    return {"brier": mean(brier(np.asarray(scores, dtype=np.float64), labels))}, {}
