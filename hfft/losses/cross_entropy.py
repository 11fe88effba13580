"""Cross-entropy, one value per row.

A loss says what one row costs; the training stage sums and divides, once for all losses, so that accumulation steps
and processes cannot change the result.
"""

from __future__ import annotations

import torch


def rows(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Loss of each row in nats, float32 (n,). logits: (n, classes), or of pixels (n, classes, h, w) for (n, h, w).

    labels: int (n,), of which -100 costs nothing, or the share of each class, float (n, classes). smoothing: share of
    the target spread evenly over all classes (Szegedy et al. 2016, section 7).
    """
    target = labels.float() if labels.ndim == 2 else labels
    return torch.nn.functional.cross_entropy(logits.float(), target, reduction="none", label_smoothing=smoothing)
