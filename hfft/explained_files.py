"""An explanation as a file beside the run: a page for a text, a picture with its map for a picture.

In: pieces or pixels and a map, and sentences. Out: files in a folder of their own, none of which replaces another. It
must not know models. Texts and names come from the data: the page escapes them and runs nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from hfft.pieces import Piece
from hfft.records import write_whole
from hfft.steering import visible

SIDE = 320  # pixels of the picture, and of the map beside it, at least
HEAT = (255, 106, 0)
STRONG = 0.8  # opacity of the map where it is strongest


def page(title: str, told: Sequence[str], pieces: Sequence[Piece]) -> bytes:
    """A self-contained page: the text, its words coloured by weight, and what is said about it."""
    most = max((abs(piece.weight) for piece in pieces if piece.weight is not None), default=0.0) or 1.0
    rooms = jinja2.PackageLoader("hfft", "templates")
    strict: Any = {"undefined": jinja2.StrictUndefined, "finalize": visible}
    made = jinja2.Environment(loader=rooms, autoescape=True, trim_blocks=True, **strict)
    shown = [{"text": p.text, "part": p.part, "weight": p.weight, "share": (p.weight or 0.0) / most} for p in pieces]
    return (
        made.get_template("explained.html.j2").render(title=title, told=told, pieces=shown).encode("utf-8", "replace")
    )


def overlay(pixels: np.ndarray, cells: np.ndarray) -> bytes:
    """PNG: the picture as the model saw it, and the same under its map. pixels: uint8 (h, w, 3); cells: 0 or more."""
    scale = -(-SIDE // max(pixels.shape[:2]))
    size = (pixels.shape[1] * scale, pixels.shape[0] * scale)
    plain = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    share = Image.fromarray((cells / (cells.max() or 1.0)).astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    strength = Image.fromarray((255 * STRONG * np.asarray(share).clip(0, 1)).round().astype(np.uint8))
    grey = plain.convert("L").convert("RGB")  # colours of the picture and of the map would be taken for one another
    mapped = Image.composite(Image.new("RGB", size, HEAT), grey, strength)
    both = Image.new("RGB", (2 * size[0] + 8, size[1]), "white")
    both.paste(plain, (0, 0))
    both.paste(mapped, (size[0] + 8, 0))
    out = io.BytesIO()
    both.save(out, "PNG")
    return out.getvalue()


def write(folder: Path, name: str, ending: str, content: bytes) -> Path:
    """folder/NAME.ENDING, or NAME-2 … where another file is already there; the same content is the same file.

    name: may come from the data, and then holds anything.
    """
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", name).strip(".")[:80] or "row"
    number, path = 1, folder / f"{stem}.{ending}"
    while path.exists() and not (path.is_file() and path.read_bytes() == content):
        number += 1
        path = folder / f"{stem}-{number}.{ending}"
    if not path.exists():
        write_whole(path, lambda target: target.write_bytes(content))
    return path
