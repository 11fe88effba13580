"""White space that nobody sees: doubled, at the ends, or a tab or new line for a space."""

from __future__ import annotations

import random

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 1
SAYS = "spaces doubled, added at the ends, or one of them a tab or a new line"


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    r"""One of the three; a text without a space gets some at its ends, an empty one nothing.

    >>> [perturb("late again", 1, random.Random(seed)) for seed in (0, 1, 3)]
    ['late  again', ' late again', 'late again ']
    """
    if not text.strip():
        return None
    spaces = [place for place, sign in enumerate(text) if sign == " "]
    kind = rng.choice(("ends", "doubled", "other")) if spaces else "ends"
    if kind == "doubled":
        return text.replace(" ", "  ")
    if kind == "other":
        at = rng.choice(spaces)
        return text[:at] + rng.choice("\t\n") + text[at + 1 :]
    return rng.choice((" {}", "{} ", "  {}  ", "{}\n")).replace("{}", text)
