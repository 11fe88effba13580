"""The mark at the end: taken away, added, or doubled.

A question mark is never taken away, because a question may be another class than a statement.
"""

from __future__ import annotations

import random

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 1
SAYS = "the full stop or exclamation mark at the end taken away, added, or doubled"

LOOSE = ".!。！"  # may go
MARKS = LOOSE + "?？؟।"  # may be doubled


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """One of the forms that fit the end of the text; None after a link, a handle, an emoji or a bracket.

    >>> perturb("Late again", 1, random.Random(0))
    'Late again.'
    >>> sorted({perturb("Late again!", 1, random.Random(seed)) for seed in range(9)})
    ['Late again', 'Late again!!']
    >>> perturb("Why so late?", 1, random.Random(0))
    'Why so late??'
    """
    body = text.rstrip()
    tail = text[len(body) :]
    if not body or not wording.plain(body.split()[-1]):
        return None
    if body[-1] in MARKS:
        forms = [body + body[-1]]
        bare = body.rstrip(LOOSE)
        if bare != body and bare[-1:].isalnum():
            forms.append(bare)
        return rng.choice(forms) + tail
    return f"{body}.{tail}" if body[-1].isalnum() else None
