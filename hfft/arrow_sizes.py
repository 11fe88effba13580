"""What a file of Arrow's own format (IPC, also called Feather) becomes when it is read, found out before it is.

In: a file. Out: nothing, or InputError. Its columns may be packed, 50 MB into 2 KB, and its values may be numbers of
others. Each packed buffer says what it becomes, and a reader takes exactly so much memory for it. The layout is that of
https://arrow.apache.org/docs/format/Columnar.html (messages are flatbuffers: Message.fbs, File.fbs).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hfft import archives
from hfft.errors import InputError

FILE, GOES_ON = b"ARROW1", b"\xff\xff\xff\xff"
SCHEMA, DICTIONARY, ROWS = 1, 2, 3  # kinds of messages; the last two hold buffers
WIDEST = 16  # bytes of a value that is no text
NOT_ARROW = (struct.error, ValueError, IndexError, OverflowError)

Held = tuple[int, int, int]  # bytes of the buffers of a message, its values, whether others are named by number


def check(path: Path, shown: str) -> None:
    """Raise InputError for an Arrow file that becomes too large for its size. What is none is let pass."""
    size = path.stat().st_size
    if size < len(FILE) + 4:
        return
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as held:
        total, named = 0, False
        try:
            for buffers, values, numbers in _messages(held):
                total, named = total + buffers + values, named or bool(numbers)
                archives.refuse_bomb(shown, size, total, more=True)
        except NOT_ARROW:
            pass  # whoever reads it says what is wrong with it; what was counted was allowed
    if named:
        archives.refuse_bomb(shown, size, total + _by_number(path, shown))


def _messages(held: mmap.mmap) -> Iterator[Held]:
    """What each message holds, of a stream in its order, of a file as its last bytes name them."""
    if held[: len(FILE)] == FILE:
        footer = len(held) - len(FILE) - 4 - struct.unpack_from("<i", held, len(held) - len(FILE) - 4)[0]
        root = _there(held, footer)
        for field in (2, 3):
            for at in _vector(held, root, field, 24):
                place, _, body = struct.unpack_from("<qi4xq", held, at)
                yield from _message(held, place, body)[1]
        return
    place, _ = _message(held, 0, None, (SCHEMA,))
    while place < len(held):
        place, found = _message(held, place, None)
        yield from found


def _message(
    held: mmap.mmap, place: int, body: int | None, kinds: tuple[int, ...] = (SCHEMA, DICTIONARY, ROWS)
) -> tuple[int, list[Held]]:
    """(where the next begins, what this holds). body: its bytes, where they are known. kinds: it may be one of."""
    place += 4 if held[place : place + 4] == GOES_ON else 0
    (length,) = struct.unpack_from("<i", held, place)
    if length <= 0:  # the end of a stream
        return len(held), []
    if place + 4 + length > len(held):
        raise ValueError("not Arrow")
    root = _there(held, place + 4)
    kind = _field(held, root, 1)
    inside, told = _field(held, root, 2), _field(held, root, 3)
    if not kind or not inside or held[kind] not in kinds:
        raise ValueError("not Arrow")
    own = struct.unpack_from("<q", held, told)[0] if told and body is None else body or 0
    if own < 0:
        raise ValueError("not Arrow")
    data, name = place + 4 + length, held[kind]
    batch = _there(held, inside)
    if name == DICTIONARY:
        batch = _there(held, _field(held, batch, 1))
    found = [_batch(held, batch, data, name == DICTIONARY)] if name in (DICTIONARY, ROWS) else []
    return data + own, found


def _batch(held: mmap.mmap, batch: int, data: int, numbers: bool) -> Held:
    values = sum(max(0, struct.unpack_from("<q", held, at)[0]) for at in _vector(held, batch, 1, 16))
    packed, total = bool(_field(held, batch, 3)), 0
    for at in _vector(held, batch, 2, 16):
        offset, length = struct.unpack_from("<qq", held, at)
        becomes = struct.unpack_from("<q", held, data + offset)[0] if packed and length else length
        total += length if becomes < 0 else becomes
    return total, values, int(numbers)


def _by_number(path: Path, shown: str) -> int:
    """Bytes that values named by number become, each as often as it is named. Reading them is harmless by now."""
    try:
        return sum(_spelled(column) for batch in _batches(path) for column in batch.columns)
    except (pa.ArrowException, OSError, ValueError):
        return 0
    except NotImplementedError as error:
        raise InputError(f"{shown}: values within others are told by number; write it as parquet") from error


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as opened:
        try:
            file = pa.ipc.open_file(opened)
        except pa.ArrowInvalid:
            opened.seek(0)
            yield from pa.ipc.open_stream(opened)
            return
        yield from (file.get_batch(number) for number in range(file.num_record_batches))


def _spelled(column: Any) -> int:
    if not pa.types.is_dictionary(column.type):
        if "dictionary<" in str(column.type):
            raise NotImplementedError
        return 0
    values = column.dictionary
    texts = pa.types.is_large_unicode(values.type) or pa.types.is_unicode(values.type)
    if not (texts or pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
        return WIDEST * len(column) if values.type.num_fields == 0 else values.nbytes * len(column)
    lengths = pc.binary_length(values).take(column.indices)
    return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)


def _there(held: mmap.mmap, at: int) -> int:
    """Where an offset that stands at a place leads to."""
    if not 0 < at <= len(held) - 4:
        raise ValueError("not Arrow")
    return at + int(struct.unpack_from("<I", held, at)[0])


def _field(held: mmap.mmap, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table stands; 0 where it is not there."""
    kept = table - struct.unpack_from("<i", held, table)[0]
    (size,) = struct.unpack_from("<H", held, kept)
    entry = 4 + 2 * number
    offset = struct.unpack_from("<H", held, kept + entry)[0] if entry + 2 <= size else 0
    return table + offset if offset else 0


def _vector(held: mmap.mmap, table: int, number: int, width: int) -> range:
    """Where the parts of a vector of structs stand."""
    at = _field(held, table, number)
    if not at:
        return range(0)
    first = _there(held, at)
    (count,) = struct.unpack_from("<I", held, first)
    if first + 4 + count * width > len(held):
        raise ValueError("not Arrow")
    return range(first + 4, first + 4 + count * width, width)
