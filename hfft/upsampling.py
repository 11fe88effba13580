"""Answers of a model brought to the size of what they are held against: some answer at a quarter of it.

In: logits. Out: the same at another size. It must not know losses, metrics or rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def to_size(logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Logits (n, classes, h, w) at `size` (height, width): bilinear, float32; as they are where they have it."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return torch.nn.functional.interpolate(logits.float(), size=tuple(size), mode="bilinear", align_corners=False)
