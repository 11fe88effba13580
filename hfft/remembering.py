"""Features that were computed once, kept while the process lives: runs on the same frozen backbone share them.

In: a digest of all that features depend on, the rows' contents, and how to compute them. Out: features. What comes out
is the same, bit for bit, whatever ran before in this process. numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

ROOM = 512e6  # bytes; the oldest go first


@dataclass(frozen=True)
class _Entry:
    """contents: of its rows, in their order. whole: stands in for any choice of its rows."""

    key: str
    contents: tuple[str, ...]
    values: np.ndarray
    whole: bool


_entries: list[_Entry] = []
_facts: dict[str, bool] = {}


def computed(
    key: str, contents: Sequence[str], compute: Callable[[], np.ndarray], whole: bool = False
) -> tuple[np.ndarray, bool]:
    """(features (n, …) of the rows, whether they were there).

    key: of everything but the rows that features depend on. contents: one string per row, equal for equal inputs.
    Features of a row differ in their last bits with the rows beside it, so they are given again only for exactly the
    same rows, or where all rows that there will be were computed together first (`whole`).
    """
    wanted = tuple(contents)
    for entry in _entries:
        if entry.key == key and entry.contents == wanted:
            return entry.values, True
    if not whole and (there := known(key, wanted)) is not None:
        return there, True
    values = compute()
    if not isinstance(values, np.memmap):
        _entries.append(_Entry(key, wanted, values, whole))
        while len(_entries) > 1 and sum(entry.values.nbytes for entry in _entries) > ROOM:
            _entries.pop(0)
    return values, False


def known(key: str, contents: Sequence[str]) -> np.ndarray | None:
    """Features (n, …) of rows that were computed together with all others (`whole`), or None."""
    for entry in _entries:
        if entry.key == key and entry.whole:
            places = {content: place for place, content in enumerate(entry.contents)}
            if all(content in places for content in contents):
                return entry.values[[places[content] for content in contents]]
    return None


def told(key: str, find: Callable[[], bool]) -> bool:
    """A fact that was found out once about what `key` stands for. What `find` raises is not kept."""
    if key not in _facts:
        _facts[key] = find()
    return _facts[key]


def forget() -> None:
    """Drop everything."""
    _entries.clear()
    _facts.clear()
