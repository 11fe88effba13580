"""Rows of a file that is to be answered, one after the other, in flat memory, whatever its size.

In: a file, or standard input, and its format. Out: `Row`s: what a row holds by column, where it stands, or what is
wrong with it. It must not know what a column is for, nor any model. A row that cannot be
read is told and ends nothing; only what is wrong with the whole file raises.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hfft import declared_sizes, text_lines
from hfft.errors import InputError, listed, meant
from hfft.text_lines import STDIN, Line

CSV, TSV, JSONL, PARQUET, LINES = "csv", "tsv", "jsonl", "parquet", "lines"
FORMATS = (CSV, TSV, JSONL, PARQUET, LINES)
ENDINGS = {".csv": CSV, ".tsv": TSV, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSONL, ".parquet": PARQUET}
ENDINGS |= {".txt": LINES}
SEPARATORS = {CSV: ",", TSV: "\t"}
READ = 4096  # rows of a parquet file that are decoded together
HEAD = 100  # lines of a jsonl file that its columns are known by
SWALLOWED = 2  # lines within a quoted text that may look like rows before it is said
TEXT = "text"  # the one column of lines


class Row(NamedTuple):
    """values: by column. line: of the file, from 1; 0 where it has none. problem: why it cannot be read, or "".

    note: what to say of a row that can be read and looks wrong, or "".
    """

    values: dict[str, Any]
    line: int
    problem: str = ""
    note: str = ""


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
    text_lines.check(name, encoding)
    lines, shown = text_lines.lines(name, encoding), text_lines.shown_as(name)
    if kind == LINES:
        rows = (line and Row({TEXT: line.text.rstrip("\r\n")}, line.number, line.problem) for line in lines)
        return Opened(shown, (TEXT,), rows)
    return (_jsonl if kind == JSONL else _csv)(shown, lines, SEPARATORS.get(kind, ","))


class _PausedError(Exception):
    """No more lines are there yet, and no row is begun."""


class _Feed:
    """Lines for a csv reader. line: the last that was given. fresh: no line of the next row is given yet.

    ended: the reader asked for a line after the last one.
    """

    def __init__(self, lines: Iterator[Line | None]) -> None:
        self.lines = lines
        self.line, self.problem, self.fresh, self.ended = 0, "", True, False

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        for line in self.lines:
            if line is not None:
                self.line, self.problem, self.fresh = line.number, self.problem or line.problem, False
                return line.text
            if self.fresh:
                raise _PausedError
        self.ended = True
        raise StopIteration


def _csv(shown: str, lines: Iterator[Line | None], separator: str) -> Opened:
    csv.field_size_limit(text_lines.LONGEST)
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=separator)
    header = _header(reader, shown)
    width = len(header)

    def rows() -> Iterator[Row | None]:
        while True:
            last, feed.fresh, feed.problem = feed.line, True, ""
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _PausedError:
                yield None
                continue
            except csv.Error as error:
                yield Row({}, feed.line, f"line {feed.line:,} is no row of a table ({_told(error)})")
                continue
            if feed.ended:  # the reader asks for a line after the last only where a quote is open
                raise InputError(
                    f"{shown}, line {last + 1:,}: a quote is opened and never closed, so the lines after it, to line "
                    f"{feed.line:,}, are no rows of their own; close it, or write it twice"
                )
            if not cells and width > 1 and not feed.problem:
                continue  # an empty line
            note = ""
            if feed.line - last > SWALLOWED and (held := _alike(cells, width, separator)) > SWALLOWED:
                note = (
                    f"line {last + 1:,}: a quoted text goes on to line {feed.line:,}, and {held:,} of its lines have "
                    f"{width} fields as rows have: is a quote missing? They are answered as one row"
                )
            problem = feed.problem or _uneven(cells, width, feed.line)
            yield Row(dict(zip(header, cells, strict=False)), feed.line, problem, note)

    return Opened(shown, tuple(header), rows())


def _header(reader: Any, shown: str) -> list[str]:
    header: list[str] = []
    while not header:
        try:
            header = [cell.strip() for cell in next(reader)]
        except _PausedError:
            continue
        except StopIteration:
            break
        except csv.Error as error:
            raise InputError(f"{shown}, line 1: {_told(error)}") from error
        break
    if not any(header):
        raise InputError(f"{shown} is empty: expected a first line with the names of the columns")
    _check_twins(header, shown)
    return header


def _told(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return "a carriage return without a line feed: quote the text that holds it, or end lines with a line feed"
    return str(error)


def _uneven(cells: list[str], width: int, line: int) -> str:
    if len(cells) > width:
        return f"line {line:,} has {len(cells)} fields where the header has {width}"
    return f"line {line:,} has {len(cells)} of {width} fields" if cells and len(cells) < width else ""


def _alike(cells: list[str], width: int, separator: str) -> int:
    """Lines within the longest cell that have the separators of a row; 0 in a table of one column, whose have none."""
    if width == 1:
        return 0
    return sum(line.count(separator) == width - 1 for line in max(cells, key=len).split("\n")[1:-1])


def _check_twins(header: list[str], shown: str) -> None:
    if twins := sorted({name for name in header if header.count(name) > 1}):
        raise InputError(f"{shown}, line 1: two columns are called {twins[0]!r}; give each a name of its own")


def _jsonl(shown: str, lines: Iterator[Line | None], _: str) -> Opened:
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


def _record(line: Line) -> Row:
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

    declared_sizes.check(Path(name), name)
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
