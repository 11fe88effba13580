"""Paler or stronger colours: values move towards the grey of their pixel or away from it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "paler or stronger colours, by a coin"

LESS = (0.7, 0.5, 0.35, 0.2, 0.1)  # of the distance from grey is kept
MORE = (1.4, 1.8, 2.3, 3.0, 4.0)


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture with its values' distance from their pixel's luminance multiplied; a grey picture stays as it is."""
    factor = (LESS if rng.random() < 0.5 else MORE)[severity - 1]
    clean, grey = disturbing.pixels(picture), np.asarray(picture.convert("L"), dtype=np.float32)[..., None]
    return disturbing.picture_of(grey + factor * (clean - grey))
