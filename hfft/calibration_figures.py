"""Reliability diagrams and the risk-coverage curve: positions for the page, PNG files for cards and slides.

In: the facts of calibration.json. Out: coordinates in a square of SIDE units, and files. Knows no run folder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfft import figures

SIDE = 200.0


def diagram(bins: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One mark per bin: x, y, low, high and r in units of the square, and the bin itself.

    The dot's area grows with the bin's rows, so that a bin of three rows does not look like evidence.
    """
    most = max((part["n"] for part in bins), default=1)
    marks = []
    for part in bins:
        y, low, high = (round(SIDE * (1 - part["accuracy"][end]), 2) for end in ("value", "low", "high"))
        radius = round(1.5 + 4 * math.sqrt(part["n"] / most), 2)
        marks.append(
            {"x": round(SIDE * part["confidence"], 2), "y": y, "low": low, "high": high, "r": radius, "bin": part}
        )
    return marks


def curve(selective: dict[str, Any]) -> dict[str, Any]:
    """{points: of a polyline, top: the error at the upper edge, promise: y or None, answered: x or None}."""
    points = selective["curve"]
    promise = selective["promise"] or {}
    asked = promise.get("max_error")
    top = _round_up(max([risk for _, risk in points] + [asked or 0.0]))
    answered = promise["on_test"]["answered"]["value"] if promise.get("on_test") else None
    return {
        "points": " ".join(f"{SIDE * x:.2f},{SIDE * (1 - y / top):.2f}" for x, y in points),
        "top": top,
        "promise": None if asked is None else round(SIDE * (1 - asked / top), 2),
        "answered": None if answered is None else round(SIDE * answered, 2),
    }


def draw_reliability(target: Path, parts: dict[str, Sequence[dict[str, Any]]]) -> None:
    """PNG of accuracy against confidence; parts: what the probabilities are → bins."""
    with figures.canvas(target, 4.6, 4.6) as axes:
        axes.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=1.4)
        colours = dict(zip(reversed(parts), (figures.ACCENT, figures.RIVAL), strict=False))  # the last one leads
        for name, bins in parts.items():
            x = [part["confidence"] for part in bins]
            for part in bins:
                ends = [part["accuracy"]["low"], part["accuracy"]["high"]]
                axes.plot([part["confidence"]] * 2, ends, color=colours[name], linewidth=1.2)
            y = [part["accuracy"]["value"] for part in bins]
            axes.plot(x, y, "o", color=colours[name], markersize=4.5, label=name)
        axes.set_xlabel("confidence")
        axes.set_ylabel("accuracy with its 95 % interval")
        axes.legend(frameon=False, loc="upper left")
        _plain(axes)
        axes.set_ylim(0, 1.01)


def draw_curve(target: Path, selective: dict[str, Any]) -> None:
    """PNG of the error among answered rows against the share of rows that are answered."""
    with figures.canvas(target, 5.4, 3.6) as axes:
        axes.plot(*zip(*selective["curve"], strict=True), color=figures.ACCENT, linewidth=1.6)
        if selective["promise"]:
            axes.axhline(selective["promise"]["max_error"], color=figures.FAINT, linewidth=1.4)
        axes.set_xlabel("share of rows answered, the most confident first")
        axes.set_ylabel("error among them")
        _plain(axes)
        axes.set_ylim(0, None)


def _plain(axes: Any) -> None:
    axes.set_xlim(0, 1.01)
    axes.tick_params(length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(figures.FAINT)


def _round_up(value: float) -> float:
    """The next 0.02, 0.05, 0.1, 0.2, 0.5 or 1 at or above.

    >>> _round_up(0.13), _round_up(0.0)
    (0.2, 0.02)
    """
    return next((edge for edge in (0.02, 0.05, 0.1, 0.2, 0.5) if value <= edge), 1.0)
