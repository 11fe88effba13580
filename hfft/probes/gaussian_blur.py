"""Out of focus, softly. Strengths of ImageNet-C, following the picture's size."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "a soft blur"

DEVIATIONS = (1, 2, 3, 4, 6)  # px at 224 px
LEAST = 0.4  # px


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture under a normal kernel."""
    return picture.filter(ImageFilter.GaussianBlur(disturbing.length(DEVIATIONS[severity - 1], LEAST, picture)))
