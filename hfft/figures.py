"""What a report shows besides sentences: positions on an axis, confusions, and PNG files.

In: scores and predictions. Out: percentages, counts and PNG files. Knows no run folder and no template. matplotlib is
imported only where something is drawn: it costs half a second.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hfft.counts import confusion
from hfft.records import HEADLINES, Predictions, write_whole

INK, ACCENT, FAINT, RIVAL = "#1c2127", "#1f5f99", "#dfe3e8", "#7d8792"
HIT_RGB, MISS_RGB = (0.12, 0.37, 0.60), (0.75, 0.34, 0.16)


def axis(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A shared axis that holds every interval: {low, high, ticks}, in steps of 0.1 or 0.2.

    >>> axis([{"value": 0.74, "low": 0.71, "high": 0.77}])
    {'low': 0.7, 'high': 0.8, 'ticks': [0.7, 0.8]}
    """
    ends = [score[key] for score in scores for key in ("low", "value", "high") if score[key] is not None]
    if not ends:
        return {"low": 0.0, "high": 1.0, "ticks": [0.0, 0.5, 1.0]}
    step = 1 if max(ends) - min(ends) <= 0.45 else 2
    # Whole tenths: 0.3 / 0.1 is not 3 in floating point.
    low = math.floor(round(min(ends) * 10 / step, 9)) * step
    high = math.ceil(round(max(ends) * 10 / step, 9)) * step
    high = max(high, low + step)
    return {"low": low / 10, "high": high / 10, "ticks": [tick / 10 for tick in range(low, high + 1, step)]}


def at(value: float, axis: dict[str, Any]) -> str:
    """Where a value lies on an axis, as a percentage of the drawing's width with a margin for the dot.

    >>> at(0.75, {"low": 0.5, "high": 1.0})
    '50.00%'
    """
    return f"{4 + 92 * (value - axis['low']) / (axis['high'] - axis['low']):.2f}%"


def curves(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Small curves over epochs: losses together, then one validation score. Points lie in a 100 x 100 box."""
    keys = {key for row in history for key in row}
    score = next((key for name in HEADLINES if (key := f"eval_{name}") in keys), None)
    drawn = []
    for name, wanted in (("Loss", ("loss", "eval_loss")), (score or "", (score,))):
        lines = {key: [(row["epoch"], row[key]) for row in history if key in row and "epoch" in row] for key in wanted}
        lines = {key: points for key, points in lines.items() if len(points) > 1}
        values = [value for points in lines.values() for _, value in points]
        if not values:
            continue
        epochs = [epoch for points in lines.values() for epoch, _ in points]
        box = (min(epochs), max(epochs), min(values), max(values))
        drawn.append(
            {
                "name": name,
                "lines": [{"key": key, "points": _points(points, box)} for key, points in lines.items()],
                "epochs": box[:2],
                "range": box[2:],
            }
        )
    return drawn


def confusions(predictions: Predictions) -> dict[str, Any]:
    """Counts (rows true, columns predicted), and the confused pairs, most frequent first.

    Of a pair: count, of how many rows of the true class, and its share of all errors.
    """
    names = predictions.names
    cells = confusion(predictions.labels, predictions.predicted, len(names))
    totals = cells.sum(axis=1)
    wrong = int(cells.sum() - cells.trace())
    pairs = [
        {"label": names[i], "prediction": names[j], "count": int(cells[i, j]), "of": int(totals[i])}
        | {"share": int(cells[i, j]) / wrong}
        for i, j in zip(*cells.nonzero(), strict=True)
        if i != j
    ]
    pairs.sort(key=lambda pair: -pair["count"])
    return {"names": list(names), "cells": cells.tolist(), "pairs": pairs[:200], "wrong": wrong, "n": predictions.n}


def draw_confusion(target: Path, names: Sequence[str], cells: Sequence[Sequence[int]]) -> None:
    """PNG of counts (true rows, predicted columns), shaded by the share of the true class's rows."""
    side = min(16.0, max(4.2, 2.2 + 0.45 * len(names)))
    size = max(2.5, min(9, 36 * side / len(names)))  # points: what fits the height of a row
    with canvas(target, side, side) as axes:
        counts = np.asarray(cells, dtype=float)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        # The root keeps rare confusions visible beside a full diagonal.
        strength = 0.7 * np.sqrt(shares)[..., None]
        colours = np.where(np.eye(len(names), dtype=bool)[..., None], HIT_RGB, MISS_RGB)
        # A mesh and no image: resampling one to 2,000 pixels takes 2 s and 300 MB.
        edges = np.arange(len(names) + 1) - 0.5
        axes.pcolormesh(edges, edges, 1 - strength * (1 - colours))
        axes.set(aspect="equal", ylim=(len(names) - 0.5, -0.5))
        places = range(len(names))
        axes.set_xticks(places, [_short(name) for name in names], rotation=90, fontsize=size, parse_math=False)
        axes.set_yticks(places, [_short(name) for name in names], fontsize=size, parse_math=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.tick_params(length=0)
        axes.spines[:].set_color(FAINT)
        if len(names) <= 20:
            for i, row in enumerate(cells):
                for j, count in enumerate(row):
                    if count:
                        axes.text(j, i, f"{count:,}", ha="center", va="center", fontsize=8, color=INK)


def draw_intervals(target: Path, title: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """PNG of one value with its interval per class, in the given order from the top."""
    with canvas(target, 7.0, max(1.8, 0.9 + 0.24 * len(rows))) as axes:
        for place, (_, score) in enumerate(rows):
            if score["value"] is None:
                continue
            if score["low"] is not None and score["high"] is not None:
                axes.plot([score["low"], score["high"]], [place, place], color=ACCENT, linewidth=1.6)
            axes.plot([score["value"]], [place], "o", color=ACCENT, markersize=4.5)
        axes.set_yticks(range(len(rows)), [_short(name) for name, _ in rows], fontsize=8, parse_math=False)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1.01)
        axes.set_xlabel(f"{title} with its 95 % interval")
        axes.grid(axis="x", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)


@contextmanager
def canvas(target: Path, width: float, height: float) -> Iterator[Any]:
    """Axes of a figure in inches, saved on leaving. The object interface: no window, no global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="tight")
    yield figure.subplots()
    with warnings.catch_warnings():
        # A class name in a script that the bundled font lacks is drawn as boxes; the page shows it properly.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        # Without a software stamp equal figures are equal bytes.
        write_whole(target, lambda path: figure.savefig(path, format="png", dpi=130, metadata={"Software": None}))


def _points(points: Sequence[tuple[float, float]], box: tuple[float, float, float, float]) -> str:
    left, right, low, high = box
    wide, tall = (right - left) or 1.0, (high - low) or 1.0
    return " ".join(f"{100 * (x - left) / wide:.2f},{100 - 100 * (y - low) / tall:.2f}" for x, y in points)


def _short(name: str, limit: int = 28) -> str:
    line = " ".join(name.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
