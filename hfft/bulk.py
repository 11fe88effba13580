"""The verb `predict`: a finished run answers a file, a folder of pictures or standard input, of any size.

In: a run, an input, where answers go. Out: a file that is whole, or lines on standard output as they are made; facts.
Blocks of the input are dealt to processes by their number alone, so one process and many make the same parts, a part
that is there is not made again, and the last process joins them. Processes meet in a folder and nowhere else: they may
be on several machines, and none waits for another.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from hfft import answer_files, answer_rows, answer_tables, engines, inferring, inputs, recipe, references, rooms
from hfft.answer_files import Shards
from hfft.answer_rows import SETS
from hfft.errors import InputError
from hfft.inferring import Answerer
from hfft.inputs import Block, Source, Wish
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder
from hfft.steering import escaped

VERSION = 1  # of the parts: those of another one are made anew
SIZES = {"text": inferring.WINDOW, "image": 256, "mask": 16}  # rows of a block
FIRST = 64  # rows of the first block on standard output, so that something is seen soon
TABLE = "answers.csv"  # beside masks
NOTED = 3  # notes of rows that are said; the others are counted
PIPED = 20.0  # seconds between lines of progress when nobody watches live
Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What is typed. shard: "3/8". columns: role → column. short: without a probability for each class. raw: without
    the temperature. batch: tokens of a batch of texts, or pictures of one. spreadsheet: csv that runs nothing there."""

    run: str
    source: str
    output: str | None = None
    engine: str = engines.TORCH
    columns: dict[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    form: str | None = None
    encoding: str = "utf-8"
    shard: str | None = None
    sets: str = SETS
    short: bool = False
    raw: bool = False
    batch: int | None = None
    overwrite: bool = False
    spreadsheet: bool = False


def predict(asked: Request, say: Say, out: TextIO | None = None) -> dict[str, Any]:
    """Answer everything; facts of what was done: {"rows", "answered", "first_problem", "predictions", …}.

    out: where lines go without an output file. Of several processes, those that are not the last give {"missing": …}.
    """
    began = time.perf_counter()
    rank, world = dealt(asked.shard)
    engines.known(asked.engine)
    answer_rows.known_sets(asked.sets)
    folder = RunFolder.existing(asked.run, folds=True)
    wanted = recipe.load(str(folder.root))
    modality: Any = rooms.find("modalities", wanted.task)
    if taken := [name for name in asked.keep if answer_tables.is_answer(name)]:
        raise InputError(f"--keep: {taken[0]!r} is a column of the answers; give the input's another name")
    roles = {role: needed for role, needed in modality.ROLES.items() if role != "mask"}
    wish = Wish(roles, asked.columns, wanted.data.columns, asked.keep, asked.form, asked.encoding)
    source = inputs.found(asked.source, wish)
    target = _target(asked, source, bool(modality.MASKS))
    if world > 1 and (target is None or source.live is not None):
        raise InputError("several processes need a file or folder to read, and --output for what they write")
    if source.passed:
        say(f"{asked.source}: {source.passed:,} files are no pictures and are left out")
    size = SIZES["mask" if modality.MASKS else modality.INPUT]
    plan = None if target is None else _plan(asked, folder, wanted, source, size)
    shards = None if target is None or plan is None else Shards(target, plan, asked.spreadsheet)
    if shards is not None:
        made = shards.begin(asked.overwrite or source.live is not None, rank == 0)
        if made and source.total != 0:
            say(f"{made:,} parts are there already, in {shards.folder}; the rest is made")
    answerer = inferring.load(asked.run, asked.engine, not asked.raw, asked.sets, asked.batch, fast=True)
    for why in engines.notes(folder, asked.engine):
        say(f"note: {why}")
    answer = _answering(answerer, asked, source, target)
    ready = time.perf_counter() - began
    watch = Progress(say if rank == 0 else None, source.total)
    if shards is None:
        facts = _told(source, answer, size, watch, out or sys.stdout)
    else:
        facts = _kept(source, answer, size, shards, rank, world, watch)
    told: dict[str, Any] = {"run": asked.run, "input": asked.source, "output": asked.output, "engine": asked.engine}
    told |= {"spreadsheet": asked.spreadsheet}
    rule = answerer.rule
    promise = {"promise": rule.promise, "threshold": rule.threshold, "set_promise": rule.set_promise}
    promise |= {"exit_code": 2 if facts.get("rows") and not facts["answered"] else 0}
    return told | facts | promise | watch.facts() | {"seconds_to_load": round(ready, 2)}


def dealt(shard: str | None) -> tuple[int, int]:
    """(which process this is, how many there are), from --shard 3/8 or from the launcher. Raises InputError."""
    launched = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if shard is None:
        return launched
    if launched[1] > 1:
        raise InputError("--shard is for processes without a common launch; a launcher deals the parts itself")
    first, slash, second = shard.partition("/")
    if not (slash and first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second)):
        raise InputError(f"--shard: expected a number and of how many, such as 3/8, got {shard!r}")
    return int(first) - 1, int(second)


class Progress:
    """Rows and rows per second on stderr: redrawn on a terminal, sparse when piped."""

    def __init__(self, say: Say | None, total: int | None) -> None:
        self.say, self.total = say, total
        self.began = self.told = time.perf_counter()
        self.rows = self.noted = 0

    def add(self, rows: int) -> None:
        self.rows += rows
        now = time.perf_counter()
        if self.say is None or now - self.told < (0.5 if sys.stderr.isatty() else PIPED):
            return
        self.told = now
        of = f" of {self.total:,}" if self.total else ""
        line = f"  {self.rows:,}{of} rows, {self.rows / (now - self.began):,.0f} rows/s"
        if sys.stderr.isatty():
            print(f"\r{line}   ", end="", file=sys.stderr, flush=True)
        else:
            self.say(line)

    def note(self, notes: list[str]) -> None:
        """Say the first few notes of rows, and count the others."""
        for note in notes:
            self.noted += 1
            if self.say is not None and self.noted <= NOTED:
                self.say(f"note: {note}")

    def facts(self) -> dict[str, Any]:
        if self.say is not None and sys.stderr.isatty() and self.told > self.began:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        seconds = time.perf_counter() - self.began
        return {
            "rows_now": self.rows,
            "noted": self.noted,
            "seconds": round(seconds, 3),
            "rows_per_second": round(self.rows / seconds, 1) if seconds else None,
        }


def _answering(answerer: Answerer, asked: Request, source: Source, target: Path | None) -> Callable[[Block], pa.Table]:
    if not answerer.masks:
        return lambda block: answer_tables.of_block(answerer, block, asked.short)
    assert target is not None
    names = answer_tables.mask_names([str(path.relative_to(source.name)) for path in source.files])
    return lambda block: answer_tables.of_masks(answerer, block, target.parent, names)


def _told(
    source: Source, answer: Callable[[Block], pa.Table], size: int, watch: Progress, out: TextIO
) -> dict[str, Any]:
    """Lines as they are made."""

    tally = answer_tables.Tally()
    for block in _soon(source, size):
        watch.note(block.notes)
        table = answer(block)
        for line in answer_files.json_lines(table.schema, [table]):
            out.write(escaped(line) if out.isatty() else line)
        out.flush()
        watch.add(table.num_rows)
        tally.add(table)
    return tally.facts()


def _soon(source: Source, size: int) -> Iterable[Block]:
    return source.blocks(size, eager=True) if source.live else source.blocks(size, first=min(FIRST, size))


def _kept(
    source: Source,
    answer: Callable[[Block], pa.Table],
    size: int,
    shards: Shards,
    rank: int,
    world: int,
    watch: Progress,
) -> dict[str, Any]:
    """This process's parts, those that are missing, and all of them joined if it is the last."""
    count = new = 0
    for block in source.blocks(size):
        count = block.number + 1
        watch.note(block.notes)
        if block.number % world == rank and not shards.done(block.number):
            shards.write(block.number, answer(block))
            new += 1
            watch.add(len(block.inputs))
    if count == 0:  # a header and no rows
        count = 1
        if rank == 0 and not shards.done(0):
            shards.write(0, answer(source.begun(0, 0)))
    facts: dict[str, Any] = {"parts": {"all": count, "made": new}}
    tally, formulas = answer_tables.Tally(), []

    def see(table: pa.Table) -> None:
        tally.add(table)
        formulas.append(answer_files.formulas(table))

    if not shards.joined and shards.join(count, see):
        return facts | tally.facts() | {"formulas": sum(formulas)}
    return facts | {"missing": count - len(shards.there())}


def _target(asked: Request, source: Source, masks: bool) -> Path | None:
    """Where the table of answers goes; of masks, beside them."""
    if asked.output is None:
        if masks:
            raise InputError("this run answers each pixel: type --output FOLDER for its masks")
        return None
    if not masks:
        return answer_files.check(asked.output, asked.source, asked.overwrite)
    folder = Path(asked.output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {folder} is a file; masks need a folder")
    inside = folder.resolve() == Path(source.name).resolve() or Path(source.name).resolve() in folder.resolve().parents
    if source.files and inside:
        raise InputError(
            f"--output {folder} is inside the input, and masks would be taken for images; type another folder"
        )
    begun = (folder / f"{TABLE}.shards").is_dir()
    if folder.exists() and any(folder.iterdir()) and not begun and not asked.overwrite:
        raise InputError(f"{folder} is not empty; type another name, or --overwrite")
    return folder / TABLE


def _plan(asked: Request, folder: RunFolder, wanted: Recipe, source: Source, size: int) -> dict[str, Any]:
    """What parts depend on, in words that a person can compare."""
    places = [run.model if asked.engine == engines.TORCH else run.export(asked.engine) for run in _runs(folder)]
    weights = [references.sha256(path) for place in places for path in sorted(place.glob("*")) if _weighs(path)]
    rules = [path.read_bytes() for path in sorted(folder.answering(asked.engine).model.glob("*.json"))]
    return {
        "version": VERSION,
        "input": uuid.uuid4().hex if source.live is not None else source.fingerprint(),
        "weights": hashlib.sha256("\n".join(weights).encode()).hexdigest(),
        "rules": hashlib.sha256(b"\n".join(rules) + repr((wanted.decide, wanted.model)).encode()).hexdigest(),
        "engine": asked.engine,
        "format": source.kind,
        "columns": dict(source.chosen),
        "keep": list(source.kept),
        "encoding": asked.encoding,
        "rows_of_a_part": size,
        "options": [asked.sets, asked.short, asked.raw, asked.batch],
    }


def _runs(folder: RunFolder) -> list[RunFolder]:
    return folder.members or [folder]


def _weighs(path: Path) -> bool:
    return path.suffix in (".safetensors", ".onnx", ".bin", ".xml")
