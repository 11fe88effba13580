"""Fog, or a hard print: values move towards the mean of the picture or away from it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "less or more contrast, by a coin"

# Of the distance from the mean. ImageNet-C goes from 0.4 to 0.05, where people no longer see what a dark photo shows.
LESS = (0.60, 0.45, 0.33, 0.24, 0.17)
MORE = (1.25, 1.50, 1.75, 2.10, 2.50)


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture with its values' distance from their mean multiplied."""
    factor = (LESS if rng.random() < 0.5 else MORE)[severity - 1]
    clean = disturbing.pixels(picture)
    mean = clean.mean(axis=(0, 1))
    return disturbing.picture_of(mean + factor * (clean - mean))
