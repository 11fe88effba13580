"""Accents on letters that have none, as in "résumé": keyboards of other languages and playful spelling."""

from __future__ import annotations

import random
import unicodedata

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 3  # how many words have one
SAYS = "an accent on a vowel of one, two or three words"

VOWELS = frozenset("aeiouAEIOU")
SIGNS = "\u0300\u0301\u0302\u0308"  # grave, acute, circumflex, diaeresis: each vowel has all of them as one sign


def accented(word: str, rng: random.Random) -> str:
    """The word with an accent on one vowel.

    >>> accented("late", random.Random(2))
    'làte'
    """
    at = rng.choice([place for place, letter in enumerate(word) if letter in VOWELS])
    return word[:at] + unicodedata.normalize("NFC", word[at] + rng.choice(SIGNS)) + word[at + 1 :]


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """`severity` words with one accent each; None where fewer words of four plain letters have a vowel.

    Words with other letters than a to z are left alone: in their languages an accent makes another word.

    >>> perturb("late again", 2, random.Random(0))
    'latë âgain'
    """
    return wording.in_words(text, severity, rng, accented, lambda word: word.isascii() and not VOWELS.isdisjoint(word))
