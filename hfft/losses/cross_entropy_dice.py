"""Cross-entropy of each pixel plus the Dice loss of its image, one value per pixel.

The one looks at pixels, and gives probabilities; the other at areas, in which a small class counts as much as a large
one. Their plain sum is the default of Isensee et al. 2021, "nnU-Net".
"""

from __future__ import annotations

import torch

from hfft import soft_dice

MASKS = True  # half of it is of whole images


def rows(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Loss of each pixel, float32 (n, h, w); 0 where the label is -100. logits: (n, classes, h, w).

    labels: int (n, h, w). smoothing: as in cross_entropy.py. weights: of each pixel's cross-entropy, (n, h, w).
    """
    log_chance = logits.float().log_softmax(dim=1)
    each = torch.nn.functional.nll_loss(log_chance, labels, reduction="none")
    if smoothing:
        each = each * (1 - smoothing) - log_chance.mean(dim=1) * (labels != -100) * smoothing
    if weights is not None:
        each = each * weights
    return each + soft_dice.spread(soft_dice.of_images(log_chance.exp(), labels, smoothing), labels)
