"""Cross-entropy, one value per row.

A loss says what one row costs; the training stage sums and divides, once for all losses, so that accumulation steps
and processes cannot change the result.
"""

from __future__ import annotations

import torch


def rows(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Loss of each row in nats, float32 (n,). logits: (n, classes); labels: int (n,), -100 costs nothing.

    Soft labels, float (n, classes), are each class's share of the row: the loss is the mean by these shares.

    smoothing: share of the target spread evenly over all classes (Szegedy et al. 2016, section 7).
    """
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=smoothing)
