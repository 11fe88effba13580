"""What a search looks like: scores over trials, over each key, and what fewer trials would have found.

In: the facts of tuning.json. Out: positions in a box of WIDTH x HEIGHT, y from above. Computes no statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hfft.records import less_is_better

WIDTH, HEIGHT = 200.0, 120.0
FULL = 12  # categories that still get a tick each


def drawn(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Charts of finished trials: {title, dots, line, x, y}, ticks as (position, text). Empty for fewer than two."""
    done = [row for row in facts["trials"] if row["value"] is not None]
    if len(done) < 2:
        return []
    values = [row["value"] for row in done]
    scale = _scale([*values, *facts["expected"]])
    ticks = [(_y(value, scale), f"{value:.4g}") for value in (scale[0], sum(scale) / 2, scale[1])]
    numbers = [row["number"] for row in done]
    ends = (min(numbers), max(numbers))
    history = [_dot(row, _x(row["number"], *ends), scale, facts) for row in done]
    charts: list[dict[str, Any]] = [
        {
            "title": "Score of each trial, and the best so far",
            "dots": history,
            "line": _steps([(dot["x"], row["value"]) for dot, row in zip(history, done, strict=True)], facts, scale),
            "x": [(_x(number, *ends), str(number)) for number in sorted({*ends})],
            "y": ticks,
            "slanted": False,
        },
        {
            "title": "Expected best of so many of these trials",
            "dots": [],
            "line": " ".join(
                f"{_x(k, 1, len(done)):.1f},{_y(value, scale):.1f}" for k, value in enumerate(facts["expected"], 1)
            ),
            "x": [(_x(number, 1, len(done)), str(number)) for number in (1, len(done))],
            "y": ticks,
            "slanted": False,
        },
    ]
    return charts + [_over(key, done, scale, ticks, facts) for key in facts["keys"]]


def _over(
    key: str, done: Sequence[dict[str, Any]], scale: tuple[float, float], ticks: Any, facts: dict[str, Any]
) -> dict[str, Any]:
    """Scores over one key: on an axis where its values are numbers, else side by side."""
    rows = [row for row in done if key in row["params"]]
    given = [row["params"][key] for row in rows]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    if numbers and len({*given}) > 1:
        low, high = min(given), max(given)
        log = low > 0 and high / low >= 10

        def at(value: Any) -> float:
            return _x(*(math.log(part) for part in (value, low, high))) if log else _x(value, low, high)

        x = [(at(low), f"{low:.3g}"), (at(high), f"{high:.3g}")]
    else:
        names = sorted({str(value) for value in given})

        def at(value: Any) -> float:
            return WIDTH * (names.index(str(value)) + 0.5) / max(len(names), 1)

        step = math.ceil(len(names) / FULL)
        x = [(at(name), name if len(name) <= 18 else f"{name[:17]}…") for name in names[::step]]
    return {
        "title": key,
        "dots": [_dot(row, at(row["params"][key]), scale, facts) for row in rows],
        "line": "",
        "x": x,
        "y": ticks,
        "slanted": not numbers and len(x) > 3,
    }


def _dot(row: dict[str, Any], x: float, scale: tuple[float, float], facts: dict[str, Any]) -> dict[str, Any]:
    kind = "best" if row["number"] == facts["best"] else "plain" if row["plain"] else ""
    told = f"trial {row['number']}: {row['value']:.4f}  {' '.join(row['words']) or 'the recipe as it is'}"
    return {"x": x, "y": _y(row["value"], scale), "kind": kind, "told": told}


def _steps(points: Sequence[tuple[float, float]], facts: dict[str, Any], scale: tuple[float, float]) -> str:
    """The best so far, level until the next better one."""
    better = min if less_is_better(facts["metric"]) else max
    best, path = points[0][1], [f"{points[0][0]:.1f},{_y(points[0][1], scale):.1f}"]
    for x, value in points[1:]:
        path.append(f"{x:.1f},{_y(best, scale):.1f}")
        best = better(best, value)
        path.append(f"{x:.1f},{_y(best, scale):.1f}")
    return " ".join(path)


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Ends with a little air."""
    low, high = min(values), max(values)
    air = 0.06 * (high - low) or 0.01
    return low - air, high + air


def _x(value: float, low: float, high: float) -> float:
    return WIDTH / 2 if high == low else WIDTH * (value - low) / (high - low)


def _y(value: float, scale: tuple[float, float]) -> float:
    return HEIGHT * (1 - (value - scale[0]) / (scale[1] - scale[0]))
