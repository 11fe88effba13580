"""The ranking of models in the terminal. In: what ranking.py returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import rank_figures, terminal


def judged(facts: dict[str, Any]) -> None:
    """A row per model and baseline, what can be told apart, the trainings, and what to type next."""
    screen, lead = terminal.console(), facts["metric"]
    how = f"{facts['folds']} folds" if facts["folds"] > 1 else "held out once"
    screen.print(f"\n{lead} on {facts['n']:,} training and validation rows, {how}, nothing trained:")
    columns = ("linear probe", f"{facts['neighbours']} neighbours", "LogME", "ms a row", "MB memory, disk")
    grid = terminal.table("model", *columns, "parameters", "licence")
    for row in facts["models"]:
        grid.add_row(
            row["name"] + " *" * (row["name"] == facts["recommended"]),
            _score(row["linear"]),
            _score(row["nearest"]),
            f"{row['logme']:.3f}",
            f"{row['ms_per_row']:.2f}",
            f"{rank_figures.amount(row['memory_mb'])}, {rank_figures.amount(row['disk_mb'])}",
            rank_figures.millions(row["parameters"]),
            row["licence"],
        )
    for row in facts["baselines"]:
        grid.add_row(row["name"], _score(row["linear"]), *[""] * 6)
    screen.print(grid)
    batch = facts["models"][0]["batch"]
    screen.print(
        f"* to start from. ms a row: median, batches of {batch}, {facts['machine']['cpu']}. {facts['about']}\n"
    )
    halving = facts.get("halving") or {"sentences": []}
    for sentence in [*facts["sentences"], *halving["sentences"]]:
        screen.print(sentence)
    for name, why in facts["left_out"].items():
        screen.print(f"{name} was left out: {why}")
    if "stopped" in facts:
        screen.print(facts["stopped"])
    screen.print(f"\nfacts   {facts['run']}/rank.json\npage    {facts['run']}/rank.html")
    for place, command in enumerate(facts["next"]):
        print(f"{'Next:  ' if not place else 'or:    '} {command}")


def _score(score: dict[str, Any]) -> str:
    if score["value"] is None:
        return "undefined"
    return f"{score['value']:.3f}" + (f" [{score['low']:.3f}, {score['high']:.3f}]" if score["low"] is not None else "")
