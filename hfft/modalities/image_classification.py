"""Pictures into classes.

In: rows with an `image` (bytes or a path, not decoded). Out: `pixel_values` as the checkpoint's own processor makes
them. A modality must not know where rows come from, how they were split or what is done with the outputs.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import datasets
import numpy as np
from PIL import Image

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
    pixels,
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

T = TypeVar("T")
PLACE = "place"  # of a row among those whose pictures are kept


@dataclass
class Decoding:
    """A batch of pictures as pixels. A class, because workers that are spawned get it pickled.

    augment: pictures are changed at random, otherwise in each `epoch`, by a draw that depends on the picture and the
    seed alone. A batch may say which `copy` of its row each one is: of those that are 0, nothing changes. Where batches
    are mixed, the draw goes along: only rows that have one are mixed. training: pixels within 2 of 255 of the
    processor's will do (see fitted_pixels.py); the model is judged by the processor's own. kept: pictures of
    earlier epochs, by the `place` that rows have then.
    """

    processor: Any
    augment: Augment | None = None
    seed: int = 0
    epoch: int = 0
    training: bool = False
    kept: Any = None

    def __post_init__(self) -> None:
        self.fitting = None if self.augment else _fitting(self.processor)

    @property
    def keeps(self) -> bool:
        """Whether pictures are the same in each epoch up to what is drawn, so that they can be kept until then."""
        return self.fitting is not None if self.augment is None else self.augment.crop is None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, height, width) of what is kept of each row."""
        if self.fitting is None:
            return augmenting.geometry(self.processor)["input_size"]  # type: ignore[no-any-return]
        return tuple(self.fitting.resize(np.zeros((64, 64, 3), np.uint8)).shape)

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, Any]:
        """`pixel_values`: uint8, which `Collation` makes numbers of, or where pictures change at random float.

        Raises InputError that names the picture: its file may have gone since it was inspected, or never been.
        """
        sources = batch["image"]
        places = batch.get(PLACE, [None] * len(sources))
        labels = {"labels": batch["labels"]} if "labels" in batch else {}
        if not self.augment:
            return {"pixel_values": self._plain(sources, places)} | labels
        sources = [bytes_of(source) for source in sources]
        copies = batch.get("copy", [0] * len(sources))
        draws = [self._draw(source, copy) for source, copy in zip(sources, copies, strict=True)]
        (fixed, change), out = augmenting.steps_of(self.augment, self.processor), []
        for image, draw in zip(_each(partial(self._before, fixed), sources, places), draws, strict=True):
            with augmenting.seeded(draw):
                out.append(change(image))
        return {"pixel_values": out} | ({mixing.DRAW: draws} if self.augment.mixes else {}) | labels

    def _plain(self, sources: list[dict[str, Any]], places: list[int | None]) -> list[Any]:
        fitting = self.fitting
        if fitting is None:  # a processor that does more than resize and scale
            return list(self.processor([decoded(source) for source in sources], return_tensors="pt")["pixel_values"])
        resize = fitting.quick if self.training else fitting.resize

        def one(source: dict[str, Any], place: int | None) -> Any:
            return self._known(place, lambda: resize(pixels(source)))

        return _each(one, sources, places)

    def _before(self, fixed: Any, source: dict[str, Any], place: int | None) -> Image.Image:
        """The picture before anything is drawn."""
        if fixed is None:
            return Image.fromarray(pixels(source))
        made = self._known(place, lambda: fixed(pixels(source)))
        return Image.fromarray(made.permute(1, 2, 0).numpy())

    def _known(self, place: int | None, make: Callable[[], Any]) -> Any:
        return make() if self.kept is None or place is None else self.kept.get(place, make)

    def _draw(self, source: dict[str, Any], copy: int) -> int:
        own = zlib.crc32(source["bytes"] or str(source["path"]).encode())
        return hash((self.seed, self.epoch, own, copy) if copy else (self.seed, self.epoch, own))


def encoder(processor: Any, model: Model, augment: Augment | None = None, seed: int = 0) -> Decoding:
    """What turns a batch of inputs into what the model takes. augment: of training rows, even where it is empty."""
    return Decoding(processor, augment if augment != Augment() else None, seed, training=augment is not None)


def prepare(
    rows: datasets.Dataset, processor: Any, model: Model, augment: Augment | None = None, seed: int = 0
) -> datasets.Dataset:
    """Rows that decode when read: float pixels on disk would be 40 times the size of the pictures."""
    kept = [name for name in ("image", "labels") if name in rows.column_names]
    return rows.select_columns(kept).with_transform(encoder(processor, model, augment, seed))


def keep(prepared: datasets.Dataset, kept: Any) -> datasets.Dataset:
    """The same rows, whose pictures are looked for in `kept` before they are decoded, and left there."""
    decoding = replace(prepared.format["format_kwargs"]["transform"], kept=kept)
    return prepared.with_format(None).add_column(PLACE, list(range(len(prepared)))).with_transform(decoding)


def lengths(prepared: datasets.Dataset) -> None:
    """All pictures have one size: their order does not matter."""


def collator(processor: Any) -> Any:
    """Stacks pixels and labels."""
    return Collation(processor)


@dataclass
class Collation:
    """Rows as a batch. uint8 pixels become numbers here, all at once: until then they are a quarter as large."""

    processor: Any

    def __post_init__(self) -> None:
        self.fitting = _fitting(self.processor)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        import torch
        from transformers import default_data_collator

        from hfft import fitted_pixels

        first = rows[0]["pixel_values"]
        if self.fitting is None or getattr(first, "dtype", None) != torch.uint8:
            return default_data_collator(rows)  # type: ignore[no-any-return]
        rest = [{name: value for name, value in row.items() if name != "pixel_values"} for row in rows]
        scaled = self.fitting.scale(fitted_pixels.stacked([row["pixel_values"] for row in rows]))
        return {"pixel_values": scaled} | (default_data_collator(rest) if rest[0] else {})


def _fitting(processor: Any) -> Any:
    from hfft import fitted_pixels

    return fitted_pixels.of(processor)


def _each(make: Callable[..., T], sources: list[dict[str, Any]], places: list[int | None]) -> list[T]:
    """`make` of every picture and its place, by all threads of the process; a worker is one of several already."""
    import torch

    threads = 1 if torch.utils.data.get_worker_info() else min(torch.get_num_threads(), len(sources))
    if threads < 2:
        return list(map(make, sources, places))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(make, sources, places))
