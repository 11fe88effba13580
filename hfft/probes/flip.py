"""Left and right change places. Not safe: letters, digits, arrows and signs are others in the mirror."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

INPUT = "image"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "left and right change places"


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture in the mirror."""
    return ImageOps.mirror(picture)


def moved(mask: np.ndarray, severity: int, rng: np.random.Generator, fill: int = 0) -> np.ndarray:
    """A mask (height, width) as `perturb` moves its picture; nothing comes in from outside, so `fill` is not used."""
    return mask[:, ::-1].copy()
