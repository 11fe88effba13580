"""What the values of a data set's masks mean: from the recipe and its classes file to a `masks.Legend`.

In: `Data`, the folders where a classes file may lie, and the ids that masks hold where nobody names them. Out: a
`Legend`. It must not know how masks are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfft import hues, references
from hfft.errors import InputError, brief, listed, meant
from hfft.masks import IDS, IGNORED, MOST, Legend
from hfft.recipe import Data

FILE = "classes.json"
DEFAULT = 255  # what most tools write where nothing counts
MANY = 1000  # ids of one data set, from which on they are hardly classes without names
NOWHERE = "ignore"  # the key of data.colors for what counts nowhere
IGNORE_KEYS = ("ignore_index", "ignore", "ignore_id")
Names = dict[int, str | None]  # id → name, None where it counts nowhere
FORMS = 'expected ["road", "car"], {"0": "road"}, {"road": 0} or {"classes": […], "ignore_index": 255}'


@dataclass(frozen=True)
class Given:
    """names: id → class. ignore: the id that counts nowhere, None where nobody says. where: who says so."""

    names: Names
    ignore: int | None
    where: str


def legend(data: Data, folders: Sequence[Path], held: Callable[[], Iterable[int]]) -> Legend:
    """What mask values mean.

    folders: where classes.json may lie, the nearest first. held: all ids that the masks hold, asked for only where
    nobody names the classes. Raises InputError for classes, colours and ids that do not fit together.
    """
    given = _given(data, folders)
    if data.colors:
        return _of_colours(data, given)
    if given is None:
        found = sorted(set(held()) - {DEFAULT if data.ignore is None else data.ignore})
        if len(found) > MANY:
            raise InputError(
                f"the masks hold {len(found):,} different values ({listed(found, 5)}): expected one id for each class. "
                "Name the classes in data.classes, or look whether these are masks"
            )
        given = Given({value: str(value) for value in found}, None, "the ids in the masks")
    places = _places(given, data)
    names = tuple(dict.fromkeys(name for name, place in places.values() if name is not None and place != IGNORED))
    return Legend(_enough(names, given.where), {value: place for value, (_, place) in places.items()})


def _places(given: Given, data: Data) -> dict[int, tuple[str | None, int]]:
    """id → (name, place), in the order of ids. Equal names are one class."""
    ignore = _ignore(given, data)
    order: dict[str, int] = {}
    out: dict[int, tuple[str | None, int]] = {}
    for value in sorted(given.names):
        name = given.names[value]
        out[value] = (name, IGNORED if name is None or value == ignore else order.setdefault(name, len(order)))
    return out | ({ignore: (None, IGNORED)} if ignore not in out else {})


def _ignore(given: Given, data: Data) -> int:
    """The id that counts nowhere; -1, which no mask holds, where 255 is the id of a class."""
    if data.ignore is not None:
        return data.ignore
    if given.ignore is not None:
        return given.ignore
    return -1 if given.names.get(DEFAULT) is not None else DEFAULT


def _enough(names: tuple[str, ...], where: str) -> tuple[str, ...]:
    if len(names) < 2:
        one = f"one class, {names[0]!r}" if names else "no class"
        hint = (
            "; where 255 is a class, and not what counts nowhere, type data.classes={0: background, 255: object}"
            if where == "the ids in the masks"
            else ""
        )
        raise InputError(f"{where}: expected at least two classes, got {one}{hint}")
    if len(names) > MOST:
        raise InputError(f"{where}: {len(names):,} classes; masks can tell {MOST:,} apart")
    return names


def _of_colours(data: Data, given: Given | None) -> Legend:
    codes = hues.codes(data.colors)
    if given is None:
        names = tuple(name for name in data.colors if name != NOWHERE)
        order = {name: place for place, name in enumerate(_enough(names, "data.colors"))} | {NOWHERE: IGNORED}
    else:
        order = {name: place for name, place in _places(given, data).values() if name is not None}
        names = tuple(name for name, place in order.items() if place != IGNORED)
        order.setdefault(NOWHERE, IGNORED)
        for name in data.colors:
            if name not in order:
                raise InputError(
                    f"data.colors: no class {name!r}{meant(name, names)}; {given.where} has {listed(names)}. "
                    f"For pixels that count nowhere, type {NOWHERE}: '{hues.shown(next(iter(codes)))}'"
                )
        if without := [name for name in _enough(names, given.where) if name not in data.colors]:
            raise InputError(f"data.colors: no colour for {listed(map(repr, without))}, which {given.where} has")
    return Legend(names, {code: order[name] for code, name in codes.items()}, colours=True)


def _given(data: Data, folders: Sequence[Path]) -> Given | None:
    """What the recipe says, else the classes file that is found, else nothing."""
    if isinstance(data.classes, str):
        path = Path(references.resolve(data.classes)).expanduser()
        if not references.is_file(path):
            raise InputError(
                f"data.classes: {data.classes}: no such file (current folder: {Path.cwd()}); for names, type "
                "data.classes=[background, object]"
            )
        return _of_file(path)
    if data.classes is not None:
        return _parsed(data.classes, None, "data.classes")
    found = next((folder / FILE for folder in folders if references.is_file(folder / FILE)), None)
    return _of_file(found) if found else None


def _of_file(path: Path) -> Given:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({str(error).splitlines()[0]}); {FORMS}") from error
    return _parsed(tree, None, str(path))


def _parsed(tree: Any, ignore: int | None, where: str) -> Given:
    if isinstance(tree, dict) and isinstance(tree.get("classes"), (list, dict)):
        said = next((tree[key] for key in IGNORE_KEYS if key in tree), None)
        if said is not None and not _is_id(said):
            raise InputError(f"{where}: ignore_index {brief(said)}: expected the id of the pixels that count nowhere")
        return _parsed(tree["classes"], said, where)
    if isinstance(tree, list):
        names: dict[Any, Any] = dict(enumerate(tree))
        if twice := next((name for place, name in enumerate(tree) if name in tree[:place]), None):
            raise InputError(f"{where}: {twice!r} is in the list twice; to merge ids, write {{id: name}}")
    elif isinstance(tree, dict) and tree and all(_number(key) is not None for key in tree):
        names = {_number(key): name for key, name in tree.items()}
    elif isinstance(tree, dict) and tree and all(_is_id(value) for value in tree.values()):
        names = _turned(tree, where)
    else:
        raise InputError(f"{where}: {FORMS}, got {brief(tree)}")
    if too_high := [value for value in names if value >= IDS]:
        raise InputError(f"{where}: id {too_high[0]}: expected ids of 0 to {IDS - 1:,}, which 16 bits can hold")
    for value, name in names.items():
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise InputError(f"{where}: id {value}: expected a name, got {brief(name)}")
    return Given({value: None if name is None else name.strip() for value, name in names.items()}, ignore, where)


def _turned(tree: Mapping[str, int], where: str) -> dict[Any, Any]:
    out: dict[int, str] = {}
    for name, value in tree.items():
        if out.setdefault(value, name) != name:
            raise InputError(f"{where}: id {value} is {out[value]!r} and {name!r}")
    return out


def _number(key: Any) -> int | None:
    text = str(key).strip()
    return int(text) if text.isdecimal() else None


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
