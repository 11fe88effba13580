"""An export in the terminal. In: facts of export.json. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal
from hfft.errors import counted


def exported(facts: dict[str, Any]) -> None:
    """Parity and speed at each size of batches, the verdict, and where the files are."""
    console, parity = terminal.console(), facts["parity"]
    noun = "pixels" if facts["task"] == "semantic_segmentation" else "rows"
    table = terminal.table("batch", "largest logit gap", "answers that differ", "torch", "exported", "faster by", "n")
    for part, speed in zip(parity["batches"], facts["speed"]["batches"], strict=True):
        flips = f"{part['label_flips']:,} of {part['answers']:,} {noun}"
        times = (f"{speed[key]:.2f} ms" for key in ("torch_ms", "exported_ms"))
        table.add_row(
            str(part["batch"]), f"{part['largest_logit_gap']:.2g}", flips, *times, ratio(speed), f"{part['rows']:,}"
        )
    console.print(table)
    console.print(
        f"Medians per row on {facts['speed']['machine']}, {facts['speed']['threads']} thread(s), {facts['engine']}, in "
        "turn with torch; 95 % interval of the median ratio over the batches."
    )
    console.print(f"\n{'ACCEPTED' if facts['accepted'] else 'REFUSED'}. {facts['why'][:1].upper()}{facts['why'][1:]}")
    if facts["fitted"]:
        console.print(fitted(facts["fitted"]))
    if facts["look"] is not None:
        console.print(f"{opening(facts['labels'])} ({facts['run']}/ledger.jsonl, look {facts['look']}).")
    console.print(f"\nexport  {facts['folder']}" if facts["folder"] else "\nNothing was kept.")


def fitted(found: dict[str, Any]) -> str:
    """
    >>> fitted({"n": 60, "split": "validation", "temperature": 1.25, "before": 1.0})
    'Temperature 1.2500 (of the model: 1.0000), fitted to its own answers to 60 rows of validation.'
    """
    was = "" if found["before"] is None else f" (of the model: {found['before']:.4f})"
    rows = f"{counted(found['n'], 'row')} of {found['split']}"
    return f"Temperature {found['temperature']:.4f}{was}, fitted to its own answers to {rows}."


def opening(labels: bool) -> str:
    """What the opening of the test rows was, without its full stop."""
    if labels:
        return "The test rows were opened, and their labels decided whether 8 bits are accepted: that is one more look"
    return "The test rows were opened, and no label was read: that is no look that could tune anything"


def ratio(speed: dict[str, Any]) -> str:
    """
    >>> ratio({"ratio": 2.0, "low": 1.9, "high": None})
    '2.00 times'
    """
    ends = f" [{speed['low']:.2f}, {speed['high']:.2f}]" if None not in (speed["low"], speed["high"]) else ""
    return f"{speed['ratio']:.2f} times{ends}"
