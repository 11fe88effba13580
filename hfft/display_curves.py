"""A learning curve in the terminal. In: what learning_curves.py returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal


def judged(facts: dict[str, Any]) -> None:
    """One row per share, what twice the rows would bring by every metric, the sentences, and where to read on."""
    screen, metric = terminal.console(), facts["metric"]
    grid = terminal.table("share", "training rows", metric, "95 % interval", "seeds", "seconds")
    for point in facts["points"]:
        score = point["scores"][metric]
        grid.add_row(
            f"{100 * point['share']:.3g} %",
            f"{point['rows']:,}",
            f"{score['value']:.4f}",
            f"[{score['low']:.4f}, {score['high']:.4f}]",
            str(point["seeds"]),
            f"{point['seconds']:.0f}",
        )
    screen.print(grid)
    others = {key: law["doubled"] for key, law in facts["curves"].items() if not key.endswith(("_micro", "_weighted"))}
    grid = terminal.table("twice the rows would bring", "points", "95 % interval")
    for key, apart in others.items():
        low, value, high = (f"{100 * apart[end]:+.1f}" for end in ("low", "value", "high"))
        grid.add_row(key, value, f"[{low}, {high}]")
    screen.print(grid)
    for sentence in [*facts["sentences"], facts["about"]]:
        screen.print(sentence)
    screen.print(f"\nfacts   {facts['run']}/learning_curve.json\npage    {facts['run']}/learning_curve.html")
