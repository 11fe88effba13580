"""Facts as tables in the terminal. In: what a verb returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

NAMES = {"tfidf_linear": "TF-IDF + linear", "majority": "majority class"}


def classes(counts: dict[str, dict[str, int]]) -> None:
    """Rows per class and split."""
    table = _table("class", *counts)
    for name in counts["train"]:
        table.add_row(name, *(f"{part[name]:,}" for part in counts.values()))
    table.add_row("all", *(f"{sum(part.values()):,}" for part in counts.values()))
    _console().print(table)


def scores(split: str, found: dict[str, Any], baselines: dict[str, dict[str, Any]]) -> None:
    """Metrics of the whole split, each with its interval, n and method, beside the baselines."""
    table = _table(split, "value", "95 % interval", "n", "method", *(NAMES.get(name, name) for name in baselines))
    for key, score in found.items():
        if "[" in key:
            continue
        beside = (_number(part[key]["value"]) for part in baselines.values())
        table.add_row(key, _number(score["value"]), _interval(score), f"{score['n']:,}", score["method"], *beside)
    _console().print(table)


def verdict(facts: dict[str, Any]) -> None:
    """What `hfft eval` found: scores, each class, baselines, notes, gates, and where to read on."""
    console = _console()
    console.print()
    scores("test", facts["test"], facts["baselines"])
    per_class(facts["test"])
    for name in ("tfidf_linear", "majority"):
        if name in facts["baselines"] and "f1_macro" in facts["test"]:
            ours, theirs = facts["test"]["f1_macro"], facts["baselines"][name]["f1_macro"]
            console.print(f"macro-F1: this model {_full(ours)}; {NAMES[name]} on the same rows {_full(theirs)}")
            break
    for note in facts["notes"]:
        console.print(f"note: {note}")
    for gate in facts["gates"]:
        console.print(f"gate {gate['metric']} {gate['rule']}: {gate['verdict'].upper()}. {gate['why']}")
    times = "once" if facts["look"] == 1 else f"{facts['look']} times"
    console.print(f"The test split of this run has been opened {times} ({facts['run']}/ledger.jsonl).")
    console.print(f"\nreport  {facts['report']}")
    console.print(f"Next:   open {facts['report']} in a browser, or: hfft ls")


def per_class(found: dict[str, Any], limit: int = 20) -> None:
    """Precision, recall and F1 of each class; the worst ones when there are many."""
    names = [key[3:-1] for key in found if key.startswith("f1[")]
    if not names:
        return
    kinds = [kind for kind in ("precision", "recall", "f1") if f"{kind}[{names[0]}]" in found]
    shown = sorted(names, key=lambda name: found[f"f1[{name}]"]["value"] or 0)[:limit] if len(names) > limit else names
    title = "class" if len(names) <= limit else f"worst {limit} of {len(names)} classes"
    table = _table(title, *kinds)
    for name in shown:
        table.add_row(
            name, *(f"{_full(found[f'{kind}[{name}]'])} n {found[f'{kind}[{name}]']['n']:,}" for kind in kinds)
        )
    _console().print(table)


def _full(score: dict[str, Any]) -> str:
    return f"{_number(score['value'])} {_interval(score)}".strip()


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"


def _interval(score: dict[str, Any]) -> str:
    return "" if score["low"] is None else f"[{score['low']:.4f}, {score['high']:.4f}]"


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="left" if name == "method" else "right", overflow="fold")
    return table


def _console() -> Console:
    console = Console(highlight=False, markup=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = 140  # piped: one row stays one line
    return console
