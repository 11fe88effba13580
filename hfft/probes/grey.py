"""No colours. Not safe: colour may be the class (a ripe fruit, a traffic light)."""

from __future__ import annotations

import numpy as np
from PIL import Image

INPUT = "image"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "shades of grey for colours"


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture's luminance; a grey picture stays as it is."""
    return picture.convert("L").convert("RGB")
