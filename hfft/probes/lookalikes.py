"""Letters from another alphabet that look the same: what copies from PDFs, and people who evade filters, write."""

from __future__ import annotations

import random

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 3  # how many words have one
SAYS = "a letter of one, two or three words from another alphabet that looks the same"

# Latin: Cyrillic, in the pairs of Unicode's confusables.txt that are alike in common typefaces.
LOOKS = dict(zip("aceiopsxyjABCEHIKMOPTXSJ", "асеіорѕхујАВСЕНІКМОРТХЅЈ", strict=True))


def disguised(word: str, rng: random.Random) -> str:
    """The word with one letter's look-alike.

    >>> disguised("cat", random.Random(0)) == "cat", len(disguised("cat", random.Random(0)))
    (False, 3)
    """
    at = rng.choice([place for place, letter in enumerate(word) if letter in LOOKS])
    return word[:at] + LOOKS[word[at]] + word[at + 1 :]


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """`severity` words with one look-alike each; None where fewer words of four letters have a letter with one.

    >>> found = perturb("late again", 1, random.Random(0))
    >>> found.isascii(), len(found)
    (False, 10)
    """
    return wording.in_words(text, severity, rng, disguised, lambda word: not LOOKS.keys().isdisjoint(word))
