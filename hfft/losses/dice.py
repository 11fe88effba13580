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

MASKS = True  # pixels are of no use one by one


def rows(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Loss of each pixel's image, 0 to 1, float32 (n, h, w); 0 where the label is -100. logits: (n, classes, h, w).

    labels: int (n, h, w). smoothing: share of the target spread evenly over all classes, as in cross_entropy.py.
    """
    return spread(of_images(logits.float().softmax(dim=1), labels, smoothing), labels)


def of_images(chances: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Loss of each image, float32 (n,); 0 of one without a label. chances: float (n, classes, h, w)."""
    n, classes = chances.shape[:2]
    valid = (labels != -100).flatten(1)
    places = labels.clamp_min(0).flatten(1)
    of_class, counted = chances.flatten(2), valid.to(chances.dtype)
    right = of_class.gather(1, places.unsqueeze(1)).squeeze(1) * counted
    shared = chances.new_zeros(n, classes).scatter_add(1, places, right)
    true = chances.new_zeros(n, classes).scatter_add(1, places, counted)
    there = true > 0
    answered = torch.bmm(of_class, counted.unsqueeze(2)).squeeze(2)
    if smoothing:
        shared = shared * (1 - smoothing) + answered * (smoothing / classes)
        true = true * (1 - smoothing) + counted.sum(dim=1, keepdim=True) * (smoothing / classes)
    dice = torch.where(there, 2 * shared / (answered + true).clamp_min(torch.finfo(chances.dtype).tiny), 0.0)
    return there.any(dim=1).float() - dice.sum(dim=1) / there.sum(dim=1).clamp_min(1)


def spread(each: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """An image's number at each of its pixels that count, (n, h, w)."""
    return each.view(-1, 1, 1) * (labels != -100)
