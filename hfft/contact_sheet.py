"""A sheet of small pictures with a line under each.

In: pixels and lines. Out: a PNG file. It must not know models or rows. matplotlib is imported only where something is
drawn.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hfft.records import write_whole

MOST = 64  # pictures on a sheet
INK, FAINT = "#1c2127", "#dfe3e8"
SIDE, LINE = 1.35, 0.19  # inches of a picture, and of a line under it
LETTERS = 19  # in a line


def draw(target: Path, pixels: np.ndarray, lines: Sequence[str]) -> None:
    """pixels: uint8 (n, height, width, 3). lines: what stands under each; the first MOST are drawn."""
    from matplotlib.figure import Figure

    shown = [[*_wrapped(line)] for line in lines[:MOST]]
    columns = min(8, math.ceil(math.sqrt(len(shown)) * 1.3))
    rows, deepest = math.ceil(len(shown) / columns), max(map(len, shown))
    cell = SIDE + LINE * deepest + 0.12
    figure = Figure(figsize=(columns * (SIDE + 0.14) + 0.14, rows * cell + 0.12), facecolor="white")
    width, height = figure.get_size_inches()
    for place, (picture, own) in enumerate(zip(pixels[:MOST], shown, strict=True)):
        row, column = divmod(place, columns)
        left, top = 0.14 + column * (SIDE + 0.14), height - 0.12 - row * cell
        axes = figure.add_axes((left / width, (top - SIDE) / height, SIDE / width, SIDE / height))
        axes.imshow(picture, interpolation="nearest" if picture.shape[0] < 128 else "antialiased")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FAINT)
        under = (top - SIDE - 0.05) / height
        figure.text((left + SIDE / 2) / width, under, "\n".join(own), ha="center", va="top", fontsize=8, color=INK)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a script that the bundled font lacks
        write_whole(target, lambda path: figure.savefig(path, format="png", dpi=130, metadata={"Software": None}))


def _wrapped(line: str) -> list[str]:
    """Two lines at most, parted where two classes meet; a long one keeps its beginning and its end.

    >>> _wrapped("seven (62 %) + three (38 %)"), _wrapped("7"), _wrapped("a_rather_long_name_of_a_class (62 %)")
    (['seven (62 %)', 'three (38 %)'], ['7'], ['a_rather_l…s (62 %)'])
    """
    plain = " ".join(line.split())
    parts = plain.split(" + ") if len(plain) > LETTERS else [plain]
    short = [part if len(part) <= LETTERS else f"{part[: LETTERS - 9]}…{part[-8:]}" for part in parts[:2]]
    return [part.replace("$", r"\$") for part in short]  # matplotlib reads dollar signs as formulas
