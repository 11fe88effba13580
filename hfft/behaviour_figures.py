"""What slices and probes look like: axes and marks for the page, PNG files for cards and slides.

In: the facts of slices.json and probes.json. Out: positions and files. Computes no statistics, knows no run folder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfft import figures

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TOPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
UPPER, LOWER = 6.0, 46.0  # pixels: the highest rate and no rate at all, in a small chart
MOST = 24  # rows of a PNG
MANY = 50  # rows whose interval has to fit into a small chart


def axis(gaps: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """An axis through zero that holds every interval: {low, high, ticks, zero}, with at most six ticks.

    >>> axis([{"value": -0.031, "low": -0.052, "high": -0.01}])["ticks"]
    [-0.06, -0.04, -0.02, 0.0]
    """
    known = [gap for gap in gaps if gap]
    ends = [0.0] + [gap[key] for gap in known for key in ("low", "value", "high") if gap[key] is not None]
    low, high = min(ends), max(ends)
    for step in STEPS:
        first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
        if last - first < 6:
            break
    last = max(last, first + 1)
    ticks = [round(tick * step, 9) for tick in range(first, last + 1)]
    return {"low": ticks[0], "high": ticks[-1], "ticks": ticks, "zero": True}


def top(probes: Sequence[dict[str, Any]]) -> float:
    """The rate at the upper edge of every small chart: one scale for all of them.

    It holds every rate, and every interval that rests on enough rows: that of five rows would flatten all others.
    Sentences of templates have no chart.
    """
    rates = [level["rate"] for probe in probes for level in probe["severities"] if "title" not in level]
    ends = [rate["value"] for rate in rates if rate["value"] is not None]
    ends += [rate["high"] for rate in rates if rate["high"] is not None and rate["n"] >= MANY]
    highest = max(ends, default=0.0)
    return next((edge for edge in TOPS if highest <= edge), 1.0)


def severity_marks(levels: Sequence[dict[str, Any]], top: float) -> list[dict[str, Any]]:
    """One mark per severity: x as a percentage of the width, y, low and high in pixels from above."""
    shown = [level for level in levels if level["rate"]["value"] is not None]
    most = max((level["severity"] for level in levels), default=1)
    return [
        {
            "severity": level["severity"],
            "x": f"{100 * (level['severity'] - 0.5) / max(most, 5):.2f}%",
            "y": _height(level["rate"]["value"], top),
            "low": _height(level["rate"]["low"], top),
            "high": _height(level["rate"]["high"], top),
        }
        for level in shown
    ]


def draw_probes(target: Path, probes: Sequence[dict[str, Any]]) -> None:
    """PNG of each probe's rate with its interval, worst first."""
    figures.draw_intervals(target, "share of rows that fail", [(p["title"], p["rate"]) for p in probes[:MOST]])


def draw_slices(target: Path, slices: dict[str, Any], title: str) -> None:
    """PNG of the score of the worst slices with its interval."""
    rows = [(f"{row['title']}: {row['value']}", row["score"]) for row in slices["rows"][:MOST]]
    figures.draw_intervals(target, title, rows)


def _height(rate: float | None, top: float) -> float | None:
    return None if rate is None else round(LOWER - (LOWER - UPPER) * min(rate, top) / top, 2)
