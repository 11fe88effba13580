"""Where pictures of a table may lie that somebody else made.

In: rows with paths, and what `Data` says of where they come from. Out: nothing, or one sentence. A table of your own
may name any file that you may read. One from the Hub, an address or an archive may not name files of this machine: what
is trained on is shown in reports, and reports are handed on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from huggingface_hub import constants

from hfft import references, sources
from hfft.errors import InputError, brief
from hfft.recipe import Data

ROLES = ("image", "mask")


def check(rows: datasets.Dataset, data: Data, base: Path) -> None:
    """Raise InputError for the first row of a borrowed table whose picture lies outside of what came with it.

    rows: named by role, nothing decoded. base: the folder that relative paths are counted from.
    """
    named = [role for role in ROLES if role in rows.column_names]
    if not named or not sources.elsewhere(data):
        return
    roots = [os.path.realpath(root) for root in (*_caches(), *([str(base)] if base.is_dir() else []))]
    for role in named:
        for number, path in enumerate(_paths(rows, role), 1):
            if path and not any(_within(_located(path, base), root) for root in roots):
                raise InputError(
                    f"{sources.shown(data)}: row {number:,}: {brief(path)} lies outside of the data; a table that "
                    "comes from the Hub, an address or an archive may name its own files alone. If it may, save the "
                    "table here and name that file"
                )


def _caches() -> list[str]:
    """Where huggingface_hub and `datasets` put what they fetched and unpacked."""
    return [
        constants.HF_HUB_CACHE,
        str(datasets.config.HF_DATASETS_CACHE),
        str(datasets.config.DOWNLOADED_DATASETS_PATH),
    ]


def _located(path: str, base: Path) -> str:
    """As `picture_rows` looks for it: from here, else beside the table."""
    return os.path.realpath(path if references.is_file(path) else base / path)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _paths(rows: datasets.Dataset, role: str) -> Iterator[str | None]:
    """The path of each picture that has no bytes of its own."""
    for batch in rows.with_format("arrow").iter(batch_size=1000):
        column = batch[role].combine_chunks() if isinstance(batch[role], pa.ChunkedArray) else batch[role]
        if pa.types.is_struct(column.type):
            if {"bytes", "path"} - {field.name for field in column.type}:
                return
            paths, held = pc.struct_field(column, "path"), pc.is_valid(pc.struct_field(column, "bytes"))
            yield from pc.if_else(held, pa.scalar(None, paths.type), paths).to_pylist()
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield from column.to_pylist()
        else:
            return
