"""Lighter or darker. Values move towards white or black by a share of their way, so that nothing is cut off."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "lighter or darker, by a coin"

SHARES = (
    0.12,
    0.24,
    0.36,
    0.48,
    0.60,
)  # of the way; ImageNet-C adds 0.1 to 0.5 of the range, which cuts bright parts off


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture mixed with white or with black."""
    towards = 255.0 if rng.random() < 0.5 else 0.0
    clean = disturbing.pixels(picture)
    return disturbing.picture_of(clean + SHARES[severity - 1] * (towards - clean))
