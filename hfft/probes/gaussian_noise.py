"""Normal noise on every channel of every pixel, as in low light. Strengths of ImageNet-C, less on small pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "grain as of a camera in low light: normal noise on every pixel"

DEVIATIONS = (0.08, 0.12, 0.18, 0.26, 0.38)  # of the range of a channel


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture with noise of this standard deviation, times `disturbing.fade`."""
    deviation = 255 * DEVIATIONS[severity - 1] * disturbing.fade(picture)
    clean = disturbing.pixels(picture)
    return disturbing.picture_of(clean + deviation * disturbing.normal(picture, clean, rng))
