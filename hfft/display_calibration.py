"""Calibration and abstaining in the terminal. In: the facts of calibration.json. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from hfft import calibration_telling as telling
from hfft import terminal


def calibration(facts: dict[str, Any]) -> None:
    """One table of measures, then sentences; nothing where nothing was judged."""
    console = terminal.console()
    if facts.get("before"):
        console.print(_table(facts))
    said = telling.told(facts)
    for line in said["calibration"] + said["answering"] + said["sets"] + said["unbounded"]:
        console.print(line, soft_wrap=not console.is_terminal)


def _table(facts: dict[str, Any]) -> Table:
    before, after = facts["before"], facts["after"]
    heads = ("as trained", "with temperature") if after else ("as trained",)
    table = terminal.table("calibration", *heads, "a perfect model would show")
    for key, title in telling.MEASURES.items():
        if key not in before:
            continue
        cells = [telling.decimals(part[key]) for part in (before, after) if part]
        null = (after or before)[key].get("null")
        table.add_row(title, *cells, telling.beside(null) if null else "")
    return table
