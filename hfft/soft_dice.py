"""How much of each class's area an image's chances share with its truth.

In: chances of classes at pixels, and labels. Out: one number for each image. It must not know any loss.
"""

from __future__ import annotations

import torch


def of_images(chances: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """1 less the mean of 2 Σ p t / (Σ p + Σ t) over the classes that an image has, (n,); 0 of one without a label.

    chances: p, float (n, classes, h, w). labels: int (n, h, w), -100 where nothing counts. smoothing: share of the
    truth t that is spread evenly over all classes. Milletari, Navab & Ahmadi 2016, section 3, with plain sums below.
    """
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
