"""Explanations in the terminal. In: what explaining.py returned. Out: stdout; numbers instead of colours when piped."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from hfft import terminal
from hfft.steering import visible

FAINT, MIDDLE = 0.15, 0.5  # of the strongest weight: below the first nothing is marked
FOR, AGAINST = ("on dark_blue", "bold white on blue"), ("on dark_red underline", "bold white on red underline")


def explained(facts: dict[str, Any]) -> None:
    """Each input with its answer, its words or its map, and how far it can be trusted."""
    screen = terminal.console()
    for one in facts["explained"]:
        labelled = "" if one["label"] is None else f", labelled {one['label']!r}"
        other = "" if one["class"] == one["prediction"] else f"; the answer is {one['prediction']!r}"
        head = f"\nrow {one['id'][:12]}: what speaks for {one['class']!r} ({one['probability']:.3f}{labelled}{other})"
        screen.print(head, soft_wrap=True)
        if "pieces" in one:
            screen.print(_words(screen, one["pieces"]), soft_wrap=not screen.is_terminal)
        for sentence in one["sentences"]:
            screen.print(f"  {sentence}", soft_wrap=not screen.is_terminal)
        screen.print(f"  {one['file']}", soft_wrap=True)
    if any("pieces" in one for one in facts["explained"]):
        key = "blue speaks for the class, red underlined against it" if screen.is_terminal else "+ speaks for the class"
        screen.print(f"\nWords: {key}; words of little weight are not marked.")


def _words(screen: Console, pieces: list[dict[str, Any]]) -> Text:
    """The text; each word of weight coloured, or followed by its weight where there are no colours."""
    most = max((abs(piece["weight"]) for piece in pieces if piece["weight"] is not None), default=0.0)
    line, coloured = Text("  "), screen.is_terminal and not screen.no_color
    part = 0
    for piece in pieces:
        if piece["part"] != part:
            line.append(" | ")
            part = piece["part"]
        weight = piece["weight"]
        strong = 0.0 if weight is None or not most else abs(weight) / most
        if strong < FAINT:
            line.append(visible(piece["text"]))
        elif coloured:
            line.append(visible(piece["text"]), (FOR if weight > 0 else AGAINST)[strong >= MIDDLE])
        else:
            line.append(f"{visible(piece['text'])} ({weight:+.2f})")
    return line
