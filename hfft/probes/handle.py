"""A handle at the start, as in a reply. Not safe: whom a message addresses may decide its class."""

from __future__ import annotations

import random

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "a made-up @handle is added at the start"

WORDS = ["blue", "corner", "garden", "harbour", "lamp", "maple", "north", "paper", "river", "stone", "table", "window"]


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None for an empty text.

    >>> perturb("late again", 1, random.Random(0))
    '@northwindow15 late again'
    """
    handle = f"@{''.join(rng.sample(WORDS, 2))}{rng.randrange(10, 100)}"
    return f"{handle} {text.lstrip()}" if text.strip() else None
