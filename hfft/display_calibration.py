"""Calibration and abstaining in the terminal. In: the facts of calibration.json. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from hfft import calibration_telling as telling
from hfft import terminal

GLOSS = (
    "Instead of one class a model can answer with a set that holds the right one as often as promised: LAC sets are "
    "the smallest on average, APS sets grow with doubt, LAC per class keeps the promise for each class."
)
ASTRAY = "MISCALIBRATED: its confidence and its share of right answers part by more than chance makes of so many rows."


def calibration(facts: dict[str, Any]) -> None:
    """One table of measures, then sentences; nothing where nothing was judged."""
    console = terminal.console()
    if facts.get("before"):
        console.print(_table(facts))
    said = telling.told(facts)
    if facts.get("sets"):
        said["sets"].insert(0, GLOSS)
    if any("MISCALIBRATED" in line for line in said["calibration"]):
        said["calibration"].append(ASTRAY)
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
