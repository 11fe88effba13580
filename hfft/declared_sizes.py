"""How much a file of rows becomes in memory and on the disk, found out before its rows are read.

In: files and folders. Out: nothing, or one sentence. Of Parquet: a page of 50 KB may stand for a thousand million equal
values, and a text of a megabyte may be named a million times by its number. Both are read without a word, and fill the
memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hfft import archives, references

WIDTHS = {"BOOLEAN": 0.125, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}  # bytes in memory
TEXTS = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
ROWS = 65_536  # looked at together
MAGIC = b"PAR1"


def look(names: Iterable[str]) -> None:
    """Raise InputError for what would fill memory or disk, or lead out of its archive. names: local files, or folders;
    of those, files by their endings."""
    for name in names:
        found = [Path(name)]
        if references.is_folder(name):
            held = (path for path in Path(name).rglob("*") if path.suffix.lower() in (*archives.ENDINGS, ".parquet"))
            found = sorted(held)
        for path in found:
            if references.is_file(path) and archives.check(path, str(path)) is None:
                check(path, str(path))


def check(path: Path, shown: str) -> None:
    """Raise InputError for a Parquet file that becomes too large for its size. What is no Parquet file is let pass:
    reading it says so."""
    size = path.stat().st_size
    with path.open("rb") as begun:
        if begun.read(len(MAGIC)) != MAGIC:
            return
    try:
        file = pq.ParquetFile(path)
        stored, named = _by_the_footer(file.metadata, archives.allowed(size))
        archives.refuse_bomb(shown, size, int(stored))
        if named:
            _check_named(path, named, size, int(stored), shown)
    except (pa.ArrowException, OSError, ValueError):
        return


def _by_the_footer(meta: Any, limit: int) -> tuple[float, list[str]]:
    """(bytes as the footer has it, columns of texts in which a number may stand for more)."""
    stored, bound = 0.0, 0.0
    named: dict[str, None] = {}
    for group in range(meta.num_row_groups):
        for place in range(meta.num_columns):
            column = meta.row_group(group).column(place)
            held = max(column.total_uncompressed_size, 0)
            if column.physical_type in TEXTS:
                stored += held
                if column.has_dictionary_page:
                    bound += held * max(column.num_values, 0)
                    named[column.path_in_schema] = None
            else:
                stored += max(held, WIDTHS.get(column.physical_type, 8) * max(column.num_values, 0))
    return stored, list(named) if bound > limit else []


def _check_named(path: Path, columns: list[str], size: int, stored: int, shown: str) -> None:
    """Raise InputError as soon as the texts that are named by number are too many bytes; they are not spelt out."""
    file = pq.ParquetFile(path, read_dictionary=columns)
    tops = sorted({name.partition(".")[0] for name in columns})
    total = stored
    for batch in file.iter_batches(ROWS, columns=tops):
        total += sum(_spelt(column) for column in batch.columns)
        archives.refuse_bomb(shown, size, total, more=True)


def _spelt(column: pa.Array) -> int:
    """Bytes of the texts that a column names by number, as if each were written out."""
    if pa.types.is_dictionary(column.type):
        kind = column.dictionary.type
        if not len(column.dictionary) or not (pa.types.is_binary(kind) or pa.types.is_string(kind)):
            return 0
        lengths = pc.binary_length(column.dictionary).cast(pa.int64())
        return pc.sum(lengths.take(column.indices)).as_py() or 0
    if pa.types.is_struct(column.type) or pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        inside = column.flatten()
        return sum(map(_spelt, inside)) if isinstance(inside, list) else _spelt(inside)
    return 0
