"""A rehearsal in the terminal: what was found, what to type, and what the run will cost. In: facts. Out: stdout."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def rehearsal(facts: dict[str, Any], then: str | None) -> None:
    """Notes, the quote, and every problem with its fix; then what to type next, if anything."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for note in facts["notes"]:
        console.print(f"  note: {note}")
    if facts["quote"]:
        console.print(priced(facts["quote"]))
    problems = facts["problems"]
    if not problems:
        console.print(f"rehearsed in {facts['seconds']:.0f} s: nothing stands in the way; nothing was kept")
        if then:
            console.print(f"\nNext:   {then}")
        return
    many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    console.print(f"rehearsed in {facts['seconds']:.0f} s: {many} would stop the run")
    for number, problem in enumerate(problems, 1):
        console.print(f"{number:3}. {problem['step']}: {problem['what']}")
        console.print(f"     fix: {problem['fix']}")


def priced(quote: dict[str, Any]) -> str:
    """The quote as one sentence."""
    count = f"{quote['steps']:,} step{'s' * (quote['steps'] != 1)}"
    card = f", {quote['accelerator_gb']:.1f} GB on the accelerator" if quote["accelerator_gb"] else ""
    return (
        f"quote: {span(quote['low'], quote['high'])} on this machine as busy as it is now ({count} of "
        f"{_seconds(quote['seconds_per_step'])}, {quote['steps_measured']} measured; {quote['evaluations']} "
        f"evaluation{'s' * (quote['evaluations'] != 1)}), {quote['memory_gb']:.1f} GB of memory{card}, "
        f"{_megabytes(quote['disk_kept_mb'])} kept on disk ({_megabytes(quote['disk_peak_mb'])} at its peak)"
    )


def span(low: float, high: float) -> str:
    """A range of seconds in the unit a person would use.

    >>> span(241, 297), span(70, 82), span(5000, 7300), span(3, 4)
    ('about 4 to 5 minutes', 'about 70 to 82 seconds', 'about 1.4 to 2 hours', 'about 3 to 4 seconds')
    >>> span(0.6, 1.2)
    'less than 2 seconds'
    """
    if high < 2:
        return "less than 2 seconds"
    unit, seconds = next((u, s) for u, s in (("hours", 3600), ("minutes", 60), ("seconds", 1)) if high >= 1.7 * s)
    first, last = (f"{value / seconds:.{int(unit == 'hours' and high < 36000)}f}" for value in (low, high))
    first, last = first.removesuffix(".0"), last.removesuffix(".0")
    return f"about {first} {unit}" if first == last else f"about {first} to {last} {unit}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def _megabytes(value: float) -> str:
    return f"{value / 1000:,.1f} GB" if value >= 1000 else f"{max(value, 0.1):,.{int(value < 10)}f} MB"
