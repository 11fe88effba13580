"""Dead and hot pixels: some values become 0 or 255. Strengths of ImageNet-C, fewer on small pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = True
SEVERITIES = 5
SAYS = "salt and pepper: single values of the picture become black or full"

SHARES = (0.03, 0.06, 0.09, 0.17, 0.27)  # of all values


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture with this share of its values lost, times `disturbing.fade`; half of them are 0, half 255."""
    share = SHARES[severity - 1] * disturbing.fade(picture)
    clean = disturbing.pixels(picture)
    luck = disturbing.grained(rng.random(disturbing.noise_shape(picture, clean), dtype=np.float32), picture)
    lost = np.where(luck < share / 2, np.float32(0), clean)
    return disturbing.picture_of(np.where(luck > 1 - share / 2, np.float32(255), lost))
