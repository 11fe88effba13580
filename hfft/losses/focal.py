"""Focal loss, one value per row: rows that the model gets right already count less.

Lin et al. 2017, "Focal loss for dense object detection", equation 4, for one of many classes:
-(1 - p_t)^gamma log p_t. The paper's alpha is a class weight, which hfft has for every loss (`loss.weights`); p_t is
the model's own probability, whatever the weights. With shares of classes, each class's term counts by its share.
"""

from __future__ import annotations

import torch

from hfft.soft_labels import shares


def rows(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0, gamma: float = 2.0) -> torch.Tensor:
    """Loss of each row in nats, float32 (n,). logits: (n, classes), or of pixels (n, classes, h, w) for (n, h, w).

    labels: int (n,), of which -100 costs nothing, or the share of each class, float (n, classes). smoothing: as in
    cross_entropy.py. gamma: 0 is cross-entropy; the larger, the less an easy row counts.
    """
    if labels.ndim > 2 and not smoothing:
        cost = torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none")
        return _missing(-cost) ** gamma * cost
    log_chance = torch.nn.functional.log_softmax(logits.float(), dim=1)
    missing = _missing(log_chance)
    if labels.ndim > 2:  # without a share for each class of each pixel
        costs = -(missing**gamma) * log_chance
        right = costs.gather(1, labels.clamp_min(0).unsqueeze(1)).squeeze(1)
        return (right * (1 - smoothing) + costs.mean(dim=1) * smoothing) * (labels != -100)
    target = shares(labels, logits.shape[-1], smoothing)
    return -(target * missing**gamma * log_chance).sum(dim=-1)


def _missing(log_chance: torch.Tensor) -> torch.Tensor:
    """1 - p by expm1, because 1 - p rounds to 0 for a sure answer, where a gamma below 1 has no finite slope."""
    return (-torch.expm1(log_chance)).clamp_min(torch.finfo(torch.float32).tiny)
