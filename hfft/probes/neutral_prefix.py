"""A few words without a message at the start. Not safe: they are English, and in a short text they weigh much."""

from __future__ import annotations

import random

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "a few English words without a message are put before the text (“By the way, …”)"

WORDS = ("By the way,", "As I said before:", "For your information:", "Just a note:", "So,", "From my side:")


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None for an empty text.

    >>> perturb("Late again", 1, random.Random(0))
    'Just a note: Late again'
    """
    return f"{rng.choice(WORDS)} {text.lstrip()}" if text.strip() else None
