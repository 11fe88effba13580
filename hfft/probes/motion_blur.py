"""The camera moved: each point becomes a line. Strengths near ImageNet-C, following the picture's size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "a camera that moved: each point becomes a line of any direction"

LENGTHS = (7, 11, 16, 22, 30)  # px at 224 px
LEAST = 1.0  # px


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture under a line of drawn direction."""
    long = disturbing.length(LENGTHS[severity - 1], LEAST, picture)
    return disturbing.blurred(picture, disturbing.line(long, rng.uniform(0, np.pi)))
