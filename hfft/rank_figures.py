"""Score against cost, one mark per model: positions for the page.

In: the facts of rank.json. Out: percentages from the left and pixels from the top. Knows no file and no template.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from hfft.records import less_is_better

LEFT, RIGHT = 9.0, 96.0  # per cent of the width
TOP, BOTTOM = 14.0, 244.0  # pixels
STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def plot(facts: dict[str, Any]) -> dict[str, Any]:
    """{marks, lines, frontier, x, y}: marks of models, lines of baselines within sight, and ticks of both axes.

    Milliseconds are on a log scale: twice as long is as far everywhere. Better is up, also where less is better.
    """
    models, flipped = facts["models"], less_is_better(facts["metric"])
    drawn = [row for row in facts["baselines"] if "TF-IDF" in row["name"]]
    ends = [row["linear"][end] for row in [*models, *drawn] for end in ("low", "value", "high")]
    values = [float(value) for value in ends if value is not None] or [0.0, 1.0]
    ticks = _steps(min(values), max(values))
    costs = [row["ms_per_row"] for row in models]
    low, high = math.log(min(costs) / 1.6), math.log(max(costs) * 1.6)

    def across(cost: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (math.log(cost) - low) / (high - low), 2)

    def down(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return round(TOP + (BOTTOM - TOP) * (share if flipped else 1 - share), 1)

    marks = [
        {"number": place, "row": row, "x": across(row["ms_per_row"]), "y": down(row["linear"]["value"])}
        | {end: down(row["linear"][end]) if row["linear"][end] is not None else None for end in ("low", "high")}
        | {"chosen": row["name"] == facts["recommended"]}
        for place, row in enumerate(models, 1)
        if row["linear"]["value"] is not None
    ]
    return {
        "marks": marks,
        "lines": [
            {"y": down(row["linear"]["value"]), "row": row} for row in drawn if row["linear"]["value"] is not None
        ],
        "frontier": _frontier(marks),
        "x": [{"at": across(tick), "value": tick} for tick in _decades(math.exp(low), math.exp(high))],
        "y": [{"at": down(tick), "value": tick} for tick in ticks],
    }


def _frontier(marks: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """A staircase from the quickest mark that no other beats to the best one, as straight lines."""
    best = sorted((mark for mark in marks if mark["row"]["frontier"]), key=lambda mark: mark["x"])
    lines = []
    for one, other in pairwise(best):
        lines.append({"x1": one["x"], "y1": one["y"], "x2": other["x"], "y2": one["y"]})
        lines.append({"x1": other["x"], "y1": one["y"], "x2": other["x"], "y2": other["y"]})
    return lines


def _steps(low: float, high: float) -> list[float]:
    """Round values that hold both ends, at most seven of them.

    >>> _steps(0.62, 0.71)
    [0.62, 0.64, 0.66, 0.68, 0.7, 0.72]
    """
    for step in STEPS:
        first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
        if last - first <= 6:
            return [round(step * tick, 4) for tick in range(first, max(last, first + 1) + 1)]
    return [low, high]


def _decades(low: float, high: float) -> list[float]:
    """
    >>> _decades(0.3, 12)
    [0.5, 1.0, 2.0, 5.0, 10.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    return [tick for tick in found if low <= tick <= high]


def amount(megabytes: float | None) -> str:
    """
    >>> amount(90.87), amount(4.2), amount(None)
    ('91', '4.2', 'none')
    """
    return "none" if megabytes is None else f"{megabytes:,.0f}" if megabytes >= 10 else f"{megabytes:.1f}"


def millions(parameters: int) -> str:
    """
    >>> millions(22713216), millions(41234)
    ('22.7 M', '0.04 M')
    """
    return f"{parameters / 1e6:.1f} M" if parameters >= 1e5 else f"{parameters / 1e6:.2f} M"


FILTERS: dict[str, Callable[..., Any]] = {"megabytes": amount, "millions": millions}
