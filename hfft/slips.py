"""Slips of the finger: letters change places, go missing, come twice, or a neighbour key is hit.

In: a word and random numbers. Out: the word with one slip. The first letter stays, as it does in most real slips. It
must not know texts or rows.
"""

from __future__ import annotations

import random

ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each row of keys begins half a key further right than the one above


def neighbours(letter: str) -> str:
    """The keys beside a small letter's on a QWERTY keyboard; "" for any other sign.

    >>> neighbours("g"), neighbours("p"), neighbours("é")
    ('tyfhvb', 'ol', '')
    """
    for row, keys in enumerate(ROWS):
        place = keys.find(letter)
        if place >= 0:
            above = ROWS[row - 1][place : place + 2] if row else ""
            below = ROWS[row + 1][max(0, place - 1) : place + 1] if row + 1 < len(ROWS) else ""
            return above + keys[max(0, place - 1) : place] + keys[place + 1 : place + 2] + below
    return ""


def swap(word: str, at: int, rng: random.Random) -> str:
    return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]


def drop(word: str, at: int, rng: random.Random) -> str:
    return word[:at] + word[at + 1 :]


def insert(word: str, at: int, rng: random.Random) -> str:
    return word[: at + 1] + (hit(word[at], rng) if rng.random() < 0.5 else word[at]) + word[at + 1 :]


def replace(word: str, at: int, rng: random.Random) -> str:
    return word[:at] + hit(word[at], rng) + word[at + 1 :]


def hit(letter: str, rng: random.Random) -> str:
    """A neighbour of the letter's key in the same case, or the letter where its key is not known."""
    found = rng.choice(neighbours(letter.lower()) or letter)
    return found.upper() if letter.isupper() else found


SLIPS = (swap, drop, insert, replace)


def slip(word: str, rng: random.Random) -> str:
    """The word with one slip after its first letter.

    >>> [slip("flight", random.Random(seed)) for seed in range(4)]
    ['fligjt', 'flgiht', 'filght', 'flght']
    """
    at = rng.randrange(1, len(word))
    for kind in rng.sample(SLIPS, len(SLIPS)):
        if (found := kind(word, at, rng)) != word:
            return found
    return drop(word, at, rng)
