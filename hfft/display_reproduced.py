"""A run and its second coming in the terminal. In: what reproducing.py returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal
from hfft.errors import counted, listed


def reproduced(facts: dict[str, Any]) -> None:
    """Metrics then and now, weights, answers, and the verdict; what was checked before was said then."""
    screen = terminal.console()
    table = terminal.table("validation", "then", "now", "difference", "n")
    for name, found in facts["metrics"].items():
        then, now = found["then"], found["now"]
        known = then is not None and now is not None
        shown = (f"{then:.4f}", f"{now:.4f}", f"{now - then:+.4f}" if then != now else "0") if known else ("—",) * 3
        table.add_row(name, *shown, f"{found['n']:,}")
    screen.print(table)
    for line in _lines(facts):
        screen.print(line, soft_wrap=True)
    screen.print(f"\n{facts['sentence']}\n\nagain   {facts['again']}", soft_wrap=True)


def _lines(facts: dict[str, Any]) -> list[str]:
    weighed, answered = facts["weights"], facts["answers"]
    out = ["weights: equal to the last bit"] if weighed["equal"] else [_weights(weighed)]
    answers = f"answers: {answered['other_answers']:,} of {counted(answered['n'], answered['noun'])} differ"
    if (moved := answered["largest_probability"]) is not None:
        answers += f", probabilities by up to {moved:.2g}" if moved else ", every probability is the same"
    out.append(answers)
    if paired := answered["paired"]:
        ends = f"[{paired['low']:+.4f}, {paired['high']:+.4f}]"
        out.append(f"paired:  {paired['metric']} {paired['value']:+.4f} {ends} ({paired['method']}, n {paired['n']:,})")
    return [*out, facts["test"]["sentence"]]


def _weights(weighed: dict[str, Any]) -> str:
    if weighed["unlike"]:
        return f"weights: tensors that only one of them has, or of another shape: {listed(weighed['unlike'], 5)}"
    equal = f"{weighed['tensors_equal']:,} of {counted(weighed['tensors'], 'tensor')} equal"
    return f"weights: {equal}; the largest difference of a number is {weighed['largest']:.2g}, in {weighed['tensor']}"
