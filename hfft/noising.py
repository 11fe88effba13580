"""Random changes of training texts that keep their class: words left out, and slips of the finger.

In: the recipe's `augment:` section, a text, random numbers. Out: a text. It must not know which rows it sees; it is
never handed rows that are held back.
"""

from __future__ import annotations

import random
import re

from hfft import slips, wording
from hfft.schema_augment import Augment

WORD = re.compile(r"\S+\s*")


def noised(text: str, augment: Augment, rng: random.Random) -> str:
    """The text with words left out, then with typos in what is left, as far as the recipe asks for it."""
    if augment.word_dropout:
        text = thinned(text, augment.word_dropout, rng)
    return mistyped(text, augment.typos, rng) if augment.typos else text


def thinned(text: str, share: float, rng: random.Random) -> str:
    """Each word left out with probability `share`, but never all; words are what stands between white space.

    Iyyer et al., Deep Unordered Composition Rivals Syntactic Methods, 2015, section 3.1: word dropout.

    >>> thinned("the flight was late again", 0.4, random.Random(0))
    'the flight was again'
    """
    words = WORD.findall(text)
    kept = [word for word in words if rng.random() >= share]
    return "".join(kept or ([rng.choice(words)] if words else [])).rstrip()


def mistyped(text: str, share: float, rng: random.Random) -> str:
    """Each word of at least four letters with one slip, with probability `share`; links and handles stay whole.

    >>> mistyped("@united the flight was late again", 1.0, random.Random(1))
    '@united the flihgt was latw agaib'
    """
    places = [place for place in wording.words(text) if rng.random() < share]
    return wording.replaced(text, [((start, end), slips.slip(text[start:end], rng)) for start, end in places])
