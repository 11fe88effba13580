"""Several seeds in the terminal. In: what repeating.py or averaging.py returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal
from hfft.records import less_is_better


def spreads(split: str, facts: dict[str, Any]) -> None:
    """Mean, spread over seeds and noise of the test rows per metric, then the sentence."""
    screen, found = terminal.console(), facts[split]
    if not found:
        screen.print("Fewer than two runs are scored, or a metric has no interval: there is no spread to tell.")
        return
    seeds = len(facts["seeds"])
    grid = terminal.table(
        f"{split}, {seeds} seeds", "mean", "95 % interval", "SD over seeds", "min to max", "noise of rows", "n"
    )
    for key, made in found.items():
        grid.add_row(
            key,
            f"{made['mean']:.4f}",
            f"[{made['low']:.4f}, {made['high']:.4f}]",
            f"{made['sd']:.4f}",
            f"{made['least']:.4f} to {made['most']:.4f}",
            f"{made['error']:.4f}",
            f"{made['n']:,}",
        )
    screen.print(grid)
    screen.print(
        "The interval allows for other seeds and other rows; noise of rows: standard error of one run's score."
    )


def trained(facts: dict[str, Any]) -> None:
    """What `hfft run --seeds` did."""
    spreads("validation", facts)
    screen = terminal.console()
    for sentence in facts["sentences"]["validation"]:
        screen.print(sentence)
    screen.print(f"\nruns    {facts['run']}/{{{','.join(facts['members'])}}}")
    screen.print(f"Next:   hfft eval {facts['run']}     (opens the held-out test split, once for each seed)")


def tested(facts: dict[str, Any]) -> None:
    """What `hfft eval` of a folder of seeds found: spreads, gates of each run, and where to read on."""
    screen = terminal.console()
    spreads("test", facts)
    for sentence in facts["sentences"]:
        screen.print(sentence)
    for name, member in facts["members"].items():
        for gate in member["gates"]:
            screen.print(f"{name}: gate {gate['metric']} {gate['rule']}: {gate['verdict'].upper()}. {gate['why']}")
        if member["openings"]["warning"]:
            screen.print(f"\n!! {name}: {member['openings']['warning']}")
    screen.print(f"\nreports {facts['run']}/{{{','.join(facts['members'])}}}/report.html")


def compared(facts: dict[str, Any]) -> None:
    """Means over seeds against means over seeds."""
    screen = terminal.console()
    for found in facts["comparisons"]:
        grid = terminal.table(
            f"{found['second']} minus {found['first']}", "difference of means", "95 % interval", "SD over seeds"
        )
        for key, made in found["differences"].items():
            unit, digits = (1, 4) if less_is_better(key) else (100, 2)
            mean, low, high = (f"{unit * made[part]:+.{digits}f}" for part in ("mean", "low", "high"))
            grid.add_row(key, mean, f"[{low}, {high}]", f"{unit * made['sd']:.{digits}f}")
        screen.print(grid)
        screen.print(f"\n{found['verdict'].upper()}. {found['sentence']}\n")
    screen.print(
        "Points of 100 (losses as they are); pairs of seeds on the same rows; the interval allows for other seeds and "
        "other rows."
    )
