"""Dice loss, one value per pixel: how little of each class's area an image's answer shares with its truth.

Milletari, Navab & Ahmadi 2016, "V-Net", section 3, for several classes as in Sudre et al. 2017, section 2.1: one less
the mean over classes of 2 Σ p t / (Σ p + Σ t), where p is the chance and t the truth of a class at a pixel. Here the
mean is over the classes that the image has: of one that it has not, every answer shares nothing. A small class counts
as much as a large one.

It is a number of a whole image. Each of its pixels is said to cost that much, so that the sum over pixels divided by
their number is the mean over images, each by how many of its pixels count, on every layout.
"""

from __future__ import annotations

import torch

from hfft import soft_dice

MASKS = True  # pixels are of no use one by one


def rows(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Loss of each pixel's image, 0 to 1, float32 (n, h, w); 0 where the label is -100. logits: (n, classes, h, w).

    labels: int (n, h, w). smoothing: share of the target spread evenly over all classes, as in cross_entropy.py.
    """
    return soft_dice.spread(soft_dice.of_images(logits.float().softmax(dim=1), labels, smoothing), labels)
