"""Capital letters where there were small ones, or the other way round."""

from __future__ import annotations

import random

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 1
SAYS = "the whole text in small letters, in capitals, or each word with a capital"

FORMS = (str.lower, str.upper, str.title)


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """One of the three forms that differ from the text.

    >>> perturb("Great flight", 1, random.Random(0))
    'Great Flight'
    """
    forms = sorted({form(text) for form in FORMS} - {text})
    return rng.choice(forms) if forms else None
