"""Which files a run read, each with what shows whether it is another one now.

In: a recipe's `data:`. Out: name as the recipe has it → size and digest, for environment.json. It must not know rows,
whose own digests decide whether data has changed: this tells which file they changed in.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hfft import references
from hfft.errors import counted
from hfft.recipe import Data

LARGE, END = 1 << 30, 1 << 20  # bytes


def of(data: Data) -> dict[str, dict[str, Any]]:
    """Of a file {"bytes", "sha256"}; of a folder, or a pattern, {"files", "bytes", "names_and_sizes": their digest}.

    Of a file of more than a gigabyte, which takes long to read, "ends_sha256": of its first and last megabyte. What is
    not on this disk, such as a data set of the Hub, is left out. A folder's files are not read: pictures have digests
    of their own in the rows' ids.
    """
    found = {}
    for name in dict.fromkeys(_names(data)):
        path = Path(references.resolve(name)).expanduser()
        if references.is_file(path):
            found[name] = _one(path)
        elif references.is_folder(path):
            found[name] = _many(path, _below(path))
        elif "*" in name and (matching := [Path(match) for match in sorted(glob.glob(str(path)))]):  # noqa: PTH207
            found[name] = _many(path.parent, matching)
    return found


def apart(then: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """What is another file now, as sentences."""
    told = []
    for name in sorted({*then, *now}):
        first, second = then.get(name), now.get(name)
        if first == second:
            continue
        if first is None or second is None:
            told.append(f"{name} was {'not read' if first is None else 'there'} then")
        elif "files" not in first and "files" not in second:
            told.append(f"{name} is another file now: {_file(first)} then, {_file(second)} now")
        else:
            told.append(f"{name} holds other files now: {_size(first)} then, {_size(second)} now")
    return told


def _names(data: Data) -> Iterator[str]:
    """What the recipe names as files or folders."""
    given = data.data_files
    if given is None:
        yield data.path
    for names in given.values() if isinstance(given, dict) else [given]:
        yield from [names] if isinstance(names, str) else names or []
    if isinstance(data.classes, str):
        yield data.classes
    yield from (str(value) for value in data.options.values() if str(value).startswith(references.SCHEME))


def _one(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size <= LARGE:
        return {"bytes": size, "sha256": references.sha256(path)}
    with path.open("rb") as file:
        first = file.read(END)
        file.seek(-END, os.SEEK_END)
        return {"bytes": size, "ends_sha256": hashlib.sha256(first + file.read()).hexdigest()}


def _below(root: Path) -> Iterator[Path]:
    """Paths of all files, in one order everywhere."""
    for place, folders, names in os.walk(root):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def _many(root: Path, paths: Iterable[Path]) -> dict[str, Any]:
    digest, count, size = hashlib.sha256(), 0, 0
    for path in paths:
        held = path.lstat().st_size
        digest.update(f"{os.path.relpath(path, root)}\0{held}\n".encode("utf-8", "surrogateescape"))
        count, size = count + 1, size + held
    return {"files": count, "bytes": size, "names_and_sizes": digest.hexdigest()}


def _file(one: dict[str, Any]) -> str:
    return f"{_size(one)} with sha256 {(one.get('sha256') or one['ends_sha256'])[:12]}"


def _size(one: dict[str, Any]) -> str:
    many = f"{counted(one['files'], 'file')}, " if "files" in one else ""
    return f"{many}{one['bytes']:,} bytes"
