"""Any opened picture as upright 8-bit RGB, and nothing else. A page made by hfft carries a copy of this file.

In: a Pillow image of whatever mode. Out: RGB. It must not know files, models, or any other part of hfft.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps


def upright(image: Image.Image) -> Image.Image:
    """The picture as its camera was held, flattened; of one that moves the first frame."""
    return flatten(ImageOps.exif_transpose(image))


def flatten(image: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGB. `convert("RGB")` alone would clip 16 bits to white and turn transparent into black."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        top = _white(image.mode, float(values.max(initial=0)))
        image = Image.fromarray((values.clip(0) * (255.0 / top)).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image.convert("RGB")


def _white(mode: str, highest: float) -> float:
    """The value that stands for white: by the mode where it says, else the smallest usual range that holds all."""
    if mode.startswith("I;16"):
        return 65535.0
    if mode == "F" and highest <= 1:
        return 1.0
    return 255.0 if highest <= 255 else max(65535.0, highest)
