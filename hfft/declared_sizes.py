"""How much a file of rows becomes in memory and on the disk, found out before its rows are read.

In: files and folders. Out: nothing, or one sentence. Of Parquet and Arrow: a page of 50 KB may stand for a thousand
million equal values, and a text of a megabyte may be named a million times by its number. Both are read without a word,
and fill the memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hfft import archives, arrow_sizes, parquet_sizes, pictures, references

# `datasets` takes rows.csv.jpg, and all that lies in rows.csv.d, for CSV files, and unpacks them by their first bytes.
WITHIN = re.compile(r"\.(?!\d+\.)[^./]+\.")


def look(names: Iterable[str]) -> None:
    """Raise InputError for what would fill memory or disk, or lead out of its archive. names: local files, or folders;
    of those, all but pictures."""
    for path in _files(names):
        try:
            archives.check(path, str(path))
            check(path, str(path))  # whatever it begins with: a Parquet file is told by its end
        except OSError:  # not ours to read: whoever needs it says so
            continue


def packed(names: Iterable[str]) -> bool:
    """Whether any of them is an archive, or packed otherwise. names: as in `look`."""
    return any(map(_is_packed, _files(names)))


def check(path: Path, shown: str) -> None:
    """Raise InputError for a Parquet or Arrow file that becomes too large for its size. What is neither is let pass:
    reading it says so."""
    arrow_sizes.check(path, shown)
    with path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - len(archives.PARQUET)))
        parquet = opened.read() == archives.PARQUET
    if parquet:
        parquet_sizes.check(path, shown)


def _files(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        if references.is_folder(name):
            yield from _held(name)
        elif references.is_file(name):
            yield Path(name)


def _held(folder: str) -> Iterator[Path]:
    """Its files at any depth, but no pictures: there may be a million, and nobody unpacks them. Links to folders are
    not followed, as `datasets` does not."""
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = f"{base}/{name}"
            plain = name.lower().endswith(pictures.ENDINGS) and not WITHIN.search(path)
            if not plain and references.is_file(path):
                yield Path(path)


def _is_packed(path: Path) -> bool:
    try:
        return archives.kind(path) is not None
    except OSError:
        return False
