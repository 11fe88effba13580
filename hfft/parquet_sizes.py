"""What the rows of a Parquet file become in memory, found out before they are read.

In: a file. Out: nothing, or one sentence. Numbers are counted by rows and widths alone, texts and lists by the headers
of their pages, and only texts that are named by number, or continue one another, are looked up where they could be too
many. The sums in the footer are not believed: nobody checks them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hfft import archives, parquet_pages
from hfft.errors import InputError, brief
from hfft.parquet_pages import DATA, DATA_2, DELTA_LENGTHS, DICTIONARY, PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY, Page

ROWS = 65_536  # looked at together
BLOCK = 1 << 28  # bytes of texts that are written out together where they cannot be counted by number
OFFSET = 4  # bytes that a list takes beside what is in it


class Leaf(NamedTuple):
    """A column as the file has it. width: bytes of a value, None for texts.

    times: values of the lists of fixed length around it, which a missing list has as well. loose: lists of any length
    are around it. depth: lists around it.
    """

    kind: pa.DataType
    width: float | None
    times: int
    loose: bool
    depth: int


@dataclass
class Texts:
    """What is in the pages of one column of texts. stored: bytes for certain. more: what repeated ones could add.

    longest: bytes that one text could have. odd: some are written in a way of which pyarrow gives no numbers. times: of
    one row, 0 where there may be any number.
    """

    times: int
    stored: float = 0.0
    more: float = 0.0
    longest: int = 0
    odd: bool = False


@dataclass
class Tally:
    """numbers: bytes for certain of all that is no text. texts: by column. padded: columns of lists of fixed length
    within others → bytes at most, which only reading them all would tell."""

    numbers: float = 0.0
    texts: dict[str, Texts] = field(default_factory=dict)
    padded: dict[str, float] = field(default_factory=dict)

    @property
    def certain(self) -> float:
        return self.numbers + sum(texts.stored for texts in self.texts.values())


def check(path: Path, shown: str) -> None:
    """Raise InputError for a Parquet file that becomes too large for its size. What pyarrow cannot open is let pass:
    reading it says so."""
    size = path.stat().st_size
    limit = archives.allowed(size)
    try:
        file = pq.ParquetFile(path)
        leaves = [leaf for column in file.schema_arrow for leaf in _leaves(column.type)]
    except (pa.ArrowException, OSError, ValueError):
        return
    try:
        tally = _tallied(file.metadata, leaves, path, limit)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{shown} is damaged: {' '.join(str(error).split())[:160]}") from error
    certain = tally.certain
    archives.refuse_bomb(shown, size, int(certain))
    unseen = {name: texts.more for name, texts in tally.texts.items() if texts.odd and not texts.times} | tally.padded
    for name, most in unseen.items():
        if certain + most > limit:
            raise InputError(
                f"{shown}: {size:,} bytes, and column {brief(name)} alone could become {int(most):,}, which only "
                "reading all of it would tell; write the table as jsonl, or leave the column out"
            )
    if certain + sum(texts.more for texts in tally.texts.values()) > limit:
        _count(path, tally, size, shown)


def _leaves(kind: pa.DataType, times: int = 1, loose: bool = False, depth: int = 0) -> Iterator[Leaf]:
    """The columns that a column of the table is made of, in the order of the file."""
    if isinstance(kind, pa.BaseExtensionType):
        yield from _leaves(kind.storage_type, times, loose, depth)
    elif pa.types.is_struct(kind):
        for inside in kind:
            yield from _leaves(inside.type, times, loose, depth)
    elif pa.types.is_map(kind):
        for inside in (kind.key_type, kind.item_type):
            yield from _leaves(inside, times, True, depth + 1)
    elif pa.types.is_fixed_size_list(kind):
        yield from _leaves(kind.value_type, times * kind.list_size, loose, depth)
    elif hasattr(kind, "value_type") and not pa.types.is_dictionary(kind):
        yield from _leaves(kind.value_type, times, True, depth + 1)
    else:
        yield Leaf(kind, _width(kind), times, loose, depth)


def _width(kind: pa.DataType) -> float | None:
    if pa.types.is_null(kind):
        return 0.0
    try:
        return None if pa.types.is_dictionary(kind) else kind.bit_width / 8
    except ValueError:
        return None


def _tallied(meta: Any, leaves: list[Leaf], path: Path, limit: int) -> Tally:
    tally = Tally()
    if len(leaves) != meta.num_columns:
        raise ValueError("its two lists of columns are not the same")
    with path.open("rb") as opened:
        for number in range(meta.num_row_groups):
            group = meta.row_group(number)
            rows = max(group.num_rows, 0)
            for place, leaf in enumerate(leaves):
                if leaf.width is not None and not leaf.loose:
                    tally.numbers += rows * leaf.times * leaf.width
                else:
                    _add(tally, leaf, rows, parquet_pages.of(opened, group.column(place)), group.column(place))
            if tally.certain > limit:
                break
    return tally


def _add(tally: Tally, leaf: Leaf, rows: int, pages: Iterator[Page], column: Any) -> None:
    """Texts, and what is in lists of any length, counted by its pages."""
    name, found = column.path_in_schema, Texts(0 if leaf.loose else leaf.times)
    if leaf.width is None:
        found = tally.texts.setdefault(name, found)
    values = sum(_seen(found, page) for page in pages)
    width = _beside(leaf.kind) if leaf.width is None else leaf.width
    tally.numbers += (values if leaf.loose else rows * leaf.times) * (width + OFFSET * leaf.depth)
    if leaf.loose and leaf.times > 1:
        tally.padded[name] = tally.padded.get(name, 0.0) + values * leaf.times * width


def _seen(found: Texts, page: Page) -> int:
    """The values of a page, with what it holds added to what is known of its column."""
    found.stored += page.size
    if page.kind == DICTIONARY:
        found.longest = max(found.longest, page.size)
    elif page.kind in (DATA, DATA_2):
        if page.encoding in (RLE_DICTIONARY, PLAIN_DICTIONARY):
            found.more += page.values * found.longest
        elif page.encoding != PLAIN:
            found.odd = True
            if page.encoding != DELTA_LENGTHS:  # a text goes on where a part of the one before it ends
                found.longest = max(found.longest, page.size)
                found.more += page.values * page.size
    return page.values


def _beside(kind: pa.DataType) -> int:
    """Bytes that each text takes beside its letters."""
    return 16 if "view" in str(kind) else 8 if "large" in str(kind) else 4


def _count(path: Path, tally: Tally, size: int, shown: str) -> None:
    """Raise InputError as soon as the texts are too many bytes. Those named by number are not spelt out."""
    counted = {name: texts for name, texts in tally.texts.items() if texts.more}
    longest = sum(texts.longest * texts.times for texts in counted.values() if texts.odd)
    rows = max(1, min(ROWS, BLOCK // max(1, longest)))
    total = int(tally.certain - sum(texts.stored for texts in counted.values()))
    tops = sorted({name.partition(".")[0] for name in counted})
    try:
        file = pq.ParquetFile(path, read_dictionary=[name for name, texts in counted.items() if not texts.odd])
        for group in range(file.num_row_groups):  # pyarrow joins no numbers of lists
            for batch in file.iter_batches(rows, [group], tops):
                total += sum(_spelt(column) for column in batch.columns)
                archives.refuse_bomb(shown, size, total, more=True)
    except pa.ArrowNotImplementedError as error:
        raise InputError(
            f"{shown}: whether it fits into memory cannot be told ({error}); write the table as jsonl"
        ) from error
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(f"{shown} is damaged: {' '.join(str(error).split())[:160]}") from error


def _spelt(column: pa.Array) -> int:
    """Bytes of the texts of a column, as if each that is named by a number were written out. Numbers count nothing."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(column.dictionary).cast(pa.int64())
        return pc.sum(lengths.take(column.indices)).as_py() or 0
    parts = inside(column)
    if parts is None:
        return int(column.nbytes) if _width(kind) is None else 0
    return sum(map(_spelt, parts))


def inside(column: pa.Array) -> list[pa.Array] | None:
    """The columns that a column, no dictionary, is made of; None where it holds its values itself."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return [column.storage]
    if pa.types.is_struct(kind):
        return list(column.flatten())
    if pa.types.is_map(kind):
        return [column.keys, column.items]
    return [column.flatten()] if hasattr(kind, "value_type") else None
