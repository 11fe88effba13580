"""Coarse squares, as of a thumbnail that was made large. Strengths of ImageNet-C, less on small pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "coarse squares, as of a picture that was made small and large again"

FACTORS = (0.6, 0.5, 0.4, 0.3, 0.25)  # squares per px of a side at 224 px


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture with each square in its mean colour.

    Squares begin at whole pixels. Two resizings, as in ImageNet-C, would put some of them half a pixel off, and then a
    factor of 0.6 does more harm than one of 0.5.
    """
    factor = 1 - (1 - FACTORS[severity - 1]) * disturbing.fade(picture)
    found = disturbing.pixels(picture)
    for axis, fine in enumerate(reversed(disturbing.grid(picture))):
        coarse, whole = max(1, round(fine * factor)), found.shape[axis]
        starts = np.arange(coarse) * whole // coarse
        sizes = np.diff(starts, append=whole)
        means = np.add.reduceat(found, starts, axis=axis) / np.expand_dims(sizes, (1 - axis, 2)).astype(np.float32)
        found = np.repeat(means, sizes, axis=axis)
    return disturbing.picture_of(found)
