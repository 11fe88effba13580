"""A class for every pixel.

In: rows with an `image` and a `mask` (see masks.py). Out: `pixel_values` and a label per pixel, moved by one transform.
A modality must not know where rows come from, how they were split or what is done with the outputs.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from PIL import Image

from hfft import augmenting, mask_profile, masks, perturbing, picture_rows, pictures, scene_pixels
from hfft.measures import Measured
from hfft.picture_rows import as_rows, attributes, bytes_of, decoded, extents, inspect, keys, line, near, preview
from hfft.recipe import Augment, Model

__all__ = ["as_rows", "attributes", "extents", "inspect", "keys", "line", "near", "preview"]

ROLES = {"image": True, "mask": True}
INPUT = "image"  # the probes that fit
AUTO_CLASS = "AutoModelForSemanticSegmentation"
PIPELINE = "image-segmentation"
PROCESSOR = "AutoImageProcessor"
CONVOLUTIONAL = True  # worth arranging memory for, even if some backbones are transformers
PRINTED = True  # `inspect` makes what look-alikes are found by
MASKS = True  # what is learnt is a class for each pixel
STORED = datasets.Image(decode=False)
SCENE = ("image", "mask", "before")  # columns of a probed row
COPY_AT = 0.0  # the search sets its threshold by the data: whatever it finds is a copy


class Scene(NamedTuple):
    """An RGB picture and masks of its size, int16 (h, w): its truth, and what a model answered before a change."""

    image: Image.Image
    mask: np.ndarray | None
    before: np.ndarray | None = None


@dataclass
class Decoding:
    """A batch of images and masks as pixels and labels. A class, because workers that are spawned get it pickled.

    augment: both are changed at random, otherwise in each `epoch`, by a draw that depends on the image and the seed
    alone. window: images keep their size and are cropped.
    """

    processor: Any
    window: bool
    augment: Augment | None
    seed: int = 0
    epoch: int = 0

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, Any]:
        """Raises InputError that names the image: its file may have gone since it was inspected."""
        change = scene_pixels.pixels_of(self.augment, self.processor, self.window)
        found = []
        for image, mask in zip(batch["image"], batch["mask"], strict=True):
            source = bytes_of(image)
            with augmenting.seeded(self._draw(source)):
                found.append(change(decoded(source), masks.ids(mask)))
        return {"pixel_values": [pixels for pixels, _ in found], "labels": [labels for _, labels in found]}

    def _draw(self, source: dict[str, Any]) -> int:
        return hash((self.seed, self.epoch, zlib.crc32(source["bytes"] or str(source["path"]).encode())))


def check_types(rows: datasets.Dataset, base: Path | None) -> datasets.Dataset:
    """Images as in image classification."""
    return picture_rows.check_types(rows, base)


def prepare(
    rows: datasets.Dataset, processor: Any, model: Model, augment: Augment | None = None, seed: int = 0
) -> datasets.Dataset:
    """Rows that decode when read. augment: None for rows that nothing is changed of."""
    kept = rows.select_columns(["image", "mask"])
    return kept.with_transform(Decoding(processor, model.window, augment, seed))


def lengths(prepared: datasets.Dataset) -> None:
    """All images have one size: their order does not matter."""


def collator(processor: Any) -> Any:
    """Stacks pixels and labels."""
    from transformers import default_data_collator

    return default_data_collator


def profile(rows: datasets.Dataset, processor: Any | None, model: Model, batch: int) -> Measured:
    """Sizes from the files' headers, and what share of the pixels counts nowhere."""
    return mask_profile.measure(rows, processor, model)


def contents(rows: datasets.Dataset, processor: Any) -> tuple[list[Scene], bool]:
    """(scenes for a probe to change, whether any of them was made smaller first).

    With `model.window` images keep their size, as the model sees them so.
    """
    side = min(augmenting.geometry(processor)["input_size"][1:]) if processor.do_resize else None
    found, smaller = [], False
    columns = [rows[name][:] if name in rows.column_names else [None] * len(rows) for name in SCENE]
    for source, *sources in zip(*columns, strict=True):
        image = decoded(source)
        small = pictures.at_most(image, side) if side else image
        smaller = smaller or small is not image
        found.append(Scene(small, *(mask and _sized(masks.ids(mask), small.size) for mask in sources)))
    return found, smaller


def perturbed(probe: Any, item: Scene, severity: int, content: str) -> Scene | None:
    """A scene as a probe changes it, masks too where the probe moves what is seen; None where nothing changes."""
    image = perturbing.perturbed(probe, item.image, severity, content)
    if image is None:
        return None
    moved = (
        mask if mask is None else perturbing.moved(probe, mask, severity, content, masks.IGNORED) for mask in item[1:]
    )
    return Scene(image, *moved)


def changed(rows: datasets.Dataset, items: list[Scene]) -> datasets.Dataset:
    """The same rows with other scenes, without loss."""
    spare = [name for name in SCENE[1:] if name in rows.column_names]
    out = picture_rows.changed(rows.remove_columns(spare), [item.image for item in items])
    for place, name in enumerate(SCENE[1:], 1):
        kept: list[np.ndarray] = [item[place] for item in items if item[place] is not None]  # type: ignore[misc]
        if kept:
            sources = {name: [{"path": "", "bytes": masks.encode(mask)} for mask in kept]}
            made = datasets.Dataset.from_dict(sources, features=datasets.Features({name: STORED}))
            out = datasets.concatenate_datasets([out, made], axis=1)
    return out


def _sized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest neighbour; size: (width, height), as Pillow has it."""
    if mask.shape == size[::-1]:
        return mask
    return np.asarray(Image.fromarray(mask.astype(np.int32)).resize(size, Image.Resampling.NEAREST)).astype(np.int16)
