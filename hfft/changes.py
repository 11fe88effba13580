"""Which parts of a text were changed: for examples shown before and after.

In: two texts. Out: each as pieces, marked where they differ. Knows no probe and no page.
"""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata

TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
LONGEST, BEFORE = 420, 120  # characters shown, and of them before the first change
Parts = list[tuple[str, bool]]


def marked(before: str, after: str) -> tuple[Parts, Parts]:
    """(pieces of `before`, pieces of `after`), each piece (text, whether it was changed); joined they are the texts.

    Of a word with a letter that only looks the same, that letter is marked.
    Longer texts are cut to what surrounds the first change. Signs that cannot be seen are written out where changed.

    >>> marked("so good", "so godo")
    ([('so ', False), ('good', True)], [('so ', False), ('godo', True)])
    """
    first, second = _window(before, after)
    ours, theirs = TOKEN.findall(first), TOKEN.findall(second)
    kept: Parts = []
    made: Parts = []
    for what, a, b, c, d in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if what == "replace" and (alike := _alike(ours[a:b], theirs[c:d])):
            kept += alike[0]
            made += alike[1]
            continue
        for pieces, tokens in ((kept, ours[a:b]), (made, theirs[c:d])):
            if tokens:
                text = "".join(tokens)
                pieces.append((text, False) if what == "equal" else (_seen(text), True))
    return kept, made


def _alike(first: list[str], second: list[str]) -> tuple[Parts, Parts] | None:
    """Words that differ only by letters of another script or with an accent: those letters alone are marked, for
    the words look the same. None for all others."""
    one, other = "".join(first), "".join(second)
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) != len(other) or not all(one[i].isascii() != other[i].isascii() for i in places):
        return None
    if any(_seen(sign) != sign for sign in one + other):
        return None
    found: tuple[Parts, Parts] = ([], [])
    for pieces, word in zip(found, (one, other), strict=True):
        for changed, run in itertools.groupby(range(len(word)), key=lambda place: place in places):
            pieces.append(("".join(word[place] for place in run), changed))
    return found


def _window(before: str, after: str) -> tuple[str, str]:
    """Both texts, or what surrounds their first difference."""
    if max(len(before), len(after)) <= LONGEST:
        return before, after
    same = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(after))
    start = max(0, min(same, len(before), len(after)) - BEFORE)
    return _cut(before, start), _cut(after, start)


def _cut(text: str, start: int) -> str:
    return "… " * (start > 0) + text[start : start + LONGEST] + " …" * (len(text) > start + LONGEST)


def _seen(text: str) -> str:
    """Zero-width and other format signs by their numbers."""
    return "".join(f"⟨U+{ord(sign):04X}⟩" if unicodedata.category(sign) == "Cf" else sign for sign in text)
