"""Calibration and abstaining in the terminal. In: the facts of calibration.json. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from hfft import calibration_telling as telling


def calibration(facts: dict[str, Any]) -> None:
    """One table of measures, then sentences; nothing where nothing was judged."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 140  # piped: one row stays one line
    if facts.get("before"):
        console.print(_table(facts))
    said = telling.told(facts)
    for line in said["calibration"] + said["answering"] + said["sets"] + said["unbounded"]:
        console.print(line, soft_wrap=not console.is_terminal)


def _table(facts: dict[str, Any]) -> Table:
    before, after = facts["before"], facts["after"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    heads = ("as trained", "with temperature") if after else ("as trained",)
    for place, name in enumerate(("calibration", *heads, "a perfect model would show")):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    for key, title in telling.MEASURES.items():
        if key not in before:
            continue
        cells = [telling.decimals(part[key]) for part in (before, after) if part]
        null = (after or before)[key].get("null")
        table.add_row(title, *cells, telling.beside(null) if null else "")
    return table
