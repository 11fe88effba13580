"""A link at the end. Not safe: where links tell the classes apart (spam), one more may rightly move the answer."""

from __future__ import annotations

import random
import string

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "a made-up link is added at the end"

SIGNS = string.ascii_letters + string.digits


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None for an empty text.

    >>> perturb("late again", 1, random.Random(0))
    'late again https://example.org/0UAqFzWs'
    """
    return f"{text.rstrip()} https://example.org/{''.join(rng.choices(SIGNS, k=8))}" if text.strip() else None
