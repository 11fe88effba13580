"""What is to be answered, in blocks: inputs of a model by role, their numbers, and what is kept beside the answers.

In: a file, a folder of pictures, or standard input; the roles that a run has and how its recipe calls their columns.
Out: `Block`s of a fixed number of rows, and a fingerprint. It must not know any model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hfft import input_rows, pictures, text_lines, unusable
from hfft.errors import InputError, brief, listed, meant
from hfft.input_rows import LINES, PARQUET, STDIN, Opened, Row

FILE = "file"  # the column that names a picture of a folder
HASHED = 1 << 20


@dataclass(frozen=True)
class Wish:
    """What is asked of a source. roles: role → must it be there. columns: role → column, as the user says.

    recipe: the same, as the recipe says. keep: columns that go into the answers as they are.
    """

    roles: Mapping[str, bool]
    columns: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    form: str | None = None
    encoding: str = "utf-8"


@dataclass
class Block:
    """Rows that are answered together. start: number of the first, from 0. inputs: as a run takes them, None where a
    row cannot be used: then `problems` says why. notes: of rows that look wrong. kept: column → values."""

    number: int
    start: int
    inputs: list[Any] = field(default_factory=list)
    problems: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kept: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """name: as typed. chosen: role → column. total: rows, where that is known. files: of a folder."""

    name: str
    wish: Wish
    kind: str
    chosen: Mapping[str, str]
    total: int | None = None
    files: tuple[Path, ...] = ()
    passed: int = 0  # files of a folder that are no pictures
    live: Opened | None = None  # of standard input, which is opened once

    def blocks(self, size: int, eager: bool = False, first: int | None = None) -> Iterator[Block]:
        """Blocks of `size` rows. eager: fewer, too, where no more has come yet. first: rows of the first one."""
        block, full = self.begun(0, 0), first or size
        for row in self._rows():
            if row is None:
                if eager and block.inputs:
                    yield block
                    block = self.begun(block.number + 1, block.start + len(block.inputs))
                continue
            self._add(block, row)
            if len(block.inputs) == full:
                yield block
                block, full = self.begun(block.number + 1, block.start + full), size
        if block.inputs:
            yield block

    def fingerprint(self) -> str:
        """Digest of what is read: a file's bytes, or the names and sizes of a folder's pictures."""
        found = hashlib.blake2b(digest_size=16)
        if self.files:
            for path in self.files:
                found.update(
                    f"{path.relative_to(self.name)}\0{path.stat().st_size}\n".encode("utf-8", "surrogateescape")
                )
            return found.hexdigest()
        with Path(self.name).open("rb") as file:
            while chunk := file.read(HASHED):
                found.update(chunk)
        return found.hexdigest()

    @property
    def kept(self) -> tuple[str, ...]:
        return (FILE, *self.wish.keep) if self.files else self.wish.keep

    def begun(self, number: int, start: int) -> Block:
        return Block(number, start, kept={name: [] for name in self.kept})

    def _rows(self) -> Iterator[Row | None]:
        if self.files:
            return (Row({FILE: str(path.relative_to(self.name)), "image": str(path)}, 0) for path in self.files)
        if self.live is not None:
            return self.live.rows
        needed = tuple({*self.chosen.values(), *self.wish.keep})
        return input_rows.opened(self.name, self.kind, self.wish.encoding, needed).rows

    def _add(self, block: Block, row: Row) -> None:
        place = len(block.inputs)
        for name in self.kept:
            block.kept[name].append(row.values.get(name))
        if row.note:
            block.notes.append(row.note)
        made, problem = (None, row.problem) if row.problem else self._input(row.values)
        if problem:
            block.problems[place] = problem
        block.inputs.append(None if problem else made)

    def _input(self, values: Mapping[str, Any]) -> tuple[Any, str]:
        """(what a run takes, "") or (None, what is wrong with it)."""
        if "image" in self.chosen:
            return _picture(values.get(self.chosen["image"]), Path(self.name).parent)
        text = values.get(self.chosen["text"])
        problem = unusable.why(text)
        if problem or "text_pair" not in self.chosen:
            return text, problem
        other = values.get(self.chosen["text_pair"])
        if other is not None and (not isinstance(other, str) or unusable.halved(other)):
            return None, f"{self.chosen['text_pair']!r} is {brief(other, 40)}: expected text"
        return (text, other or ""), ""


def found(name: str, wish: Wish) -> Source:
    """What `name` stands for: a file, a folder of pictures, one picture, or "-". Raises InputError where it is none."""
    if name == STDIN:
        kind = input_rows.kind_of(name, wish.form)
        wish = _of_lines(name, wish) if kind == LINES else wish
        live = input_rows.opened(name, kind, wish.encoding)
        return Source(name, wish, kind, _chosen(live, wish), live=live)
    path = Path(name)
    if not path.exists():
        raise InputError(f"{name}: no such file or folder (current folder: {Path.cwd()})")
    if "image" in wish.roles and (path.is_dir() or (wish.form is None and path.suffix.lower() in pictures.ENDINGS)):
        return _folder(path, wish)
    if path.is_dir():
        raise InputError(f"{name} is a folder, and this run takes texts; give a csv, jsonl or parquet file")
    kind = input_rows.kind_of(name, wish.form)
    wish = _of_lines(name, wish) if kind == LINES else wish
    opened = input_rows.opened(name, kind, wish.encoding)
    return Source(name, wish, kind, _chosen(opened, wish), _total(path, kind))


def _of_lines(name: str, wish: Wish) -> Wish:
    """The same wish of lines, which have no columns: each is a text, or the path of a picture."""
    shown = text_lines.shown_as(name)
    if wish.columns:
        raise InputError(f"{shown} is read as lines, which have no columns: leave out {listed(wish.columns.values())}")
    if "text_pair" in wish.recipe:
        raise InputError(f"{shown} is read as lines, and this run takes two texts of each row: give a csv or jsonl")
    role = "image" if "image" in wish.roles else "text"
    return replace(wish, columns={role: input_rows.TEXT}, recipe={})


def _chosen(opened: Opened, wish: Wish) -> dict[str, str]:
    """Role → column: as typed, else by the recipe's name for it, else by the role's own name.

    Raises InputError for columns that are not there, those of --keep among them.
    """
    if missing := [column for column in wish.keep if column not in opened.columns]:
        raise InputError(f"--keep: {opened.shown} has no column {missing[0]!r}{_has(missing[0], opened)}")
    if unknown := [role for role in wish.columns if role not in wish.roles]:
        raise InputError(
            f"--columns: no role {unknown[0]!r}{meant(unknown[0], wish.roles)}; known: {listed(wish.roles)}"
        )
    out: dict[str, str] = {}
    for role, needed in wish.roles.items():
        known = [wish.columns[role]] if role in wish.columns else [wish.recipe.get(role, role), role]
        column = next((name for name in known if name in opened.columns), None)
        if column is not None and column not in out.values():
            out[role] = column
        elif column is None and (needed or role in wish.columns or role in wish.recipe):
            names = " or ".join(dict.fromkeys(map(repr, known)))
            raise InputError(
                f"{opened.shown} has no column {names} for the {role}{_has(known[0], opened)}; "
                f"type --columns {role}=NAME"
            )
    return out


def _has(wanted: str, opened: Opened) -> str:
    return f"{meant(wanted, opened.columns)}; it has {listed(opened.columns)}"


def _total(path: Path, kind: str) -> int | None:
    if kind != PARQUET:
        return None
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _folder(path: Path, wish: Wish) -> Source:
    """Pictures below a folder, at any depth, in the order of their paths; links to folders are not followed."""
    if wish.keep:
        raise InputError(f"--keep: {path} is no table; each answer has its file beside it")
    if path.is_file():
        return Source(str(path.parent), wish, FILE, {"image": "image"}, 1, (path,))
    files, passed = [], 0
    for here, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in pictures.ENDINGS and not name.startswith("."):
                files.append(Path(here) / name)
            else:
                passed += 1
    if not files:
        raise InputError(f"{path} holds no pictures ({listed(sorted(pictures.ENDINGS))})")
    return Source(str(path), wish, FILE, {"image": "image"}, len(files), tuple(sorted(files)), passed)


def _picture(value: Any, base: Path) -> tuple[Any, str]:
    """A path, from here or beside the table, or bytes, or {"bytes", "path"} as `datasets` keeps them."""
    if isinstance(value, Mapping) and ("bytes" in value or "path" in value):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value, ""
    if not isinstance(value, str) or not value:
        return None, "the image is missing" if not value else f"the image is {brief(value, 40)}: expected a path"
    path = Path(value)
    if not path.is_absolute() and not path.is_file():
        path = base / path
    return str(path), ""


def numbered(inputs: Sequence[Any], problems: Mapping[int, str]) -> list[int]:
    """Places of the rows that can be asked."""
    return [place for place in range(len(inputs)) if place not in problems]
