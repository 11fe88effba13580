"""What a picture looks like, apart from what it shows: brightness, contrast, sharpness, size, shape, colour.

In: an RGB picture. Out: one value per trait. It must not know about rows, labels or models.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 128  # pixels of the longer side when detail is measured: an edge counts the same in large and small pictures
LONG = 1.25  # width : height from which a picture is wide, height : width from which it is upright
GREY = 2.0  # levels between the colour channels, on average, that a grey picture's JPEG may have


def of(image: Image.Image) -> dict[str, float | str]:
    """Brightness and contrast (mean and spread of the grey levels, percent of white), sharpness (variance of the
    Laplacian of grey levels 0 to 255; Pech-Pacheco et al. 2000), colourfulness (Hasler & Suesstrunk 2003), pixels,
    shape, and whether it is grey.

    >>> [of(Image.new("RGB", (20, 10), "white"))[name] for name in ("brightness", "contrast", "pixels", "shape")]
    [100.0, 0.0, 200.0, 'wide']
    """
    scale = SIDE / max(image.size)
    size = (max(3, round(image.width * scale)), max(3, round(image.height * scale)))
    rgb = np.asarray(image.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    grey = rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    plain = float(np.abs(rgb - rgb.mean(axis=2, keepdims=True)).mean()) <= GREY
    return {
        "brightness": round(float(grey.mean()) / 2.55, 4),
        "contrast": round(float(grey.std()) / 2.55, 4),
        "sharpness": round(float(edges.var()), 4),
        "colourfulness": round(_colourfulness(rgb), 4),
        "pixels": float(image.width * image.height),
        "shape": _shape(image.width, image.height),
        "grey": "yes" if plain else "no",
    }


def _colourfulness(rgb: np.ndarray) -> float:
    red_green = rgb[..., 0] - rgb[..., 1]
    yellow_blue = (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _shape(width: int, height: int) -> str:
    if width >= LONG * height:
        return "wide"
    return "upright" if height >= LONG * width else "square"
