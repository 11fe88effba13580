"""An emoji without a mood at the end. Not safe: to a model of moods or topics, no emoji is quite without meaning."""

from __future__ import annotations

import random

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "an emoji without a mood (paper clip, clock, pin) is added at the end"

SIGNS = "📎🕒📌🔎🔹📄🧭💬"


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None for an empty text.

    >>> perturb("late again", 1, random.Random(0))
    'late again 🧭'
    """
    return f"{text.rstrip()} {rng.choice(SIGNS)}" if text.strip() else None
