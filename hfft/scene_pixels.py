"""One transform that moves a picture and its mask together.

In: the recipe's `augment:`, the checkpoint's processor and whether pictures keep their size. Out: a function from a
picture and its class ids to pixels and labels. Chance comes from torch's random numbers alone. It must not know which
rows it sees, or what classes mean.

A picture is looked at through a box in its own pixels, which may reach beyond it. Both are cut to that box and resized
once: the picture as the processor resizes, the mask by the nearest pixel, so that no class appears that was not there.
torchvision's own masks go by another rule of "nearest", which lies half a pixel beside the picture's grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from hfft.masks import IGNORED
from hfft.recipe import Augment

RATIO = math.log(4 / 3)  # a crop's width by height changes by up to this, either way
Scene = Callable[[Image.Image, np.ndarray], tuple[torch.Tensor, torch.Tensor]]


class Span(NamedTuple):
    """One side of a box: pixels `start` to `stop` of the picture, and where of the output they go."""

    start: int
    stop: int
    first: int
    last: int


def pixels_of(augment: Augment | None, processor: Any, window: bool) -> Scene:
    """(RGB picture, class ids int (h, w), -100 where ignored) → (float32 (3, H, W), int64 (H, W)).

    H, W: the processor's size. Without augment, the whole picture resized to it, or with `window` as much of its middle
    as fits, at its own size. With augment, at random: with `window` another part each time; `scale` enlarges by a
    factor drawn evenly on a logarithmic scale, before `crop` takes a share of the area that is drawn evenly. What lies
    outside of the picture has the label -100 and the mean colour, which is 0 after normalising. Raises ValueError where
    picture and mask differ in size.
    """
    size = size_of(processor)
    shift, factor = _normalising(processor)
    wanted = augment or Augment()
    jitter = v2.ColorJitter(*[wanted.color_jitter] * 3) if wanted.color_jitter else None

    def scene(image: Image.Image, ids: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        own = (image.height, image.width)
        if own != ids.shape:
            raise ValueError(f"the picture has {own} rows and columns, and its mask {ids.shape}")
        extent = _extent(size if window else own, wanted)
        anew = augment is not None and (window or augment != Augment())
        rows, columns = (_span(*side, anew) for side in zip(own, extent, size, strict=True))
        pixels = _resized(image, rows, columns, processor)
        mask = torch.from_numpy(_nearest(ids, rows, columns))
        if wanted.flip and torch.rand(()) < 0.5:
            pixels, mask = pixels.flip(-1), mask.flip(-1)
            columns = columns._replace(first=size[1] - columns.last, last=size[1] - columns.first)
        if jitter is not None:
            pixels = jitter(pixels)
        inside = (slice(rows.first, rows.last), slice(columns.first, columns.last))
        out, labels = torch.zeros(3, *size), torch.full(size, IGNORED)
        torch.sub(pixels, shift, out=out[:, inside[0], inside[1]]).mul_(factor)
        labels[inside] = mask.long()
        return out, labels

    return scene


def size_of(processor: Any) -> tuple[int, int]:
    """(height, width) in pixels of what the processor makes."""
    size = dict(getattr(processor, "crop_size", None) or processor.size)
    height, width = (size.get(side) or size["shortest_edge"] for side in ("height", "width"))
    return int(height), int(width)


def _extent(base: tuple[int, int], wanted: Augment) -> tuple[float, float]:
    """Height and width of the box, drawn, in the picture's pixels."""
    height, width = float(base[0]), float(base[1])
    if wanted.scale:
        least, most = (math.log(times) for times in wanted.scale)
        times = math.exp(_drawn(least, most))
        height, width = height / times, width / times
    if wanted.crop:
        share = _drawn(wanted.crop, 1.0)
        widest = min(RATIO, -math.log(share))  # within which neither side grows
        shape = math.exp(_drawn(-widest, widest) / 2)
        height, width = height * math.sqrt(share) / shape, width * math.sqrt(share) * shape
    return height, width


def _span(own: int, extent: float, size: int, anew: bool) -> Span:
    """One side of a box of `extent` pixels over a picture of `own`: at a random place, or over its middle."""
    wide = max(1, round(extent))
    room = own - wide  # negative where the box is the larger: then the picture is anywhere within it
    start = int(torch.randint(min(room, 0), max(room, 0) + 1, ())) if anew and room else room // 2
    low, high = max(start, 0), min(start + wide, own)
    first = min(round((low - start) * size / wide), size - 1)
    return Span(low, high, first, max(first + 1, round((high - start) * size / wide)))


def _resized(image: Image.Image, rows: Span, columns: Span, processor: Any) -> torch.Tensor:
    """The part inside of the box as uint8 (3, height, width): four times faster to resize than floats."""
    whole = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    part = whole[:, rows.start : rows.stop, columns.start : columns.stop]
    size = [rows.last - rows.first, columns.last - columns.first]
    if list(part.shape[-2:]) == size:
        return part
    return functional.resize(part, size, interpolation=processor.resample, antialias=True)


def _nearest(ids: np.ndarray, rows: Span, columns: Span) -> np.ndarray:
    """The label at the centre of each pixel of the output."""
    return ids[np.ix_(*(_centres(span) for span in (rows, columns)))]


def _centres(span: Span) -> np.ndarray:
    length, out = span.stop - span.start, span.last - span.first
    return span.start + (2 * np.arange(out) + 1) * length // (2 * out)


def _normalising(processor: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(what is taken from a pixel of 0 to 255, what the rest is multiplied by), float (3, 1, 1)."""
    scale = processor.rescale_factor if processor.do_rescale else 1.0
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ([0.0] * 3, [1.0] * 3)
    return torch.tensor(mean).view(3, 1, 1) / scale, scale / torch.tensor(std).view(3, 1, 1)


def _drawn(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))
