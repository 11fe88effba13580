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


def estimates(labels: np.ndarray, scores: np.ndarray) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """({"brier": …}, nothing per class)."""
    shares = np.asarray(scores, dtype=np.float64)
    true = labels if labels.ndim == 2 else np.eye(shares.shape[1])[labels]
    square = (shares - true) ** 2
    return {"brier": mean(square.mean(axis=1) if labels.ndim == 2 or shares.shape[1] == 2 else square.sum(axis=1))}, {}
