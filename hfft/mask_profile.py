"""What is in masks and their pictures: sizes, and how much of every picture each class takes.

In: rows with `image` and `pixels`. Out: a `Measured`, shares of pixels by class and split, and sentences. It must not
know models or how rows were split.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np

from hfft import augmenting, picture_rows, picture_sizes
from hfft.errors import counted, listed
from hfft.intervals import FEW_ROWS
from hfft.measures import Measured, percent
from hfft.recipe import Model

RARE = 0.002  # share of the pixels of train, below which a loss that counts pixels hardly sees a class
CELL = 8  # side in pixels of what the finest features of an FCN-8s stand for
MUCH = 0.25  # share of pixels that count nowhere, from which on it is worth asking why
NAMED = 6
Shares = dict[str, dict[str, dict[str, float]]]


def measure(rows: datasets.Dataset, processor: Any | None, model: Model) -> Measured:
    """Sizes from the files' headers; classes of an image, and the share of its pixels that counts nowhere."""
    headers, names = picture_rows.headers(rows)
    plain = picture_sizes.measure(headers, names, None)
    pixels = _pixels(rows)
    area = np.array([header.width * header.height for header in headers])
    nowhere = 1 - pixels.sum(axis=1) / area
    found = plain.rows | {"classes": (pixels > 0).sum(axis=1), "% that counts nowhere": 100 * nowhere}
    share = float(1 - pixels.sum() / area.sum())
    sentences = plain.sentences + _nowhere(share, nowhere, names)
    facts = plain.facts | {"counts_nowhere": share}
    if processor is not None and not model.window:
        height, width = augmenting.geometry(processor)["input_size"][1:]
        facts |= {"input_size": [height, width]}
        sentences += _resized(headers, height, width)
    return Measured(found, facts, sentences, plain.marks)


def by_split(parts: Mapping[str, datasets.Dataset], names: tuple[str, ...]) -> Shares:
    """split → class → images that have it, its pixels, their share of the split's, and the median share of an image
    where it occurs (0.0 where it does not)."""
    out: Shares = {}
    for split, rows in parts.items():
        pixels = _pixels(rows)
        whole, each = max(1, int(pixels.sum())), np.maximum(1, pixels.sum(axis=1))
        out[split] = {}
        for place, name in enumerate(names):
            own = pixels[:, place]
            of_image = own[own > 0] / each[own > 0]
            out[split][name] = {
                "images": int((own > 0).sum()),
                "pixels": int(own.sum()),
                "share": float(own.sum() / whole),
                "median_share": float(np.median(of_image)) if len(of_image) else 0.0,
            }
    return out


def described(found: Shares, input_size: list[int] | None) -> list[str]:
    """What the shares mean for training and for scores. input_size: [height, width] that the model sees, if known."""
    train = found["train"]
    order = sorted(train, key=lambda name: (-train[name]["pixels"], name))
    largest, share = order[0], train[order[0]]["share"]
    held = [name for name in order if train[name]["pixels"]]
    out = [
        f"Of train's pixels, {percent(share)} are {largest}: answering nothing else scores {share:.2f} pixel "
        f"accuracy, and {share / len(held):.2f} mean IoU."
    ]
    rare = [f"{name} ({percent(train[name]['share'])})" for name in reversed(held) if train[name]["share"] < RARE]
    if rare:
        out.append(
            f"Hardly any pixels: {listed(rare, NAMED)}. A loss that counts pixels hardly sees them; try "
            "loss.weights=balanced or loss=cross_entropy_dice."
        )
    if input_size is not None:
        area = input_size[0] * input_size[1]
        sizes = {name: train[name]["median_share"] * area for name in held}
        tiny = [f"{name} ({size:,.0f} pixels)" for name, size in sorted(sizes.items(), key=lambda x: x[1])]
        few = [told for told, size in zip(tiny, sorted(sizes.values()), strict=True) if size < CELL * CELL]
        if few:
            out.append(
                f"Smaller than one {CELL} x {CELL} cell of the finest features in half of the images that have it, at "
                f"{input_size[1]} x {input_size[0]}: {listed(few, NAMED)}. A larger model.image_size would show more."
            )
    return out


def sized(found: Shares, images: int, groups: int | None = None) -> dict[str, Any]:
    """What the test split can tell, as `sizing.assess` says it of rows. images: how many it has.

    groups: how many those belong to, None where they belong to none.

    How well a mean IoU of so many images will be known depends on how images differ, which is not known before.
    """
    test = found["test"]
    pixels = sum(int(one["pixels"]) for one in test.values())
    told = [
        f"Scores will be judged on {counted(images, 'test image')}, not on their {pixels:,} pixels: neighbouring "
        "pixels are right and wrong together, so images are the witnesses of intervals."
    ]
    if groups == 1:
        told.append("All of them are of one group: scores will have no interval, and no two models can be told apart.")
    elif groups is not None and groups < images:
        told.append(f"They belong to {groups:,} groups, which are the witnesses of intervals then.")
    few = {name: int(one["images"]) for name, one in test.items() if one["images"] < FEW_ROWS}
    if few:
        many = f"{len(few)} classes are" if len(few) > 1 else "One class is"
        shown = listed((f"{name} ({n})" for name, n in sorted(few.items(), key=lambda item: item[1])), 8)
        told.append(f"{many} in fewer than {FEW_ROWS} test images, too few to say much about: {shown}.")
    return {"rows": images, "small_classes": list(few), "sentences": told}


def _pixels(rows: datasets.Dataset) -> np.ndarray:
    """int64 (n, classes)."""
    return np.array(rows["pixels"][:], dtype=np.int64).reshape(len(rows), -1)


def _nowhere(share: float, each: np.ndarray, names: list[str]) -> list[str]:
    if share == 0:
        return []
    most = int(np.argmax(each))
    hint = "; are they the pixels that nobody knows?" if share > MUCH else ""
    return [f"{percent(share)} of the pixels count nowhere, at most {percent(float(each[most]))} ({names[most]}){hint}"]


def _resized(headers: list[Any], height: int, width: int) -> list[str]:
    """Where the model sees images in another shape than they have."""
    shapes = np.array([[header.height, header.width] for header in headers], dtype=float)
    bent = np.abs(np.log(shapes[:, 0] / shapes[:, 1] * width / height)) > 0.1
    out = []
    if bent.any():
        out.append(
            f"{percent(float(bent.mean()))} of the images have another shape than model.image_size ({width} x "
            f"{height}) and are stretched to it."
        )
    return out
