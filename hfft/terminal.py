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
