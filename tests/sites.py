"""A folder with what some requirements bring and nothing else: how a process sees it whose pip installed them alone."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(lines: Iterable[str]) -> dict[str, importlib.metadata.Distribution]:
    """Name → what is installed here, of requirements such as "torch==2.14.1" and of all that they require.

    Raises PackageNotFoundError for what is not installed, ValueError for another version than the one that is asked.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    seen: set[str] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        wanted = waiting.pop()
        if (key := f"{canonicalize_name(wanted.name)} {sorted(wanted.extras)}") in seen:
            continue
        seen.add(key)
        made = found[canonicalize_name(wanted.name)] = importlib.metadata.distribution(wanted.name)
        if not wanted.specifier.contains(made.version, prereleases=True):
            raise ValueError(f"{wanted} is asked for, and {made.version} is here")
        parts = map(Requirement, made.requires or [])
        extras = ("", *wanted.extras)
        waiting += [
            part for part in parts if part.marker is None or any(part.marker.evaluate({"extra": e}) for e in extras)
        ]
    return found


def made(folder: Path, lines: Iterable[str]) -> Path:
    """The folder, filled with links."""
    folder.mkdir()
    for each in closure(lines).values():
        for top in {file.parts[0] for file in each.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            target = folder / top
            if not target.exists():
                target.symlink_to(each.locate_file(top))
    return folder


def command(*words: str) -> list[str]:
    """Python without its own site-packages; PYTHONPATH names the folder instead."""
    return [sys.executable, "-S", *words]


def read(path: Path) -> list[str]:
    """Lines of a requirements.txt that ask for something."""
    return [line for line in path.read_text().splitlines() if line and not re.match(r"\s*#", line)]
