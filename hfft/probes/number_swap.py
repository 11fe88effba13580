"""Other numbers with as many digits. Not safe: where numbers decide the class, the right answer moves with them."""

from __future__ import annotations

import random
import re

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "every number becomes another one with as many digits"

# Numbers that begin a word; ordinals ("3rd") are left alone, as are runs of more digits than any number has.
NUMBER = re.compile(r"(?<!\w)[0-9]{1,30}(?!\d|st\b|nd\b|rd\b|th\b)")


def drawn(number: str, rng: random.Random) -> str:
    """Another number with as many digits: its first one is no 0, unless it was, and a year of our days stays one.

    >>> [drawn(number, random.Random(0)) for number in ("7", "10", "007", "1999")]
    ['8', '60', '050', '1998']
    """
    low = 0 if number[0] == "0" else 10 ** (len(number) - 1)
    high = 10 ** (len(number) - 1 if number[0] == "0" and len(number) > 1 else len(number))
    if len(number) == 4 and 1900 <= int(number) < 2100:
        low, high = 1900, 2100
    other = rng.randrange(low, high - 1)
    return str(other + (other >= int(number))).zfill(len(number))


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None where no number stands in running text.

    >>> perturb("gate B7 at 18:45, bag 2 on the 3rd, @user99", 1, random.Random(0))
    'gate B7 at 60:64, bag 1 on the 3rd, @user99'
    """
    places = [found.span() for start, end in wording.tokens(text) for found in NUMBER.finditer(text, start, end)]
    edits = [((start, end), drawn(text[start:end], rng)) for start, end in places]
    return wording.replaced(text, edits) if edits else None
