"""Batches of a stream: read, made usable and dealt, each by itself.

In: `Data` with `streaming`, and the modality. Out: source splits as streams, usable rows of a batch, and the split that
each row goes to by its own content. It must not know what has been in other batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import pyarrow as pa

from hfft import bad_rows, labelling, labelsets, loading, pictures, sources
from hfft.dealing import by_hash
from hfft.errors import InputError
from hfft.recipe import Data
from hfft.records import SPLITS
from hfft.sources import shown

BATCH = 2_000  # rows read, dealt and forgotten together


@dataclass(frozen=True)
class Usable:
    """One batch: usable rows, its classes as read, the declared order, unusable rows, rows read up to its end.

    several: whether a row has more than one class.
    """

    rows: datasets.Dataset
    classes: Counter[str]
    declared: tuple[str, ...]
    bad: int
    end: int
    several: bool = False


def parts(data: Data, modality: ModuleType) -> dict[str, datasets.IterableDataset]:
    """Source splits as streams, test before validation before train."""
    if data.split.by not in ("hash", "predefined"):
        raise InputError(f"data.streaming: rows cannot be dealt by {data.split.by}; type data.split.by=hash")
    if data.limit:
        raise InputError(
            "data.streaming: data.limit needs all rows at once; set train.max_steps and split shares instead"
        )
    if "image" in modality.ROLES and sources.image_folder(data):
        raise InputError("data.streaming: a folder of pictures is read by its paths already; type data.streaming=false")
    parts = sources.load(data)
    if data.split.by == "predefined":
        parts, _ = loading.official_parts(parts, data)
    late = {name: SPLITS.index(pictures.SPLIT_NAMES.get(name.lower(), "train")) for name in parts}
    out = {}
    for name in sorted(parts, key=lambda name: -late[name]):
        part = parts[name]
        for column, feature in (part.features or {}).items():
            if isinstance(feature, datasets.Image):
                part = part.cast_column(column, datasets.Image(decode=False))
        out[name] = part
    return out


def batches(part: datasets.IterableDataset) -> Iterator[dict[str, list[Any]]]:
    """Raw rows, BATCH at a time. Raises InputError where the data cannot be read to its end."""
    try:
        yield from part.iter(batch_size=BATCH)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"the data cannot be read to its end: {' '.join(str(error).split())[:300]}") from error


def usable(
    batch: dict[str, list[Any]], features: Any, base: Path, data: Data, modality: ModuleType, start: int
) -> Usable:
    """Columns by role, labels by name, ids and keys: what `loading.read` does, for one batch.

    base: folder that paths of pictures are counted from, `sources.beside` of the part.
    """
    part = datasets.Dataset.from_dict(batch, features=features)
    table = loading.by_role(part, data, modality, base)
    given = [label for label in table.rows["label"][:] if label is not None]
    classes = labelsets.count(given, data.multi_label)
    rows, bad = loading.identified(loading.named(table, data).rows, modality)
    if bad and data.on_bad_rows == "fail":
        numbered = {start + index: why for index, why in bad.items()}
        raise InputError(
            f"{bad_rows.sentence(numbered, {}, shown(data))}. Mend them, or leave them out with data.on_bad_rows=drop"
        )
    end = start + len(part)
    return Usable(rows, classes, table.declared, len(bad), end, labelling.plural(given, data))


def keyed(batch: dict[str, list[Any]], features: Any, base: Path, data: Data, modality: ModuleType) -> datasets.Dataset:
    """The usable rows of a batch with `label`, `key` and perhaps `group`: what dealing needs, and no more."""
    part = datasets.Dataset.from_dict(batch, features=features)
    rows = loading.named(loading.by_role(part, data, modality, base), data).rows
    keys = modality.keys({role: rows[role][:] for role in modality.ROLES if role in rows.column_names})
    needed = zip(keys, rows["label"][:], groups(rows) or keys, strict=True)
    usable = [i for i, values in enumerate(needed) if None not in values]
    return rows.add_column("key", keys, feature=datasets.Value("string")).select(usable)


def groups(rows: datasets.Dataset) -> list[str] | None:
    """Group of each row, where there are groups."""
    return list(rows["group"][:]) if "group" in rows.column_names else None


def official(parts: Iterable[str], data: Data) -> tuple[str, ...]:
    """The splits that the data has itself; none where all rows are dealt."""
    if data.split.by == "hash":
        return ()
    return tuple({pictures.SPLIT_NAMES[name.lower()]: None for name in parts})


def dealt(keys: list[str], groups: list[str] | None, name: str, have: tuple[str, ...], data: Data) -> list[str]:
    """Split of each row, copies not regarded. name: of the part they come from. have: splits the data has itself."""
    if have and (own := pictures.SPLIT_NAMES[name.lower()]) != "train":
        return [own] * len(keys)
    shares = {split: getattr(data.split, split) for split in SPLITS if split == "train" or split not in have}
    total = sum(shares.values())
    return by_hash(groups or keys, {split: share / total for split, share in shares.items()}, data.split.salt)
