"""Made small and large again without smoothing, as a thumbnail is. Strengths of ImageNet-C, less on small pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "coarse squares, as of a picture that was made small and large again"

FACTORS = (0.6, 0.5, 0.4, 0.3, 0.25)  # of the sides at 224 px


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture of fewer pixels at its own size."""
    factor = 1 - (1 - FACTORS[severity - 1]) * disturbing.fade(picture)
    width, height = (max(1, round(side * factor)) for side in disturbing.grid(picture))
    return picture.resize((width, height), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)
