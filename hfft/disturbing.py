"""What probes of pictures share: pixels in and out, and how strong a change must be for a picture of that size.

In: an RGB picture, strengths meant for a picture whose shorter side is 224 px. Out: pixels, a picture. It must not know
what a probe does. Strengths of many probes are those of ImageNet-C (Hendrycks & Dietterich 2019, "Benchmarking neural
network robustness to common corruptions and perturbations"), whose pictures have 224 px; the code is our own.

A blur of 4 px destroys a digit of 28 px and leaves a photo of 3,000 px as it was, so lengths follow the shorter side.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import fft

SIDE = 224  # px


def scale(picture: Image.Image) -> float:
    """The picture's shorter side over 224 px."""
    return min(picture.size) / SIDE


def fade(picture: Image.Image, power: float = 1 / 2) -> float:
    """How much of a strength a small picture bears, 1 from 224 px on: a power of its `scale`.

    Each pixel of a small picture carries more of what it shows. The square root gives 0.38 at 32 px; CIFAR-10-C, for
    pictures of 32 px, has 0.26 to 0.5 times the noise of ImageNet-C.
    """
    return float(min(1.0, scale(picture)) ** power)


def pixels(picture: Image.Image) -> np.ndarray:
    """float32 (height, width, 3), 0 to 255."""
    return np.asarray(picture, dtype=np.float32)


def picture_of(found: np.ndarray) -> Image.Image:
    """The RGB picture of pixels (height, width, 3), cut to 0 to 255 and rounded."""
    return Image.fromarray(np.rint(np.clip(found, 0, 255)).astype(np.uint8))


def grid(picture: Image.Image) -> tuple[int, int]:
    """(width, height) of the picture, or of its copy whose shorter side has 224 px where that is smaller."""
    factor = max(1.0, scale(picture))
    width, height = (max(1, round(side / factor)) for side in picture.size)
    return width, height


def grained(grain: np.ndarray, picture: Image.Image) -> np.ndarray:
    """Values of a `grid` (height, width, …) for every pixel, each value as large as a pixel of a 224 px picture is.

    Noise of single pixels would be averaged away when a large photo is made as small as a model wants it.
    """
    height, width = picture.height, picture.width
    if grain.shape[:2] == (height, width):
        return grain
    rows = np.arange(height) * grain.shape[0] // height
    columns = np.arange(width) * grain.shape[1] // width
    return grain[rows[:, None], columns]


def noise_shape(picture: Image.Image, clean: np.ndarray) -> tuple[int, int, int]:
    """(height, width, channels) of the noise of a picture with pixels `clean`: a grey picture's noise is grey, too."""
    width, height = grid(picture)
    grey = np.array_equal(clean[..., 0], clean[..., 1]) and np.array_equal(clean[..., 1], clean[..., 2])
    return height, width, 1 if grey else 3


def normal(picture: Image.Image, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normal numbers with variance 1, float32 (height, width, 1 or 3), in grains."""
    return grained(rng.standard_normal(noise_shape(picture, clean), dtype=np.float32), picture)


def length(at_224: float, least: float, picture: Image.Image) -> float:
    """A length in px of this picture for one at 224 px; `least` is added as independent blurs add up.

    Below `least` a blur would change no pixel, and the first severities of a small picture would not exist.
    """
    return float(np.hypot(at_224 * scale(picture), least))


def blurred(picture: Image.Image, kernel: np.ndarray) -> Image.Image:
    """The picture under a kernel of odd height and width that sums to 1; border pixels go on beyond the border."""
    up, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(pixels(picture), ((up, up), (left, left), (0, 0)), mode="edge")
    shape = [fft.next_fast_len(side, real=True) for side in padded.shape[:2]]
    spectrum = fft.rfft2(padded, shape, axes=(0, 1))
    spectrum *= fft.rfft2(kernel.astype(np.float32), shape)[..., None]
    found = fft.irfft2(spectrum, shape, axes=(0, 1))
    return picture_of(found[2 * up : 2 * up + picture.height, 2 * left : 2 * left + picture.width])


@lru_cache(maxsize=64)
def disk(radius: float) -> np.ndarray:
    """A disk's kernel with soft edges; radius in px."""
    reach = int(np.ceil(radius + 0.5))
    away = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    kernel = np.clip(radius + 0.5 - away, 0, 1)
    return np.asarray(kernel / kernel.sum())


def line(long: float, angle: float) -> np.ndarray:
    """A straight line's kernel; length in px, angle in radians."""
    reach = int(np.ceil(long / 2)) + 1
    steps = np.linspace(-long / 2, long / 2, 4 * reach + 1)
    x, y = reach + steps * np.cos(angle), reach + steps * np.sin(angle)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for row in (0, 1):  # each point is shared out among the four pixels around it
        for column in (0, 1):
            down, right = np.floor(y).astype(int), np.floor(x).astype(int)
            share = np.abs(1 - row - (y - down)) * np.abs(1 - column - (x - right))
            np.add.at(kernel, (np.minimum(down + row, 2 * reach), np.minimum(right + column, 2 * reach)), share)
    return np.asarray(kernel / kernel.sum())
