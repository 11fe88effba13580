"""Slips of the finger inside longer words: letters change places, go missing, come twice, or a neighbour key is hit.

The first letter stays, as it does in most real slips, and words of fewer than four letters are left alone: "not" and
"now" are one slip apart. A slip can still make another word ("good", "god"); readers get over it, and so should models.
"""

from __future__ import annotations

import random

from hfft import wording
from hfft.slips import slip

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 3  # how many words have one
SAYS = "a slip of the finger in one, two or three words: letters swapped, dropped, added, or a neighbour key hit"


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """`severity` words with one slip each; None where fewer have four letters. Links and handles stay whole.

    >>> perturb("@united the flight was late again", 2, random.Random(1))
    '@united the flihgt was late agai'
    """
    return wording.in_words(text, severity, rng, slip)
