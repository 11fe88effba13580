"""Focal loss where several classes may apply, one value per row: answers that are right already count less.

Lin et al. 2017, equation 4, with every class a question of its own and no alpha (`loss.weights` is there for that). The
mean over classes, as in binary_cross_entropy.py.
"""

from __future__ import annotations

import torch

MULTI_LABEL = True


def rows(
    logits: torch.Tensor,
    labels: torch.Tensor,
    smoothing: float = 0.0,
    weights: torch.Tensor | None = None,
    gamma: float = 2.0,
) -> torch.Tensor:
    """Loss of each row in nats, float32 (n,). logits: (n, classes); labels: 0.0 to 1.0, (n, classes).

    smoothing: share of the target moved to one half. weights: of each answer, (n, classes). gamma: 0 is binary
    cross-entropy.
    """
    target = labels.float() * (1 - smoothing) + smoothing / 2
    yes = torch.nn.functional.logsigmoid(logits.float())
    no = torch.nn.functional.logsigmoid(-logits.float())
    least = torch.finfo(torch.float32).tiny  # a gamma below 1 has no finite slope at 0
    each = target * no.exp().clamp_min(least) ** gamma * yes
    each = -each - (1 - target) * yes.exp().clamp_min(least) ** gamma * no
    return (each if weights is None else each * weights).mean(dim=-1)
