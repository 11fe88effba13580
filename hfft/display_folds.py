"""Cross-validation in the terminal. In: what folding.py returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal
from hfft.records import less_is_better


def judged(facts: dict[str, Any]) -> None:
    """One row per metric, the sentences, and where to read on."""
    screen = terminal.console()
    rounds = f" x {facts['repeats']}" * (facts["repeats"] > 1)
    grid = terminal.table(
        f"{facts['folds']} folds{rounds}" if "stopped" not in facts else f"{len(facts['members'])} folds",
        "mean",
        "95 % interval",
        "SD over folds",
        "min to max",
        "all answers, 95 %",
        "n",
    )
    for key, made in facts["scores"].items():
        pooled = facts["out_of_fold"][key]
        whole = f"{pooled['value']:.4f}"
        if pooled["low"] is not None:
            whole += f" [{pooled['low']:.4f}, {pooled['high']:.4f}]"
        grid.add_row(
            key,
            f"{made['mean']:.4f}",
            f"[{made['low']:.4f}, {made['high']:.4f}]",
            f"{made['sd']:.4f}",
            f"{made['least']:.4f} to {made['most']:.4f}",
            whole,
            f"{pooled['n']:,}",
        )
    screen.print(grid)
    for sentence in facts["sentences"]:
        screen.print(sentence)
    for note in facts["notes"]:
        screen.print(f"note: {note}")
    for gate in facts["gates"]:
        screen.print(f"gate {gate['metric']} {gate['rule']}: {gate['verdict'].upper()}. {gate['why']}")
    run = facts["run"]
    if not facts["page"]:
        screen.print(f"\nNothing was written: {run} keeps the verdict of its own recipe.")
        return
    screen.print(f"\nfacts   {run}/folds.json\nanswers {run}/predictions/out_of_fold.parquet\npage    {facts['page']}")
    if "stopped" not in facts:
        then = f"hfft eval {run}     (opens the test split once, for the mean of the models' answers)"
        if facts["calibration"] is None:  # of masks, which `hfft labels` knows nothing about
            screen.print(f"Next:   {then}")
            return
        screen.print(f"Next:   hfft labels {run}     (labels that look wrong, judged by models that did not see them)")
        screen.print(f"        {then}")


def compared(facts: dict[str, Any]) -> None:
    """Mean differences over folds, rows won and lost, and the verdict in words."""
    screen = terminal.console()
    for found in facts["comparisons"]:
        columns = ("mean difference", "95 % interval", "SD over folds", "p")
        grid = terminal.table(f"{found['second']} minus {found['first']}", *columns)
        for key, made in found["differences"].items():
            unit, digits = (1, 4) if less_is_better(key) else (100, 2)
            mean, low, high = (f"{unit * made[part]:+.{digits}f}" for part in ("mean", "low", "high"))
            grid.add_row(key, mean, f"[{low}, {high}]", f"{unit * made['sd']:.{digits}f}", f"{made['p']:.3g}")
        screen.print(grid)
        screen.print(f"{found['won']:,} rows won, {found['lost']:,} lost, of {facts['n']:,} answers")
        screen.print(f"\n{found['verdict'].upper()}. {found['sentence']}\n")
    screen.print(
        "Points of 100 (losses as they are), paired over the same folds; interval and p are corrected for the training "
        "rows that folds share (Nadeau and Bengio 2003)."
    )
