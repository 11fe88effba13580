"""What all tables in the terminal share. In: column names. Out: rich's tables and console, plain when piped."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hfft.steering import visible

LEFT = ("method", "label", "suggested", "input")


def table(first: str, *others: str) -> Table:
    """A table whose further columns hold numbers, on the right, but for those that hold words."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column(first, overflow="fold")
    for name in others:
        made.add_column(name, justify="left" if name in LEFT else "right", overflow="fold")
    return made


class Screen(Console):
    """rich's console, on which no text steers the terminal: rich itself lets escape signs through. Piped, a sentence is
    one line, however long.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        if not self.is_terminal and all(isinstance(part, str) for part in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


def console() -> Console:
    """stdout; nothing in a text is taken for markup."""
    made = Screen(highlight=False, markup=False)
    if not made.is_terminal:
        made.width = 140  # piped: one row stays one line
    return made


def ends(sizes: dict[str, int], limit: int) -> tuple[list[str], list[str], int]:
    """(all classes, none, 0) or, of more than `limit`, (the largest, the smallest, how many are left out)."""
    if len(sizes) <= limit:
        return list(sizes), [], 0
    ordered = sorted(sizes, key=lambda name: -sizes[name])
    return ordered[: limit // 2], ordered[-(limit // 2) :], len(sizes) - limit
