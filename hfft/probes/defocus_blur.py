"""Out of focus, as a lens is: each point becomes a disk. Strengths of ImageNet-C, following the picture's size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "a lens out of focus: each point becomes a disk"

RADII = (3, 4, 6, 8, 10)  # px at 224 px
LEAST = 0.6  # px


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture under a disk."""
    return disturbing.blurred(picture, disturbing.disk(disturbing.length(RADII[severity - 1], LEAST, picture)))
