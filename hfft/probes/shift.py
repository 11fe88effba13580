"""Moved to a side. Not safe: what leaves the picture may be what the class is about."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = False
SEVERITIES = 5
SAYS = "moved by 4 to 20 % of the shorter side in any direction"

SHARES = (0.04, 0.08, 0.12, 0.16, 0.20)  # of the shorter side


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture moved by whole pixels; its border pixels go on where it left."""
    found = disturbing.pixels(picture)
    rows, columns = sources(picture.height, picture.width, severity, rng)
    return disturbing.picture_of(found[rows.clip(0, len(rows) - 1)][:, columns.clip(0, len(columns) - 1)])


def moved(mask: np.ndarray, severity: int, rng: np.random.Generator, fill: int = 0) -> np.ndarray:
    """A mask (height, width) as `perturb` moves its picture, given numbers from the same seed.

    fill: what stands where the picture left, such as the id that is ignored.
    """
    rows, columns = sources(mask.shape[0], mask.shape[1], severity, rng)
    found = mask[rows.clip(0, len(rows) - 1)][:, columns.clip(0, len(columns) - 1)]
    inside = ((rows >= 0) & (rows < len(rows)))[:, None] & (columns >= 0) & (columns < len(columns))
    return np.where(inside, found, np.asarray(fill, dtype=mask.dtype))


def sources(height: int, width: int, severity: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The row and the column that each row and column comes from, below 0 and beyond the last outside."""
    angle, far = rng.uniform(0, 2 * np.pi), max(1.0, SHARES[severity - 1] * min(height, width))
    return np.arange(height) - round(far * np.sin(angle)), np.arange(width) - round(far * np.cos(angle))
