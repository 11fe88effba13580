"""Binary cross-entropy of logits that are shifted by how frequent each class is, one value per row.

Menon et al. 2021, equation 10, for the two answers of one question: the difference of their log frequencies is
log(prior / (1 - prior)). The mean over classes, as in binary_cross_entropy.py.
"""

from __future__ import annotations

import torch

MULTI_LABEL = True


def rows(
    logits: torch.Tensor,
    labels: torch.Tensor,
    smoothing: float = 0.0,
    weights: torch.Tensor | None = None,
    *,
    prior: torch.Tensor,
    tau: float = 1.0,
) -> torch.Tensor:
    """Loss of each row in nats, float32 (n,). logits: (n, classes); labels: 0.0 to 1.0, (n, classes).

    smoothing: share of the target moved to one half. weights: of each answer, (n, classes). prior: share of training
    rows that each class applies to, above 0 and below 1, (classes,). tau: 0 is binary cross-entropy.
    """
    target = labels.float() * (1 - smoothing) + smoothing / 2
    shifted = logits.float() + tau * torch.logit(prior)
    each = torch.nn.functional.binary_cross_entropy_with_logits(shifted, target, weights, reduction="none")
    return each.mean(dim=-1)
