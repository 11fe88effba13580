"""Pictures into classes.

In: rows with an `image` (bytes or a path, not decoded). Out: `pixel_values` as the checkpoint's own processor makes
them. A modality must not know where rows come from, how they were split or what is done with the outputs.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import datasets

from hfft import augmenting, mixing
from hfft.perturbing import perturbed
from hfft.picture_rows import (
    as_rows,
    attributes,
    bytes_of,
    changed,
    check_types,
    contents,
    decoded,
    extents,
    inspect,
    keys,
    line,
    near,
    preview,
    profile,
)
from hfft.recipe import Augment, Model

__all__ = ["as_rows", "attributes", "changed", "check_types", "contents", "extents", "inspect"]
__all__ += ["keys", "line", "near", "perturbed", "preview", "profile"]

ROLES = {"image": True}
INPUT = "image"  # the probes that fit
AUTO_CLASS = "AutoModelForImageClassification"
PIPELINE = "image-classification"
PROCESSOR = "AutoImageProcessor"
CONVOLUTIONAL = True  # worth arranging memory for, even if some backbones are transformers
STREAMED = 32  # pictures made ready, and held as pixels, together while training reads a stream
PRINTED = True  # `inspect` makes what look-alikes are found by
MASKS = False  # what is learnt is a class, or several, for the whole input
COPY_AT = 0.0  # the search sets its threshold by the data: whatever it finds is a copy


@dataclass
class Decoding:
    """A batch of pictures as pixels. A class, because workers that are spawned get it pickled.

    augment: pictures are changed at random, otherwise in each `epoch`, by a draw that depends on the picture and the
    seed alone. A batch may say which `copy` of its row each one is: of those that are 0, nothing changes. Where batches
    are mixed, the draw goes along: only rows that have one are mixed.
    """

    processor: Any
    augment: Augment | None = None
    seed: int = 0
    epoch: int = 0

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, Any]:
        """Raises InputError that names the picture: its file may have gone since it was inspected, or never been."""
        sources = [bytes_of(source) for source in batch["image"]] if self.augment else batch["image"]
        images = [decoded(source) for source in sources]
        labels = {"labels": batch["labels"]} if "labels" in batch else {}
        if not self.augment:
            return {"pixel_values": list(self.processor(images, return_tensors="pt")["pixel_values"])} | labels
        copies = batch.get("copy", [0] * len(images))
        draws = [self._draw(source, copy) for source, copy in zip(sources, copies, strict=True)]
        change, out = augmenting.pixels_of(self.augment, self.processor), []
        for image, draw in zip(images, draws, strict=True):
            with augmenting.seeded(draw):
                out.append(change(image))
        return {"pixel_values": out} | ({mixing.DRAW: draws} if self.augment.mixes else {}) | labels

    def _draw(self, source: dict[str, Any], copy: int) -> int:
        own = zlib.crc32(source["bytes"] or str(source["path"]).encode())
        return hash((self.seed, self.epoch, own, copy) if copy else (self.seed, self.epoch, own))


def encoder(processor: Any, model: Model, augment: Augment | None = None, seed: int = 0) -> Decoding:
    """What turns a batch of inputs into what the model takes."""
    return Decoding(processor, augment if augment != Augment() else None, seed)


def prepare(
    rows: datasets.Dataset, processor: Any, model: Model, augment: Augment | None = None, seed: int = 0
) -> datasets.Dataset:
    """Rows that decode when read: float pixels on disk would be 40 times the size of the pictures."""
    kept = [name for name in ("image", "labels") if name in rows.column_names]
    return rows.select_columns(kept).with_transform(encoder(processor, model, augment, seed))


def lengths(prepared: datasets.Dataset) -> None:
    """All pictures have one size: their order does not matter."""


def collator(processor: Any) -> Any:
    """Stacks pixels and labels."""
    from transformers import default_data_collator

    return default_data_collator
