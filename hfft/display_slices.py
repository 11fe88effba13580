"""Slices in the terminal. In: the facts of slices.json on a split. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import slice_telling, terminal

WORST = 5


def slices(facts: dict[str, Any]) -> None:
    """The worst five slices and every confirmed one, then sentences."""
    console = terminal.console()
    shown = [row for place, row in enumerate(facts["rows"]) if place < WORST or row["state"] == "confirmed"]
    if shown:
        heads = ("rows", "right", "of", "the rest", "points apart", "weaker?")
        if facts.get("measure") == slice_telling.OWN_IOU:
            heads = ("images", "IoU of an image", *heads[2:])
        table = terminal.table(f"{facts['tried']:,} slices, confirmed ones first", *heads)
        for row in shown:
            cells = (_percent(row["score"]), f"{row['score']['n']:,}", _percent(row["rest"]), _points(row["gap"]))
            table.add_row(row["rows_are"], f"{row['n']:,}", *cells, row["state"])
        console.print(table)
    for line in facts["sentences"]:
        console.print(line, soft_wrap=not console.is_terminal)


def _percent(score: dict[str, Any]) -> str:
    return f"{100 * score['value']:.1f} % [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


def _points(apart: dict[str, float]) -> str:
    return f"{100 * apart['value']:+.1f} [{100 * apart['low']:+.1f}, {100 * apart['high']:+.1f}]"
