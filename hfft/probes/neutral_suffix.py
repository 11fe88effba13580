"""A sentence without a message at the end. Not safe: it is English, and in a short text it weighs much."""

from __future__ import annotations

import random

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "an English sentence without a message is put after the text (“That is what I wanted to say.”)"

SENTENCES = ("That is what I wanted to say.", "Sent from my phone.", "This is my message.", "I am writing this today.")


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None for an empty text. A text without a mark at its end gets a full stop first.

    >>> perturb("Late again", 1, random.Random(0))
    'Late again. I am writing this today.'
    """
    body = text.rstrip()
    return f"{body}{'.' if body[-1].isalnum() else ''} {rng.choice(SENTENCES)}" if body else None
