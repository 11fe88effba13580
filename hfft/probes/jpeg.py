"""Stored as a small JPEG file. Qualities of ImageNet-C, better ones for small pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "stored as a small JPEG file"

QUALITIES = (25, 18, 15, 10, 7)
POWER = 1 / 3  # at 32 px the qualities are 61 to 51; CIFAR-10-C has 80 to 40


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture stored and read again, at its own size: blocks stay 8 px wide, as in a file that a user sends."""
    loss = (100 - QUALITIES[severity - 1]) * disturbing.fade(picture, POWER)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=round(100 - loss))
    with Image.open(file) as read:
        return read.convert("RGB")
