"""What a file of Arrow's own format (IPC, also called Feather) becomes when it is read, found out at nobody's cost.

In: a file. Out: nothing, or InputError. Its columns may be packed, 50 MB into 2 KB, its values may be numbers of
others, and what it says of itself need not be so. It is therefore read, batch by batch and as `datasets` reads it, by a
process of its own, which has no more memory than the file may become (where the system limits that; Windows does not).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc

from hfft import archives, parquet_sizes
from hfft.errors import InputError

FILE, GOES_ON = b"ARROW1", b"\xff\xff\xff\xff"
LONGEST = 1 << 26  # bytes of a schema; as a number, text begins with more
SPARE = 1 << 28  # bytes that reading itself takes


def check(path: Path, shown: str) -> None:
    """Raise InputError for an Arrow file that becomes too large for its size. What is none is let pass."""
    if not _could_be(path):
        return
    size = path.stat().st_size
    limit = archives.allowed(size)
    # Arrow's usual allocators reserve more than they use, and a limit counts what is reserved.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    words = [sys.executable, "-m", "hfft.arrow_sizes", str(path.absolute()), str(limit)]
    home = Path(__file__).parent.parent  # and no module of the user's own folder
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=home)
    try:
        told = json.loads(done.stdout)
    except ValueError:
        why = f"what read it for a trial ended with exit code {done.returncode}"
        raise InputError(f"{shown} is damaged: {why}") from None
    if "damaged" in told:
        raise InputError(f"{shown} is damaged: {told['damaged']}")
    archives.refuse_bomb(shown, size, told["becomes"], more=True)


def become(path: Path, limit: int) -> dict[str, Any]:
    """{"becomes": bytes of all values, or the first sum beyond `limit`}, or {"damaged": why}; 0 of what is no Arrow."""
    total, began = 0, False
    try:
        for batch in _batches(path):
            began = True
            batch.validate(full=True)
            total += sum(map(_spelt, batch.columns))
            if total > limit:
                break
    except (MemoryError, pa.ArrowMemoryError):
        total = limit + 1
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if began:
            return {"damaged": " ".join(str(error).split())[:160]}
    return {"becomes": total}


def _could_be(path: Path) -> bool:
    """Whether it begins or ends as Arrow does. A stream of before 2019 begins with a number of bytes alone."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(FILE))
        file.seek(max(0, size - len(FILE)))
        tail = file.read()
    length = int.from_bytes(head[:4], "little")
    return FILE in (head, tail) or head.startswith(GOES_ON) or (0 < length < size and length % 4 == 0)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """As `datasets` opens it: as a stream, and else as a file."""
    with pa.OSFile(str(path)) as opened:
        try:
            stream = pa.ipc.open_stream(opened)
        except pa.ArrowInvalid:
            opened.seek(0)
            file = pa.ipc.open_file(opened)
            yield from (file.get_batch(number) for number in range(file.num_record_batches))
            return
        yield from stream


def _spelt(column: Any) -> int:
    """Bytes of a column's values, as if each that is told by a number were written out."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _named(column.dictionary, column.indices)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return _summed(pc.binary_length(column.cast(pa.large_binary())))
    parts = parquet_sizes.inside(column)
    return max(len(column), int(column.nbytes)) if parts is None else len(column) + sum(map(_spelt, parts))


def _named(values: Any, numbers: Any) -> int:
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return _summed(pc.binary_length(values).take(numbers))
    most = max((_spelt(values[place : place + 1]) for place in range(len(values))), default=0)
    return most * len(numbers)


def _summed(lengths: Any) -> int:
    return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)


def main(path: str, limit: int) -> None:
    """Print `become` as JSON, with memory limited."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows, or a limit that is lower already
        import resource

        most = psutil.Process().memory_info().vms + limit + SPARE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print(json.dumps(become(Path(path), limit)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
