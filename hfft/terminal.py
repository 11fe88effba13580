"""What all tables in the terminal share. In: column names. Out: rich's tables and console, plain when piped."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

LEFT = ("method", "label", "suggested", "input")


def table(first: str, *others: str) -> Table:
    """A table whose further columns hold numbers, on the right, but for those that hold words."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column(first, overflow="fold")
    for name in others:
        made.add_column(name, justify="left" if name in LEFT else "right", overflow="fold")
    return made


def console() -> Console:
    """stdout; nothing in a text is taken for markup."""
    made = Console(highlight=False, markup=False)
    if not made.is_terminal:
        made.width = 140  # piped: one row stays one line
    return made


def ends(sizes: dict[str, int], limit: int) -> tuple[list[str], list[str], int]:
    """(all classes, none, 0) or, of more than `limit`, (the largest, the smallest, how many are left out)."""
    if len(sizes) <= limit:
        return list(sizes), [], 0
    ordered = sorted(sizes, key=lambda name: -sizes[name])
    return ordered[: limit // 2], ordered[-(limit // 2) :], len(sizes) - limit
