"""One picture as pixels, decoded by torchvision where that gives what Pillow gives, and sooner.

In: paths or bytes. Out: uint8 arrays, the very pixels of `pictures.rgb`, and the same faults. Only plain JPEG files go
the short way; what Pillow reads otherwise (CMYK, turned by EXIF, cut off) or what is no JPEG goes the long one.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image

from hfft import pictures
from hfft.flattening import upright

PLAIN = ("RGB", "L")  # Pillow's modes of the JPEG files that both decoders read alike
END = b"\xff\xd9"  # the marker that a whole JPEG file ends with


def pixels(source: dict[str, Any]) -> np.ndarray:
    """uint8 (height, width, 3) of {"bytes": …, "path": …}: as `pictures.rgb`, whose ValueError is raised likewise."""
    return pictures.decoded(source, _pixels, "image")


def _pixels(opened: Image.Image, data: bytes) -> np.ndarray:
    found = _short(opened, data)
    return np.array(upright(opened)) if found is None else found


def _short(opened: Image.Image, data: bytes) -> np.ndarray | None:
    """The pixels by torchvision; None where Pillow has to read them, or has to say what is wrong."""
    if opened.format != "JPEG" or opened.mode not in PLAIN or not data.endswith(END):
        return None
    if "exif" in opened.info and opened.getexif().get(pictures.ORIENTATION, 1) != 1:
        return None
    return _by_torchvision(data) if alike() else None


def _by_torchvision(data: bytes) -> np.ndarray | None:
    import torch
    import torchvision.io

    rgb = torchvision.io.ImageReadMode.RGB.value
    try:
        # The operator itself: torchvision 0.29 warns of each call of the function around it, since it will go one day.
        found = torch.ops.image.decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), rgb, False)
    except RuntimeError:  # damaged: Pillow says how, in words that are told everywhere
        return None
    return found.permute(1, 2, 0).contiguous().numpy()  # type: ignore[no-any-return]


@functools.cache
def alike() -> bool:
    """Whether both decoders give the same pixels here: each brings a JPEG library of its own.

    Tried on noise, in colour with halved and with whole chroma, and in grey: every step of decoding shows in it.
    """
    noise = np.random.default_rng(0).integers(0, 256, (50, 67, 3), dtype=np.uint8)
    for image, halved in (
        (Image.fromarray(noise), 2),
        (Image.fromarray(noise), 0),
        (Image.fromarray(noise[..., 0]), 0),
    ):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=90, subsampling=halved)
        data = file.getvalue()
        try:
            found = _by_torchvision(data)
        except (ImportError, OSError, AttributeError):  # a torchvision without its decoders
            return False
        with Image.open(io.BytesIO(data)) as opened:
            if found is None or not np.array_equal(found, np.asarray(opened.convert("RGB"))):
                return False
    return True
