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
    log_chance = torch.nn.functional.log_softmax(logits.float(), dim=1)
    # By expm1, because 1 - p rounds to 0 for a sure answer, where a gamma below 1 has no finite slope.
    missing = (-torch.expm1(log_chance)).clamp_min(torch.finfo(torch.float32).tiny)
    if labels.ndim > 2:
        return _of_pixels(-(missing**gamma) * log_chance, labels, smoothing)
    target = shares(labels, logits.shape[-1], smoothing)
    return -(target * missing**gamma * log_chance).sum(dim=-1)


def _of_pixels(costs: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """The same of pixels, (n, h, w). costs: of each class as the answer, (n, classes, h, w)."""
    right = costs.gather(1, labels.clamp_min(0).unsqueeze(1)).squeeze(1)
    each = right * (1 - smoothing) + costs.mean(dim=1) * smoothing if smoothing else right
    return each * (labels != -100)
