"""Rows with a picture and its mask: read, checked against each other, and made alike whatever they were drawn in.

In: `Data`, and a table of pictures and masks as people store them. Out: rows with a canonical mask (see masks.py),
`label` (the text of the classes that occur in it, see labelsets.py), `pixels` (of each class, int64), `id`, `key` and
`print`. It must not know models, or how rows are split.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from hfft import bad_rows, labelsets, mask_classes, mask_folders, masks, perceptual, picture_rows, pictures, scenes
from hfft.errors import InputError, counted
from hfft.masks import Legend
from hfft.recipe import Data
from hfft.sources import beside, shown
from hfft.steering import on_one_line

CHUNK = 256  # rows whose files are held at once
PICTURE = datasets.Image(decode=False)
FOUND = {
    "mask": PICTURE,
    "label": datasets.Value("string"),
    "pixels": datasets.List(datasets.Value("int64")),
    "id": datasets.Value("string"),
    "key": datasets.Value("string"),
    "print": datasets.Value("binary"),
    "problem": datasets.Value("string"),
}
Tables = Callable[[], tuple[datasets.Dataset, dict[str, int], tuple[str, ...]]]


@dataclass(frozen=True)
class Scenes:
    """rows: the usable ones. declared: all classes, in the order of their ids. dropped: sentences."""

    rows: datasets.Dataset
    declared: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def read(data: Data, tables: Tables) -> Scenes:
    """All rows of the data. tables: reads it where it is no folder of pictures: (rows, split → rows, sentences).

    Raises InputError for folders, classes and rows that cannot be used.
    """
    if scenes.wanted(data):
        return Scenes(inspected(scenes.read(data), scenes.LEGEND).remove_columns("problem"), scenes.NAMES)
    found = mask_folders.find(data)
    sizes: dict[str, int] = {}
    said: tuple[str, ...] = ()
    if found is not None:
        rows, folders = _of_pairs(found.pairs), found.roots
    else:
        (rows, sizes, said), folders = tables(), _folders(data)
    if not len(rows):
        raise InputError(f"{shown(data)}: there are no rows in it")
    legend = mask_classes.legend(data, folders, partial(_held, rows))
    whole = inspected(rows, legend)
    bad = {i: why for i, why in enumerate(whole["problem"][:]) if why}
    bad |= {i: why for i, why in bad_rows.undealt(whole).items() if i not in bad}
    rows = whole.remove_columns("problem")
    dropped = bad_rows.sentence(bad, sizes, shown(data), found is not None)
    if bad and data.on_bad_rows == "fail":
        raise InputError(bad_rows.refusal(dropped, data, found is not None))
    if bad:
        rows = rows.select([i for i in range(len(rows)) if i not in bad])
    _enough(rows, data, dropped if bad else "")
    return Scenes(rows, legend.names, (*said, *((dropped,) if bad else ())))


def inspected(rows: datasets.Dataset, legend: Legend) -> datasets.Dataset:
    """The rows with all columns of FOUND; `problem` says why a row cannot be used, or is None.

    rows: with `image` and `mask`, both {"bytes": …, "path": …}, undecoded. Each file is decoded once.
    """
    count: Counter[str] = Counter()

    def look(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(partial(_look, legend), batch["image"], batch["mask"]))
        for row in found:
            plain = row["id"]
            content, _, rest = plain.partition("-")
            if repeats := count[plain]:
                row["id"] = f"{content}.{repeats}-{rest}"
            count[plain] += row["problem"] is None
        return {name: [row[name] for row in found] for name in FOUND}

    kept = rows.remove_columns([name for name in rows.column_names if name not in ("image", "mask")])
    seen = kept.map(
        look,
        batched=True,
        batch_size=CHUNK,
        remove_columns=kept.column_names,
        features=datasets.Features(FOUND),
        load_from_cache_file=False,
        new_fingerprint=uuid.uuid4().hex,
    )
    return datasets.concatenate_datasets([rows.remove_columns("mask"), seen], axis=1)


def _look(legend: Legend, image: dict[str, Any] | None, mask: dict[str, Any] | None) -> dict[str, Any]:
    """One row of FOUND."""
    out: dict[str, Any] = dict.fromkeys(FOUND) | {"id": ""}
    image, mask = image or {"path": None, "bytes": None}, mask or {"path": None, "bytes": None}
    where, name = _name(mask), _name(image)
    out["mask"] = {"path": mask["path"] or "", "bytes": None}
    try:
        picture = pictures.rgb(image)
    except ValueError as error:
        lone = error.args[0] == "the image is missing" and bool(where)
        return out | {"problem": f"{where}: there is no image for this mask" if lone else _said(name, error)}
    try:
        ids = legend.read(mask)
    except ValueError as error:
        lone = error.args[0] == "the mask is missing" and bool(name)
        return out | {"problem": f"{name}: there is no mask for this image" if lone else _said(where or name, error)}
    out["key"] = picture_rows.digest(picture)
    out["id"] = f"{out['key']}-{masks.digest(ids, legend.names)}"
    if ids.shape != (picture.height, picture.width):
        sizes = f"{ids.shape[1]} x {ids.shape[0]} pixels, and its image {picture.width} x {picture.height}"
        return out | {"problem": _said(where or name, f"the mask has {sizes}{_turned(image, ids)}")}
    pixels = masks.pixels(ids, len(legend.names))
    if not pixels.any():
        return out | {"problem": _said(where or name, "no pixel of the mask counts: all have the id that is ignored")}
    held = [name for name, n in zip(legend.names, pixels, strict=True) if n]
    out |= {"label": labelsets.text(held), "pixels": pixels.tolist(), "print": perceptual.fingerprint(picture)}
    # No path: `datasets` drops the bytes of a row whose path is a file that is there, and these are not the file's.
    out["mask"] = {"path": "", "bytes": masks.encode(ids, len(legend.names))}
    return out


def _turned(image: dict[str, Any], ids: np.ndarray) -> str:
    """A hint where the picture lies on its side, and the mask was drawn on it as it lies."""
    stored = pictures.decoded(image, lambda opened, _: opened.size, "image")
    return " once it is turned upright, as its EXIF data says" if stored == ids.shape[::-1] else ""


def _name(source: dict[str, Any]) -> str:
    return on_one_line((source["path"] or "")[:200])  # a column of base64 is taken for paths


def _said(where: str, why: object) -> str:
    return f"{where}: {why}" if where else str(why)


def _of_pairs(pairs: Sequence[mask_folders.Pair]) -> datasets.Dataset:
    columns: dict[str, list[Any]] = {
        role: [{"path": str(path or ""), "bytes": None} for path in paths]
        for role, paths in (("image", [p.image for p in pairs]), ("mask", [p.mask for p in pairs]))
    }
    features = {"image": PICTURE, "mask": PICTURE}
    if any(pair.split for pair in pairs):
        columns["split"] = [pair.split for pair in pairs]
        features["split"] = datasets.Value("string")
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def _folders(data: Data) -> list[Path]:
    """Where the classes file of a table may lie."""
    names = list(data.data_files) if isinstance(data.data_files, dict) else ["train"]
    return list(dict.fromkeys(beside(data, name) for name in names))


def _held(rows: datasets.Dataset) -> set[int]:
    """All ids that the masks hold; of those that cannot be read, `inspected` tells."""
    out: set[int] = set()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in _chunks(rows):
            out.update(*pool.map(_ids, part))
    return out


def _chunks(rows: datasets.Dataset) -> Iterator[list[Any]]:
    for start in range(0, len(rows), CHUNK):
        yield rows.select(range(start, min(start + CHUNK, len(rows))))["mask"][:]


def _ids(source: dict[str, Any] | None) -> list[int]:
    try:
        return np.unique(masks.values(source or {"path": None, "bytes": None})).tolist()  # type: ignore[no-any-return]
    except ValueError:
        return []


def _enough(rows: datasets.Dataset, data: Data, dropped: str) -> None:
    """Raise InputError where there are fewer images than splits to fill."""
    have = set(rows["split"][:]) if "split" in rows.column_names else {"train"}
    wanted = ["train", *(name for name in ("validation", "test") if name not in have)]
    mine = [i for i, place in enumerate(rows["split"][:]) if place == "train"] if len(have) > 1 else range(len(rows))
    if len(mine) >= len(wanted):
        return
    which = ", ".join(_name(rows[i]["image"]) or f"row {i + 1}" for i in mine)
    there = f"there {'is' if len(mine) == 1 else 'are'} only {counted(len(mine), 'image')} to train on ({which})"
    there = there if mine else "there is no image to train on"
    need = f"at least {len(wanted)}, one each for {', '.join(wanted)}" if wanted[1:] else "at least one"
    raise InputError(f"{f'{dropped}. Then' if dropped else f'{shown(data)}:'} {there}; expected {need}")
