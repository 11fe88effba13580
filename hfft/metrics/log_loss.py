"""Log_loss: the mean of -log of the probability given to the true class (negative log-likelihood), in nats.

Less is better; probabilities are kept off 0 and 1 by the least step of a float64, as in scikit-learn. Multi-label: the
mean over rows and classes of each class's binary log loss.

>>> import numpy as np
>>> whole, _ = estimates(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]]))
>>> round(whole["log_loss"].value, 4)  # (log 2 + log 4) / 2
1.0397
"""

from __future__ import annotations

import numpy as np

from hfft import tempering
from hfft.estimates import Estimate, mean


def estimates(labels: np.ndarray, scores: np.ndarray) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """({"log_loss": …}, nothing per class)."""
    return {"log_loss": mean(tempering.log_loss(scores, labels))}, {}
