"""Answers on the disk: parts that are kept until all are there, joined in order under the final name.

In: tables of answers. Out: parts in OUTPUT.shards/, one file in parquet, csv or jsonl. It must not know any model.
Every file appears whole or not at all. A part of another input, other weights or other options is never taken for ours.
"""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hfft import ledger, sheets
from hfft.errors import InputError, NoRoomError, full, listed
from hfft.records import read_json, write_json, write_whole

ENDINGS = (".parquet", ".csv", ".jsonl")
PLAN, LOCK = "plan.json", "join.lock"
DIGITS = 6  # of a probability in csv and jsonl
PATIENCE = 60.0  # seconds that a process waits for the first one to clear up
FORMULA = rf"^\s*(?:[{''.join(sheets.FORMULA).replace('-', '')}]|-[^0-9.])"
WRITTEN = 8192  # rows of a parquet group, and rows that are turned into text together


@dataclass(frozen=True)
class Shards:
    """Parts of one output. plan: what they were made of; parts of another plan are not ours.

    spreadsheet: as `write` takes it.
    """

    output: Path
    plan: dict[str, Any]
    spreadsheet: bool = False

    @property
    def folder(self) -> Path:
        return self.output.with_name(f"{self.output.name}.shards")

    def begin(self, overwrite: bool, first: bool = True) -> int:
        """Make the folder, or find the parts of an earlier try: how many. Raises InputError for a stranger's.

        overwrite: another try's parts are removed, by the `first` process alone; the others wait for it.
        """
        waited = 0.0
        while not first and overwrite and waited < PATIENCE and self._of_another():
            time.sleep(0.2)
            waited += 0.2
        plan = self.folder / PLAN
        if not plan.is_file() and self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder} is there and is not of hfft predict; move it, or type another --output")
        if plan.is_file() and (found := read_json(plan)) != self.plan:
            if not overwrite:
                other = [key for key in self.plan if found.get(key) != self.plan[key]]
                raise InputError(
                    f"{self.folder} holds another try's answers ({listed(other)} differ); delete it, or use --overwrite"
                )
            shutil.rmtree(self.folder)
        with told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not plan.is_file():
                write_json(plan, self.plan)
        return len(self.there())

    def _of_another(self) -> bool:
        plan = self.folder / PLAN
        return plan.is_file() and read_json(plan) != self.plan

    def there(self) -> set[int]:
        """Numbers of the parts that are whole."""
        return {int(path.stem) for path in self.folder.glob("*.parquet") if path.stem.isdigit()}

    def write(self, number: int, table: pa.Table) -> None:
        """One part. Raises NoRoomError where the disk is full."""
        with told(self.output):
            write_whole(self.part(number), lambda target: pq.write_table(table, target))

    def done(self, number: int) -> bool:
        """Whether a part is there, or all were and have been joined by another process."""
        return self.part(number).is_file() or self.joined

    @property
    def joined(self) -> bool:
        return not self.folder.is_dir() and self.output.exists()

    def part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"

    def join(self, count: int, see: Callable[[pa.Table], None]) -> bool:
        """Put `count` parts under the final name if all are there, and remove them; whether this call did it.

        Whoever comes last does it, and `see` is given each part's table; two at once take turns, and the second finds
        it done.
        """
        if set(range(count)) - self.there():
            return False
        with told(self.output), (self.folder / LOCK).open("wb") as lock, ledger.alone(lock):
            if not (self.folder / PLAN).is_file():
                return False
            parts = [self.part(number) for number in range(count)]
            write_whole(self.output, lambda target: write(target, self.output.suffix, parts, see, self.spreadsheet))
            shutil.rmtree(self.folder, ignore_errors=True)
        return True


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """A full disk, or a folder that may not be written to, as one sentence."""
    try:
        yield
    except OSError as error:
        if full(error):
            raise NoRoomError(
                f"the disk is full: {path} is not written; finished parts are kept beside it. Make room and type the "
                "same command, which goes on"
            ) from error
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def check(output: str, inputs: str, overwrite: bool) -> Path:
    """Where answers go. Raises InputError for a format that is not known, and for a file that must not be lost."""
    path = Path(output)
    if path.suffix not in ENDINGS:
        raise InputError(f"--output {output}: expected a name that ends in {listed(ENDINGS)}")
    if path.exists() and Path(inputs).exists() and path.samefile(inputs):
        raise InputError(f"--output {output} is the input itself; type another name")
    if path.is_dir():
        raise InputError(f"--output {output} is a folder; type a file's name")
    if path.exists() and not overwrite:
        raise InputError(f"{output} exists; type another name, or --overwrite")
    return path


def write(
    target: Path,
    ending: str,
    parts: list[Path],
    see: Callable[[pa.Table], None] = lambda _: None,
    spreadsheet: bool = False,
) -> None:
    """Parts, in order, as one file. Columns that differ in type from part to part become the wider one, or text.

    see: is given each part's table, so that none is read twice. spreadsheet: in csv, no text is left that a spreadsheet
    takes for a formula (see sheets.py); otherwise texts are as they came, for programs.
    """
    schema = _common([pq.read_schema(part) for part in parts])
    tables = _seen((pq.read_table(part) for part in parts), see)
    if ending == ".parquet":
        with pq.ParquetWriter(target, schema) as writer:
            for table in tables:
                writer.write_table(_cast(table, schema), row_group_size=WRITTEN * 16)
        return
    with target.open("w", encoding="utf-8", newline="") as file:
        lines = csv_lines(schema, tables, spreadsheet) if ending == ".csv" else json_lines(schema, tables)
        for line in lines:
            file.write(line)


def _seen(tables: Iterable[pa.Table], see: Callable[[pa.Table], None]) -> Iterator[pa.Table]:
    for table in tables:
        see(table)
        yield table


def formulas(table: pa.Table) -> int:
    """Cells that a spreadsheet would compute. A number below zero is none, though one above with its sign is."""
    texts = [table[field.name] for field in table.schema if pa.types.is_string(field.type)]
    return sum(pc.sum(pc.match_substring_regex(column, FORMULA)).as_py() or 0 for column in texts)


def csv_lines(schema: pa.Schema, tables: Iterable[pa.Table], spreadsheet: bool = False) -> Iterator[str]:
    """Lists joined by "|", nothing where a value is missing, true and false in small letters."""
    made = sheets.harmless if spreadsheet else lambda cell: cell

    class Out(list[str]):
        def write(self, line: str) -> None:
            self.append(line.removesuffix("\r\n") + "\n")

    out = Out()
    # With "\n" alone Python below 3.13 leaves a text with a carriage return unquoted, which readers take for two rows.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(made, schema.names))
    for row in _rows(tables):
        writer.writerow([made(_cell(value)) for value in row.values()])
        yield from out
        out.clear()
    yield from out


def json_lines(schema: pa.Schema, tables: Iterable[pa.Table]) -> Iterator[str]:
    """One object a line."""
    for row in _rows(tables):
        yield json.dumps(row, ensure_ascii=False, default=str) + "\n"


def _rows(tables: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    for table in tables:
        short = [field.name for field in table.schema if pa.types.is_float32(field.type)]
        for batch in table.to_batches(WRITTEN):
            for row in batch.to_pylist():
                for name in short:
                    row[name] = row[name] if row[name] is None else round(row[name], DIGITS)
                yield row


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "|".join(map(str, value))
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict) else value


def _common(schemas: list[pa.Schema]) -> pa.Schema:
    distinct: list[pa.Schema] = []
    for schema in schemas:
        if not any(schema.equals(other) for other in distinct):
            distinct.append(schema)
    try:
        return pa.unify_schemas(distinct, promote_options="permissive")
    except pa.ArrowException:
        fields = []
        for name in distinct[0].names:
            types = {schema.field(name).type for schema in distinct} - {pa.null()}
            fields.append(pa.field(name, types.pop() if len(types) == 1 else pa.string()))
        return pa.schema(fields)


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        column = table[field.name]
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowException:
            texts = [None if value is None else _cell(value) for value in column.to_pylist()]
            columns.append(pa.chunked_array([pa.array([None if t is None else str(t) for t in texts], pa.string())]))
    return pa.table(columns, schema=schema)
