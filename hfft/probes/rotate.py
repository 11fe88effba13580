"""Turned by some degrees. Not safe: direction may be the class (6 and 9, a pointer, a leaning tower)."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import affine_transform

from hfft import disturbing

INPUT = "image"
KIND = "invariance"
SAFE = False
SEVERITIES = 5
SAYS = "turned by 5 to 30 degrees to the left or to the right"

DEGREES = (5, 10, 15, 22, 30)


def perturb(picture: Image.Image, severity: int, rng: np.random.Generator) -> Image.Image | None:
    """The picture turned around its centre, between four pixels each; its border pixels go on beyond the border."""
    turn, clean = drawn(severity, rng), disturbing.pixels(picture)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])  # of (row, column)
    centre = (np.array(clean.shape[:2]) - 1) / 2
    found = np.empty_like(clean)
    for channel in range(3):
        affine_transform(
            clean[..., channel], matrix, centre - matrix @ centre, output=found[..., channel], order=1, mode="nearest"
        )
    return disturbing.picture_of(found)


def moved(mask: np.ndarray, severity: int, rng: np.random.Generator, fill: int = 0) -> np.ndarray:
    """A mask (height, width) as `perturb` turns its picture, given numbers from the same seed; nearest neighbour.

    fill: what stands where the picture left, such as the id that is ignored.
    """
    turn, (height, width) = drawn(severity, rng), mask.shape
    y, x = np.mgrid[:height, :width] + 0.5 - np.array([height, width])[:, None, None] / 2
    rows = np.floor(np.cos(turn) * y - np.sin(turn) * x + height / 2).astype(int)
    columns = np.floor(np.cos(turn) * x + np.sin(turn) * y + width / 2).astype(int)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    found = mask[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return np.where(inside, found, np.asarray(fill, dtype=mask.dtype))


def drawn(severity: int, rng: np.random.Generator) -> float:
    """The angle in radians, to either side by a coin."""
    return float(np.deg2rad(DEGREES[severity - 1]) * (1 if rng.random() < 0.5 else -1))
