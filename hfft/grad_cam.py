"""Which part of a picture spoke for a class: Grad-CAM on the last feature map that still has a place for each part.

In: a picture model, pixels, a class. Out: a map. It must not know files or labels.
Selvaraju et al., Grad-CAM, ICCV 2017. In a transformer of patches, the map is that of the last normalised tokens that
the class still depends on: after the last attention only the class token counts, and patches would have no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hfft import evidence
from hfft.errors import InputError

SIDE = 4  # a map of fewer cells a side shows nothing; small pictures are taken from an earlier layer
PREFIX = 8  # tokens before the patches, at most: class, distillation, registers
PASSING = ("Dropout", "Softmax", "Identity")  # their outputs are no features, or another layer's


@dataclass(frozen=True)
class Cam:
    """cells: evidence for the class, float (height, width), 0 or more, not scaled. layer: where they come from."""

    cells: np.ndarray
    layer: str


def attribute(model: Any, pixels: torch.Tensor, target: int, several: bool = False) -> Cam:
    """The map of `target` for one picture; pixels: (1, channels, height, width) as the image processor makes them.

    Raises InputError for a model without a feature map that the class depends on.
    """
    kept: list[tuple[str, Any, torch.Tensor]] = []
    handles = [module.register_forward_hook(_keeping(kept, name)) for name, module in model.named_modules()]
    try:
        with torch.enable_grad():
            found = evidence.of_class(model(pixel_values=pixels.detach().requires_grad_()).logits, target, several)
    finally:
        for handle in handles:
            handle.remove()
    maps = [(name, tensor, grid) for name, module, tensor in kept if (grid := _grid(module, tensor)) is not None]
    largest = max((min(grid(tensor).shape[1:]) for _, tensor, grid in maps), default=0)
    for name, tensor, grid in reversed(maps):
        if min(grid(tensor).shape[1:]) < min(SIDE, largest):
            continue
        slope = torch.autograd.grad(found.sum(), tensor, retain_graph=True, allow_unused=True)[0]
        if slope is not None and bool(grid(slope).abs().max() > 0):
            return Cam(_weighed(grid(tensor.detach()), grid(slope)), name)
    raise InputError(f"{type(model).__name__} has no feature map that can be laid over the picture")


def _weighed(features: torch.Tensor, slopes: torch.Tensor) -> np.ndarray:
    """Channels by their mean gradient, summed, what speaks against the class left out. Both (channels, h, w)."""
    weights = slopes.mean(dim=(1, 2), keepdim=True)
    return (weights * features).sum(dim=0).clamp(min=0).double().cpu().numpy()  # type: ignore[no-any-return]


def _keeping(kept: list[tuple[str, Any, torch.Tensor]], name: str) -> Callable[..., None]:
    def keep(module: Any, _: Any, found: Any) -> None:
        if isinstance(found, torch.Tensor) and found.requires_grad and found.ndim in (3, 4) and len(found) == 1:
            kept.append((name, module, found))

    return keep


def _grid(module: Any, found: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """How an output becomes (channels, height, width); None where it is no map of the picture."""
    kind = type(module).__name__
    if any(word in kind for word in PASSING):
        return None
    if found.ndim == 4:
        _, a, b, c = found.shape
        if a == b != c:  # channels last, as in Swin; pictures and their maps are square here
            return (lambda tensor: tensor[0].permute(2, 0, 1)) if a > 1 else None
        return (lambda tensor: tensor[0]) if min(b, c) > 1 else None
    side = math.isqrt(found.shape[1])
    before = found.shape[1] - side * side
    if "Norm" not in kind or side < 2 or before > PREFIX:
        return None
    return lambda tensor: tensor[0, before:].T.reshape(-1, side, side)
