"""Rows of a file that is to be answered, one after the other, in flat memory, whatever its size.

In: a file, or standard input, and its format. Out: `Row`s: what a row holds by column, where it stands, or what is
wrong with it. It must not know what a column is for, nor any model. A row that cannot be
read is told and ends nothing; only what is wrong with the whole file raises.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hfft.errors import InputError, listed, meant

CSV, TSV, JSONL, PARQUET, LINES = "csv", "tsv", "jsonl", "parquet", "lines"
FORMATS = (CSV, TSV, JSONL, PARQUET, LINES)
ENDINGS = {".csv": CSV, ".tsv": TSV, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSONL, ".parquet": PARQUET}
ENDINGS |= {".txt": LINES}
SEPARATORS = {CSV: ",", TSV: "\t"}
READ = 4096  # rows of a parquet file that are decoded together
CHUNK = 1 << 16  # bytes of standard input that are taken at once, at most
HEAD = 100  # lines of a jsonl file that its columns are known by
STDIN = "-"
TEXT = "text"  # the one column of lines


class Row(NamedTuple):
    """values: by column. line: of the file, from 1; 0 where it has none. problem: why it cannot be read, or ""."""

    values: dict[str, Any]
    line: int
    problem: str = ""


@dataclass(frozen=True)
class Opened:
    """columns: as the file has them, in order. rows: once through. pausing: a `None` says that no more is there yet."""

    shown: str
    columns: tuple[str, ...]
    rows: Iterator[Row | None]


def kind_of(name: str, given: str | None) -> str:
    """The format of a file by its ending, unless it is given. Raises InputError where neither says."""
    if given is not None:
        if given not in FORMATS:
            raise InputError(f"--format: no {given!r}{meant(given, FORMATS)}; known: {listed(FORMATS)}")
        return given
    if name == STDIN:
        return LINES
    found = ENDINGS.get(Path(name).suffix.lower())
    if found is None:
        raise InputError(
            f"{name}: expected a name that ends in {listed(ENDINGS)}; type --format with {listed(FORMATS)}"
        )
    return found


def opened(name: str, kind: str, encoding: str = "utf-8", columns: tuple[str, ...] | None = None) -> Opened:
    """A file, or standard input where `name` is "-".

    columns: of a parquet file, those to decode. Raises InputError where the whole cannot be read.
    """
    if kind == PARQUET:
        if name == STDIN:
            raise InputError("parquet is not read from standard input; give the file's name")
        return _parquet(name, columns)
    if name != STDIN:
        _check_text(Path(name), encoding)
    lines = _lines(name, encoding)
    shown = "standard input" if name == STDIN else name
    if kind == LINES:
        rows = (line and Row({TEXT: line.text.rstrip("\r\n")}, line.number, line.problem) for line in lines)
        return Opened(shown, (TEXT,), rows)
    return (_jsonl if kind == JSONL else _csv)(shown, lines, SEPARATORS.get(kind, ","))


class _Line(NamedTuple):
    text: str
    number: int
    problem: str


def _lines(name: str, encoding: str) -> Iterator[_Line | None]:
    """Lines with their ends. Of standard input a None whenever all that has come was given."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise InputError(f"--encoding: Python knows no {encoding!r}; expected one such as utf-8 or latin-1") from None
    if name == STDIN:
        yield from _of_stdin(encoding)
        return
    plain = encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")
    # What is not UTF-8 comes as lone surrogates, so that it costs its own line alone.
    try:
        with Path(name).open(
            encoding="utf-8-sig" if plain else encoding, errors="surrogateescape" if plain else "strict", newline="\n"
        ) as file:
            for number, line in enumerate(file, 1):
                yield _Line(line, number, _garbled(line, number) if plain else "")
    except UnicodeError as error:
        raise InputError(f"{name} is not {encoding} ({error.reason if hasattr(error, 'reason') else error})") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error


def _garbled(text: str, number: int) -> str:
    if text.isascii():
        return ""
    wrong = next((sign for sign in text if "\udc80" <= sign <= "\udcff"), None)
    return "" if wrong is None else f"line {number:,} is not UTF-8 (byte 0x{ord(wrong) - 0xDC00:02x})"


def _of_stdin(encoding: str) -> Iterator[_Line | None]:
    held, number = b"", 0
    source: Any = sys.stdin.buffer
    while chunk := source.read1(CHUNK):
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            number += 1
            yield _decoded(line, number, encoding)
        if whole:
            yield None
    if held:
        yield _decoded(held, number + 1, encoding)


def _decoded(data: bytes, number: int, encoding: str) -> _Line:
    if number == 1:
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return _Line(data.decode(encoding) + "\n", number, "")
    except UnicodeDecodeError as error:
        return _Line("", number, f"line {number:,} is not {encoding} (byte 0x{data[error.start]:02x})")


def _check_text(path: Path, encoding: str) -> None:
    """Raise InputError for a file that is no text at all, or UTF-16 by its mark."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        if not encoding.lower().startswith("utf-16"):
            raise InputError(f"{path} is UTF-16; type --encoding utf-16")
    elif b"\0" in head and not encoding.lower().startswith(("utf-16", "utf-32")):
        line = head[: head.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: a NUL byte, so this is no text; expected {listed(FORMATS)}")


def _csv(shown: str, lines: Iterator[_Line | None], separator: str) -> Opened:
    csv.field_size_limit(1 << 30)
    state: dict[str, Any] = {"line": 0, "problem": "", "ended": False}

    def texts() -> Iterator[str]:
        for line in lines:
            if line is not None:
                state["line"], state["problem"] = line.number, state["problem"] or line.problem
                yield line.text
        state["ended"] = True

    reader = csv.reader(texts(), delimiter=separator)
    header: list[str] = next(_cells(reader, shown, state), [])
    if not any(cell.strip() for cell in header):
        raise InputError(f"{shown} is empty: expected a first line with the names of the columns")
    header = [cell.strip() for cell in header]
    width = len(header)

    def rows() -> Iterator[Row | None]:
        last = state["line"]
        for cells in _cells(reader, shown, state):
            if state["ended"]:  # the reader asks for a line after the last only where a quote is open
                raise InputError(
                    f"{shown}, line {last + 1:,}: a quote is opened and never closed, so the lines after it, to line "
                    f"{state['line']:,}, are no rows of their own; close it, or write it twice"
                )
            last = state["line"]
            problem, state["problem"] = state["problem"], ""
            if not cells and width > 1:
                continue  # an empty line
            if not problem and len(cells) > width:
                problem = f"line {state['line']:,} has {len(cells)} fields where the header has {width}"
            if not problem and len(cells) < width and cells:
                problem = f"line {state['line']:,} has {len(cells)} of {width} fields"
            yield Row(dict(zip(header, cells, strict=False)), state["line"], problem)

    _check_twins(header, shown)
    return Opened(shown, tuple(header), rows())


def _cells(reader: Any, shown: str, state: dict[str, Any]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(f"{shown}, line {state['line']:,}: {error}") from error


def _check_twins(header: list[str], shown: str) -> None:
    if twins := sorted({name for name in header if header.count(name) > 1}):
        raise InputError(f"{shown}, line 1: two columns are called {twins[0]!r}; give each a name of its own")


def _jsonl(shown: str, lines: Iterator[_Line | None], _: str) -> Opened:
    def rows() -> Iterator[Row | None]:
        for line in lines:
            if line is None:
                yield None
            elif line.problem or line.text.strip():
                yield _record(line)

    source = rows()
    first = list(itertools.islice((row for row in source if row is not None), 1))
    if not first:
        raise InputError(f"{shown} is empty: expected one JSON object on each line")
    if first[0].problem.endswith("an array"):
        raise InputError(
            f"{shown}, line 1: a JSON array; expected one object on each line (jq -c '.[]' FILE makes them)"
        )
    head = first if shown == "standard input" else first + list(itertools.islice((r for r in source if r), HEAD - 1))
    columns = dict.fromkeys(name for row in head for name in row.values)
    if not columns:
        raise InputError(f"{shown}, {first[0].problem or 'line 1: an object without keys'}; expected JSON objects")
    return Opened(shown, tuple(columns), itertools.chain(head, source))


def _record(line: _Line) -> Row:
    if line.problem:
        return Row({}, line.number, line.problem)
    where = f"line {line.number:,}"
    try:
        found = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        if line.text.lstrip().startswith("["):
            return Row({}, line.number, f"{where}: an array")
        return Row({}, line.number, f"{where} is no JSON ({getattr(error, 'msg', 'too deep')})")
    if isinstance(found, dict):
        return Row(found, line.number)
    return Row({}, line.number, f"{where}: {'an array' if isinstance(found, list) else 'no JSON object'}")


def _parquet(name: str, columns: tuple[str, ...] | None) -> Opened:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(name)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} is no parquet file, or damaged: {' '.join(str(error).split())[:160]}") from error
    header = list(file.schema_arrow.names)
    _check_twins(header, name)
    chosen = [column for column in header if columns is None or column in columns]

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in file.iter_batches(READ, columns=chosen):
                for values in batch.to_pylist():
                    yield Row(values, 0)
                number += batch.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            why = " ".join(str(error).split())[:160]
            raise InputError(f"{name} is damaged after row {number:,}: {why}") from error

    return Opened(name, tuple(header), rows())
