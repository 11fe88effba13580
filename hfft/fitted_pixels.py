"""Pictures as uint8 at the size a model takes, and a batch of them as its numbers: a processor's work in two steps.

In: pixels of any size, a checkpoint's image processor. Out: uint8 tensors, which are small to keep and to send, and
float tensors made of a whole batch at once. Together they give, bit for bit, what the processor gives for the pictures;
where they would not, there is no `Fitting`. It must not know of files, rows or random changes.

timm's processors resize with Pillow, which takes most of the time that reading takes. `quick` resizes with torch: not
one pixel in a hundred differs, by APART at most, yet a probability may by more than 1e-4. It is for training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from hfft import augmenting

TRIED = ((47, 64), (310, 200), (33, 33))  # (height, width) of noise that both ways are held against each other with
APART = 2  # of 255: how far `quick` may be from a processor's pixel; more only where contrasts overshoot, as in noise


class Fitting(Protocol):
    """A processor in two steps. Pickled for workers that are spawned."""

    def resize(self, pixels: np.ndarray) -> torch.Tensor:
        """uint8 array (h, w, 3) → uint8 tensor (3, height, width), in memory (height, width, 3)."""

    def quick(self, pixels: np.ndarray) -> torch.Tensor:
        """The same within APART, and in a fraction of the time where the processor takes long."""

    def scale(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, height, width) → float32 of the same shape."""


def of(processor: Any) -> Fitting | None:
    """The two steps of a processor; None where they would not give what it gives, on noise of three sizes."""
    steps: Any = _Timm.of(processor) if hasattr(processor, "val_transforms") else _Transformers.of(processor)
    if steps is None:
        return None
    draws, apart = np.random.default_rng(0), 0
    for size in TRIED:
        noise = draws.integers(0, 256, (*size, 3), dtype=np.uint8)
        expected = processor([Image.fromarray(noise)], return_tensors="pt")["pixel_values"]
        found = steps.resize(noise)
        if found.dtype != torch.uint8 or not torch.equal(steps.scale(stacked([found])), expected):
            return None
        mild = noise // 2 + 64
        apart = max(apart, int((steps.quick(mild).int() - steps.resize(mild).int()).abs().max()))
    if apart > APART:
        steps.by_torch = False
    return steps  # type: ignore[no-any-return]


def last(pixels: torch.Tensor) -> torch.Tensor:
    """(3, height, width) with channels last in memory."""
    return pixels.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def stacked(pixels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Pictures (3, height, width) of one size as a batch with channels last in memory, as convolutions want it."""
    return torch.stack([one.permute(1, 2, 0) for one in pixels]).permute(0, 3, 1, 2)


@dataclass
class _Timm:
    """timm's transforms for evaluation: `before` makes the size, then tensor and normalisation.

    by_torch: whether torch makes the size nearly alike.
    """

    before: Any
    mean: tuple[float, ...]
    std: tuple[float, ...]
    by_torch: bool

    @classmethod
    def of(cls, processor: Any) -> _Timm | None:
        from torchvision.transforms import Compose

        steps = list(processor.val_transforms.transforms)
        kinds = [type(step).__name__ for step in steps]
        if kinds[-2:] not in (["MaybeToTensor", "Normalize"], ["ToTensor", "Normalize"]):
            return None
        mean, std = (tuple(torch.as_tensor(values).flatten().tolist()) for values in (steps[-1].mean, steps[-1].std))
        return cls(Compose(steps[:-2]), mean, std, kinds[:-2] == ["Resize", "CenterCrop"])

    def resize(self, pixels: np.ndarray) -> torch.Tensor:
        return augmenting.as_tensor(self.before(Image.fromarray(pixels)))

    def quick(self, pixels: np.ndarray) -> torch.Tensor:
        if not self.by_torch:
            return self.resize(pixels)
        from torchvision.transforms.v2 import functional  # the first version would compute in floats

        resize, crop = self.before.transforms
        side = [resize.size] if isinstance(resize.size, int) else list(resize.size)
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        found = functional.resize(image, side, resize.interpolation, resize.max_size, antialias=True)
        return last(functional.center_crop(found, list(crop.size)))

    def scale(self, batch: torch.Tensor) -> torch.Tensor:
        """(x / 255 - mean) / std, in this order: another one rounds differently."""
        number, channels, high, wide = batch.shape
        out = batch.permute(0, 2, 3, 1).reshape(number, high, wide * channels).to(torch.float32)
        # A row of the picture at a time: three numbers alone are too short for vector instructions.
        mean, std = (torch.tensor(values, dtype=torch.float32).repeat(wide) for values in (self.mean, self.std))
        out.div_(255).sub_(mean).div_(std)
        return out.view(number, high, wide, channels).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _Transformers:
    """An image processor of transformers that computes with torchvision."""

    processor: Any

    @classmethod
    def of(cls, processor: Any) -> _Transformers | None:
        wanted = ("rescale_and_normalize", "do_rescale", "do_normalize", "rescale_factor", "image_mean", "image_std")
        return cls(processor) if all(hasattr(processor, name) for name in wanted) else None

    def resize(self, pixels: np.ndarray) -> torch.Tensor:
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        found = self.processor([image], do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"]
        return last(found[0])

    def quick(self, pixels: np.ndarray) -> torch.Tensor:
        return self.resize(pixels)  # which is by torch

    def scale(self, batch: torch.Tensor) -> torch.Tensor:
        own = self.processor
        normalise = (own.do_normalize, tuple(own.image_mean or ()), tuple(own.image_std or ()))
        return own.rescale_and_normalize(batch, own.do_rescale, own.rescale_factor, *normalise)  # type: ignore[no-any-return]
