"""A photo with classes painted over it, for people.

In: an RGB picture, masks of class ids, class names. Out: small JPEGs. It must not know predictions or files.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from hfft import palette
from hfft.masks import IGNORED

SIDE = 256  # pixels of the longer side of each panel
INK = 0.6  # how much of a pixel is its class
GAP = 6  # pixels between panels


def beside(image: Image.Image, masks: Sequence[np.ndarray], names: Sequence[str], side: int = SIDE) -> bytes:
    """JPEG of the picture, and beside it each of the masks painted over it. masks: int (h, w), of the picture's size.

    Pixels that count nowhere are hatched.
    """
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BILINEAR)
    panels = [small, *(painted(small, sized(mask, size), names) for mask in masks)]
    sheet = Image.new("RGB", (len(panels) * (size[0] + GAP) - GAP, size[1]), "white")
    for place, panel in enumerate(panels):
        sheet.paste(panel, (place * (size[0] + GAP), 0))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=80)
    return out.getvalue()


def painted(image: Image.Image, mask: np.ndarray, names: Sequence[str]) -> Image.Image:
    """The picture with each pixel mixed with its class's colour."""
    table = np.array(palette.colours(names), dtype=float)
    pixels = np.asarray(image, dtype=float)
    colour = table[np.maximum(mask, 0)]
    rows, columns = np.indices(mask.shape)
    hatched = np.where(((rows + columns) // 3 % 2 == 0)[..., None], 235.0, 120.0)
    colour = np.where((mask == IGNORED)[..., None], hatched, colour)
    return Image.fromarray((INK * colour + (1 - INK) * pixels).round().astype(np.uint8))


def sized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at another size (width, height), by the nearest pixel."""
    return np.asarray(Image.fromarray(mask.astype(np.int32)).resize(size, Image.Resampling.NEAREST))
