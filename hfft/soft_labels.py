"""Labels as shares of classes, whatever form they come in.

In: class ids, or a share per class where pictures or texts were mixed. Out: one float matrix that a loss can be written
over once. It must not know any loss.
"""

from __future__ import annotations

import torch


def shares(labels: torch.Tensor, classes: int, smoothing: float = 0.0) -> torch.Tensor:
    """How far each class is the right one, float32 (n, classes); a row of -100 has none, so that it costs nothing.

    labels: int (n,) or float (n, classes). smoothing: share that is spread evenly over all classes (Szegedy et al.
    2016, section 7).
    """
    if labels.ndim == 2:
        return labels.float() * (1 - smoothing) + smoothing / classes
    kept = (labels != -100).unsqueeze(1)
    whole = torch.nn.functional.one_hot(labels.clamp_min(0), classes).float()
    return (whole * (1 - smoothing) + smoothing / classes) * kept
