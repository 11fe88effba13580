"""A learning curve as a picture: where points, fit and band lie on the page.

In: the facts of learning_curve.json. Out: positions in percent of the drawing, from the left and from above. Computes
no statistics.
"""

from __future__ import annotations

import math
from typing import Any

LEFT, RIGHT, TOP, BOTTOM = 4.0, 97.0, 5.0, 90.0
APART = 7.5  # percent between two labels
STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
UP_TO = 2.4  # times the most rows, where the drawing ends


def figure(facts: dict[str, Any]) -> dict[str, Any]:
    """{"points", "fit", "beyond", "band", "band_beyond", "last", "twice", "xs", "ys"}; rows on a logarithmic axis.

    fit, band: up to the most rows, as points of a polyline and of a polygon; beyond: from there on.
    """
    points, metric = facts["points"], facts["metric"]
    most, fewest = points[-1]["rows"], points[0]["rows"]
    band = [part for part in facts["band"] if part["rows"] <= UP_TO * most]
    scores = [point["scores"][metric] for point in points]
    ends = [part[end] for part in (*scores, *band) for end in ("low", "high")]
    low, high, ticks = _scale(min(ends), max(ends))
    span = math.log(UP_TO * most / (0.9 * fewest))

    def x(rows: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * math.log(rows / (0.9 * fewest)) / span, 2)

    def y(score: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (score - low) / (high - low), 2)

    marks = [
        {"x": x(point["rows"]), **{end: y(score[end]) for end in ("value", "low", "high")}}
        for point, score in zip(points, scores, strict=True)
    ]
    inside = [part for part in band if part["rows"] <= most * 1.0001]
    outside = [part for part in band if part["rows"] >= most * 0.9999]
    twice = min(facts["band"], key=lambda part: abs(part["rows"] - 2 * most))
    return {
        "points": marks,
        "fit": _line(inside, x, y),
        "beyond": _line(outside, x, y),
        "band": _area(inside, x, y),
        "band_beyond": _area(outside, x, y),
        "last": x(most),
        "twice": {"x": x(2 * most), "rows": 2 * most, **{end: y(twice[end]) for end in ("value", "low", "high")}},
        "xs": _labels([point["rows"] for point in points] + [2 * most], x),
        "ys": [{"y": y(tick), "label": f"{tick:.3g}"} for tick in ticks],
    }


def _scale(low: float, high: float) -> tuple[float, float, list[float]]:
    for step in STEPS:
        first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
        if last - first <= 6:
            break
    last = max(last, first + 1)
    ticks = [round(tick * step, 9) for tick in range(first, last + 1)]
    return ticks[0], ticks[-1], ticks


def _labels(rows: list[int], x: Any) -> list[dict[str, Any]]:
    """Those that leave each other room, the last ones first."""
    kept: list[dict[str, Any]] = []
    for number in reversed(rows):
        if not kept or kept[-1]["x"] - x(number) >= APART:
            kept.append({"x": x(number), "rows": number})
    return kept[::-1]


def _line(parts: list[dict[str, float]], x: Any, y: Any) -> str:
    return " ".join(f"{x(part['rows'])},{y(part['value'])}" for part in parts)


def _area(parts: list[dict[str, float]], x: Any, y: Any) -> str:
    upper = [f"{x(part['rows'])},{y(part['high'])}" for part in parts]
    lower = [f"{x(part['rows'])},{y(part['low'])}" for part in reversed(parts)]
    return " ".join([*upper, *lower])
