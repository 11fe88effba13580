"""Capital letters where there were small ones, or the other way round."""

from __future__ import annotations

import random

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 1
SAYS = "the whole text in small letters, in capitals, or each word with a capital"


def titled(text: str) -> str:
    """Each word with a capital; unlike str.title, "don't" becomes "Don't".

    >>> titled("don't fly  with THEM")
    "Don't Fly  With Them"
    """
    return wording.TOKEN.sub(lambda token: token[0].capitalize(), text)


FORMS = (str.lower, str.upper, titled)


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """One of the three forms that differ from the text.

    >>> perturb("Great flight", 1, random.Random(0))
    'Great Flight'
    """
    forms = sorted({form(text) for form in FORMS} - {text})
    return rng.choice(forms) if forms else None
