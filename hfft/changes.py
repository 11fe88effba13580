"""Which parts of a text were changed: for examples shown before and after.

In: two texts. Out: each as pieces, marked where they differ. Knows no probe and no page.
"""

from __future__ import annotations

import difflib
import re
import unicodedata

TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
LONGEST, BEFORE = 420, 120  # characters shown, and of them before the first change
Parts = list[tuple[str, bool]]


def marked(before: str, after: str) -> tuple[Parts, Parts]:
    """(pieces of `before`, pieces of `after`), each piece (text, whether it was changed); joined they are the texts.

    Longer texts are cut to what surrounds the first change. Signs that cannot be seen are written out where changed.

    >>> marked("so good", "so godo")
    ([('so ', False), ('good', True)], [('so ', False), ('godo', True)])
    """
    first, second = _window(before, after)
    ours, theirs = TOKEN.findall(first), TOKEN.findall(second)
    kept: Parts = []
    made: Parts = []
    for what, a, b, c, d in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for pieces, tokens in ((kept, ours[a:b]), (made, theirs[c:d])):
            if tokens:
                text = "".join(tokens)
                pieces.append((text, False) if what == "equal" else (_seen(text), True))
    return kept, made


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
