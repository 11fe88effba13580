"""What a malformed input is, and the two ends it may come to.

A case is files to write into an empty folder, words for `hfft check mine.yaml`, and what must come of it: one sentence,
or exactly these rows, or exactly these values of the recipe. A file's content is bytes, or a function that makes
something else at its path: a link, a pipe, a folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Content = bytes | Callable[[Path], object]
Files = dict[str, Content]
Row = tuple[Any, str]  # (text, or colour of a picture's first pixel; label)

BASE: list[Row] = [(f"row number {i}", ("bad", "good")[i % 2]) for i in range(12)]  # enough for three splits
RECIPE = {"task": "text_classification", "model": {"name": "never/opened"}}


@dataclass(frozen=True)
class Case:
    """sentence: what the refusal must say, … for anything. rows, values: what must be read."""

    name: str
    files: Files
    words: tuple[str, ...] = ()
    sentence: str | None = None
    rows: list[Row] | None = None
    values: dict[str, Any] | None = None


def refused(
    name: str, files: Files, sentence: str, data: dict[str, Any] | None = None, words: tuple[str, ...] = ()
) -> Case:
    """Files that must end as one sentence with exit code 2."""
    return Case(name, _with_recipe(files, data), words, sentence)


def read(name: str, files: Files, *odd: Row, data: dict[str, Any] | None = None, base: list[Row] = BASE) -> Case:
    """Files that must be read as the rows of `base` and `odd`."""
    return Case(name, _with_recipe(files, data), rows=[*base, *odd])


def pattern(sentence: str) -> re.Pattern[str]:
    """A sentence in which … stands for anything."""
    return re.compile(".*".join(re.escape(part) for part in sentence.split("…")), re.S)


def write(files: Files, folder: Path) -> None:
    """Make every file of a case."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else content(path)


def _with_recipe(files: Files, data: dict[str, Any] | None) -> Files:
    """A recipe beside the files that reads the first of them, unless `data` says otherwise."""
    tree = RECIPE | {"data": {"path": next(iter(files))} | (data or {})}
    return files | {"mine.yaml": yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode()}
