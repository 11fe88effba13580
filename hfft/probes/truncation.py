"""Only the first words, as when a form or a model's longest input cuts the rest off. Not safe: the end may decide."""

from __future__ import annotations

import random

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 3
SAYS = "only the first three quarters, half or quarter of the words are kept"

KEPT = (0.75, 0.50, 0.25)
FEWEST_WORDS = 8  # so that two are left


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None for a text of fewer than eight words; every severity applies to the same rows.

    >>> perturb("we sat at the gate for two hours", 2, random.Random(0))
    'we sat at the'
    """
    ends = [found.end() for found in wording.TOKEN.finditer(text)]
    return text[: ends[round(KEPT[severity - 1] * len(ends)) - 1]] if len(ends) >= FEWEST_WORDS else None
