"""Noise of too little light: it grows with a pixel's brightness, and black stays black. Strengths of ImageNet-C."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "grain of few photons: noise that is stronger where the picture is brighter"

PHOTONS = (60, 25, 12, 5, 3)  # that a white pixel stands for


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture with normal noise of a Poisson count's variance, times `disturbing.fade`.

    Normal and not Poisson: with three photons and more a viewer sees no difference, and it is ten times as fast.
    """
    clean = disturbing.pixels(picture)
    deviation = np.sqrt(clean * (255 / PHOTONS[severity - 1])) * disturbing.fade(picture)
    return disturbing.picture_of(clean + deviation * disturbing.normal(picture, clean, rng))
