"""Rows with a picture, for every task whose inputs are pictures: typed, inspected, described, changed.

In: rows with an `image` (bytes or a path, not decoded). Out: digests, prints, sizes, traits, and the same rows with
other pictures. It must not know what is learnt of the pictures.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import datasets
import numpy as np
import pyarrow.compute as pc
from PIL import Image

from hfft import augmenting, jpegs, perceptual, picture_sizes, picture_traits, pictures, references
from hfft.errors import InputError
from hfft.measures import Measured
from hfft.neighbours import Matches
from hfft.recipe import Model
from hfft.steering import on_one_line

CHUNK = 1000  # pictures whose bytes are held at once
PICTURE = datasets.Features({"image": datasets.Image(decode=False)})

T = TypeVar("T")


def check_types(rows: datasets.Dataset, base: Path | None) -> datasets.Dataset:
    """Images, and masks where there are any, undecoded; a column of text is taken for paths, absolute, from here, or
    from the table's folder."""
    for role in [name for name in ("image", "mask") if name in rows.column_names]:
        rows = _undecoded(rows, role, base)
    return rows


def _undecoded(rows: datasets.Dataset, role: str, base: Path | None) -> datasets.Dataset:
    feature = rows.features[role]
    if isinstance(feature, datasets.Image):
        return rows.cast_column(role, datasets.Image(decode=False))
    if isinstance(feature, dict) and {"bytes", "path"} <= set(feature) and is_bytes(feature["bytes"]):
        return rows.cast_column(role, datasets.Image(decode=False))
    if is_bytes(feature):
        images = [{"path": "", "bytes": data} for data in rows[role][:]]
    elif getattr(feature, "dtype", "") in ("string", "large_string"):
        found = [
            path if not path or references.is_file(path) or base is None else str(base / path) for path in rows[role][:]
        ]
        images = [{"path": path or "", "bytes": None} for path in found]
    else:
        raise InputError(f"column for {role!r} holds {getattr(feature, 'dtype', feature)}: expected images or paths")
    made = datasets.Dataset.from_dict({role: images}, datasets.Features({role: datasets.Image(decode=False)}))
    others = rows.remove_columns(role)
    return datasets.concatenate_datasets([others, made], axis=1) if others.column_names else made


def inspect(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Per row: content and key (digest of the decoded pixels, not of the file), print, problem (or None)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(_inspect_one, batch["image"]))
    digests, prints, problems = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
    return {"content": digests, "key": digests, "print": prints, "problem": problems}


def keys(batch: dict[str, list[Any]]) -> list[str | None]:
    """The key of each picture as `inspect` makes it, None where it cannot be used; no prints, which take longer."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_key, batch["image"]))


def near(rows: datasets.Dataset, part: np.ndarray, seed: int, least: float) -> Matches:
    """Each row's copy in every other part, by its print; part: int (n,). The search sets its threshold by the data."""
    return perceptual.matches(rows["print"][:], part, seed)


def extents(rows: datasets.Dataset) -> np.ndarray:
    """Bytes of each picture's file, int (n,): which rows will take the most memory until they are resized."""
    column = rows.with_format("arrow")["image"][:]
    held = pc.fill_null(pc.binary_length(pc.struct_field(column, "bytes")), 0).to_numpy(zero_copy_only=False)
    paths = pc.struct_field(column, "path").to_pylist()
    return np.array([n or _file_size(path) for n, path in zip(held, paths, strict=True)])


def preview(row: dict[str, Any]) -> dict[str, Any]:
    """What a person is shown of a row."""
    return {"text": None, "text_pair": None, "image": pictures.thumbnail(pictures.rgb(row["image"]))}


def line(row: dict[str, Any]) -> str:
    """The file and its size as one line; nothing for a picture within a table, which has no name to look it up by."""
    found, path = _header(row["image"]), row["image"]["path"]
    return f"{path}  {found.width} x {found.height} {found.mode}" if path else ""


def profile(rows: datasets.Dataset, processor: Any | None, model: Model, batch: int) -> Measured:
    """Sizes, colour modes and shapes from the files' headers: decoding them all again would take minutes.

    batch: of no account, since all pictures become one size.
    """
    side = min(augmenting.geometry(processor)["input_size"][1:]) if processor else model.side
    return picture_sizes.measure(*headers(rows), side)


def headers(rows: datasets.Dataset) -> tuple[list[pictures.Header], list[str]]:
    """(what the files' first bytes say, what to call each picture), in the order of the rows."""
    found: list[pictures.Header] = []
    names: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(rows), CHUNK):
            part = list(rows.select(range(start, min(start + CHUNK, len(rows)))))
            found += pool.map(_header, (row["image"] for row in part))
            names += map(_name, part)
    return found, names


def attributes(rows: datasets.Dataset, processor: Any) -> dict[str, Any]:
    """What each picture looks like: attribute → numbers or text (n,)."""
    found: list[dict[str, Any]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(rows), CHUNK):
            part = rows.select(range(start, min(start + CHUNK, len(rows))))["image"][:]
            found += pool.map(lambda source: picture_traits.of(decoded(source)), part)
    return {name: [row[name] for row in found] for name in found[0]} if found else {}


def as_rows(inputs: list[Any]) -> datasets.Dataset:
    """Paths, bytes or PIL pictures as rows. Raises InputError for a path where there is no file."""
    return datasets.Dataset.from_dict({"image": sources(inputs)}, features=PICTURE)


def sources(inputs: Sequence[Any]) -> list[dict[str, Any]]:
    """The same as what `decoded` takes."""
    for x in inputs:
        if isinstance(x, (str, os.PathLike)) and not references.is_file(x):
            raise InputError(f"{x}: no such file (current folder: {Path.cwd()})")
    return [
        {"path": str(x), "bytes": None}
        if isinstance(x, (str, os.PathLike))
        else {"path": None, "bytes": x}
        if isinstance(x, bytes)
        else datasets.Image().encode_example(x)
        for x in inputs
    ]


def contents(rows: datasets.Dataset, processor: Any) -> tuple[list[Image.Image], bool]:
    """(RGB pictures for a probe to change, whether any of them was made smaller first).

    What is strong at the size a model sees would be nothing on a photograph of many times that size.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = list(pool.map(decoded, rows["image"][:]))
    side = min(augmenting.geometry(processor)["input_size"][1:])
    small = [pictures.at_most(image, side) for image in images]
    return small, any(now is not then for now, then in zip(small, images, strict=True))


def changed(rows: datasets.Dataset, items: list[Image.Image]) -> datasets.Dataset:
    """The same rows with other pictures, without loss."""
    kept = rows.remove_columns([name for name in ("image", "print") if name in rows.column_names])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = [{"path": None, "bytes": data} for data in pool.map(pictures.png, items)]
    return datasets.concatenate_datasets([kept, datasets.Dataset.from_dict({"image": images}, PICTURE)], axis=1)


def _name(row: dict[str, Any]) -> str:
    """The file, or for a picture within a table the beginning of the row's id."""
    return row["image"]["path"] or f"row {row['id'][:12]}"


def _header(source: dict[str, Any]) -> pictures.Header:
    try:
        return pictures.header(source)
    except OSError as error:
        raise InputError(f"{source['path']}: the picture cannot be read any more; it could a moment ago") from error


def is_bytes(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("binary", "large_binary")


def bytes_of(source: dict[str, Any]) -> dict[str, Any]:
    """The same with the file's bytes: what is drawn for a picture must not depend on the folder that it lies in."""
    with contextlib.suppress(OSError):  # of a file that has gone, decoding says so
        return source if source["bytes"] else {**source, "bytes": Path(source["path"]).read_bytes()}
    return source


def decoded(source: dict[str, Any]) -> Image.Image:
    """As `pictures.rgb`. Raises InputError that names the picture."""
    return _named(pictures.rgb, source)


def pixels(source: dict[str, Any]) -> np.ndarray:
    """The same as uint8 (height, width, 3), and sooner."""
    return _named(jpegs.pixels, source)


def _named(read: Callable[[dict[str, Any]], T], source: dict[str, Any]) -> T:
    try:
        return read(source)
    except ValueError as error:
        named = on_one_line(source["path"]) if source["path"] else "a picture given as bytes"
        raise InputError(f"{named}: {error}") from error


def _file_size(path: str | None) -> int:
    return Path(path).stat().st_size if path and Path(path).is_file() else 0


def _inspect_one(source: dict[str, Any] | None) -> tuple[str, bytes | None, str | None]:
    """(digest of the pixels, what look-alikes are found by, problem)."""
    if source is None:
        return "", None, "the image is missing"
    try:
        image = pictures.rgb(source)
    except ValueError as error:
        where = (
            f"{on_one_line(source['path'][:200])}: " if source["path"] else ""
        )  # a column of base64 is taken for paths
        return "", None, f"{where}{error}"
    return digest(image), perceptual.fingerprint(image), None


def _key(source: dict[str, Any] | None) -> str | None:
    try:
        return None if source is None else digest(pictures.rgb(source))
    except ValueError:
        return None  # told by `inspect`, which a stream is surveyed with


def digest(image: Image.Image) -> str:
    """What two pictures share whose pixels are equal, however they were stored."""
    found = hashlib.blake2b(repr(image.size).encode(), digest_size=16)
    found.update(image.tobytes())
    return found.hexdigest()
