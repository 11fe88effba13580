"""Something in front: a grey square hides a part (Zeiler & Fergus 2014; as training, DeVries & Taylor 2017: Cutout)."""

from __future__ import annotations

import numpy as np
from PIL import Image

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "a grey square hides a part, 1 to 12 % of the picture"

SHARES = (0.010, 0.025, 0.05, 0.08, 0.12)  # of the area
GREY = (127, 127, 127)


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture with a square of this share anywhere inside; in a long picture as wide as fits."""
    side = (SHARES[severity - 1] * picture.width * picture.height) ** 0.5
    width, height = (max(1, min(round(side), whole)) for whole in picture.size)
    left, top = (int(rng.integers(0, room + 1)) for room in (picture.width - width, picture.height - height))
    found = picture.copy()
    found.paste(GREY, (left, top, left + width, top + height))
    return found
