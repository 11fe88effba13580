"""The pages of a Parquet file, by the headers that stand before each of them.

In: an open file, and what its footer says of a column. Out: what each page becomes, and how its values are written.
Nothing is unpacked. The footer's own sums are not believed: pyarrow reads by the headers, refuses a page that is not as
long as its header says, and never looks at the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

DATA, DICTIONARY, DATA_2 = 0, 2, 3  # kinds of pages
PLAIN, PLAIN_DICTIONARY, DELTA_LENGTHS, RLE_DICTIONARY = 0, 2, 6, 8  # how values are written
LONGEST = 16 << 20  # bytes of a header, as pyarrow has it
FIRST = 512  # bytes in which nearly every header ends
SPARE = 100  # bytes that old writers left out of a column's length, which pyarrow adds
DEPTH = 64
I32, STRUCT = 5, 12  # types of the compact protocol
FIXED = {1: 0, 2: 0, 3: 1, 7: 8, 13: 16}  # bytes of the others that have a length of their own: 1 and 2 are in the type


class Page(NamedTuple):
    """size: bytes when unpacked. encoding, values: of a data page; a dictionary has no values here."""

    kind: int
    size: int
    encoding: int
    values: int


def of(opened: BinaryIO, column: Any) -> Iterator[Page]:
    """The pages that pyarrow would read. column: `ColumnChunkMetaData`. Raises ValueError where a header is none."""
    at, first = column.data_page_offset, column.dictionary_page_offset
    if column.has_dictionary_page and first is not None and 0 < first < at:
        at = first
    end, seen = at + column.total_compressed_size + SPARE, 0
    while seen < column.num_values and at < end:
        found = _header(opened, at, column)
        if found is None:
            return
        fields, length = found
        kind, size, packed = (fields.get((number, I32), -1) for number in (1, 2, 3))
        if min(size, packed) < 0:
            raise _damaged(column, at)
        inner = fields.get(({DATA: 5, DATA_2: 8}.get(kind, 7), STRUCT), {})
        values = max(inner.get((1, I32), 0), 0) if kind in (DATA, DATA_2) else 0
        # What is not packed is as long as it lies there, whatever the other number says.
        yield Page(kind, max(size, packed), inner.get((4 if kind == DATA_2 else 2, I32), -1), values)
        at, seen = at + length + packed, seen + values


def _header(opened: BinaryIO, at: int, column: Any) -> tuple[dict[tuple[int, int], Any], int] | None:
    """(fields by number and type, bytes that they take), or None at the end of the file."""
    window = FIRST
    while True:
        opened.seek(at)
        data = opened.read(window)
        if not data:
            return None
        reader = _Compact(data)
        try:
            return reader.struct(), reader.at
        except IndexError:
            if len(data) < window or window >= LONGEST:
                raise _damaged(column, at) from None
            window *= 8
        except ValueError:
            raise _damaged(column, at) from None


def _damaged(column: Any, at: int) -> ValueError:
    return ValueError(f"no page of column {column.path_in_schema!r} begins at byte {at:,}")


class _Compact:
    """Thrift's compact protocol: IndexError where the bytes end too early, ValueError for what it does not have.

    Fields are kept by number and type: a reader passes over a number that comes with another type than it knows.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[tuple[int, int], Any]:
        if depth > DEPTH:
            raise ValueError("too deep")
        fields: dict[tuple[int, int], Any] = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = (number + step if step else _signed(self._varint())) & 0xFFFF
            fields[number, kind] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in FIXED:
            return self._pass(FIXED[kind])
        if kind in (4, 5, 6):
            # Thrift keeps the lower 32 bits of a longer number.
            return _signed(self._varint() & (0xFFFFFFFF if kind == I32 else -1))
        if kind == 8:
            return self._pass(self._varint())
        if kind in (9, 10):
            head = self._byte()
            self._values(head >> 4 if head >> 4 < 15 else self._varint(), [head & 15], depth)
        elif kind == 11:
            if size := self._varint():
                head = self._byte()
                self._values(size, [head >> 4, head & 15], depth)
        elif kind == STRUCT:
            return self.struct(depth + 1)
        else:
            raise ValueError("no such type")
        return None

    def _values(self, size: int, kinds: list[int], depth: int) -> None:
        if depth > DEPTH:
            raise ValueError("too deep")
        for _ in range(size):
            for kind in kinds:
                if kind in (1, 2):  # which take a byte here
                    self._pass(1)
                else:
                    self._value(kind, depth + 1)

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _pass(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift >= 70:
                raise ValueError("no such number")


def _signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
