"""Binary cross-entropy, one value per row: every class is a question of its own, answered yes or no.

For rows to which several classes may apply. The mean over classes, so that a learning rate means the same for few
classes and for many; the training stage sums and divides, once for all losses (see cross_entropy.py).
"""

from __future__ import annotations

import torch

MULTI_LABEL = True  # labels are one number per class


def rows(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Loss of each row in nats, float32 (n,). logits: (n, classes); labels: 0.0 to 1.0, (n, classes).

    smoothing: share of the target moved to one half. weights: of each answer, (n, classes).
    """
    target = labels.float() * (1 - smoothing) + smoothing / 2
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), target, weights, reduction="none")
    return each.mean(dim=-1)
