"""Other first names. Not safe: a famous person's name may be the class. A model that flips here judges by the name."""

from __future__ import annotations

import random
import re

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = False
SEVERITIES = 1
SAYS = "first names become other first names, the same one everywhere in a text"

# Of many places, and none that is also a word in English. Pronouns stay right: a name is drawn from its own list.
WOMEN = "Aisha Amina Anna Carmen Chen Elena Emily Emma Fatima Hannah Ingrid Julia Karen Keiko Laura Linda Lisa Lucia"
WOMEN += " Maria Mary Natalia Nina Olga Priya Rachel Rebecca Sarah Sofia Susan Yasmin"
MEN = "Adam Ahmed Alexander Ali Andrew Carlos Daniel David Diego George Hiroshi Ivan Jamal James John Kevin Kwame"
MEN += " Matthew Michael Mohammed Olaf Omar Paul Pedro Peter Rahul Robert Samuel Thomas William"
LISTS = (WOMEN.split(), MEN.split())

NAME = re.compile(rf"(?<![@#\w])(?:{'|'.join(name for names in LISTS for name in names)})\b")


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None where none of the names stands with a capital in running text.

    >>> perturb("Peter told Anna that Peter was late", 1, random.Random(0))
    'Adam told Nina that Adam was late'
    """
    places = [found for start, end in wording.tokens(text) for found in NAME.finditer(text, start, end)]
    present = list(dict.fromkeys(found[0] for found in places))
    others: dict[str, str] = {}
    for names in LISTS:
        # Turned by one step in a drawn order: no name keeps its own, no two become one.
        order = rng.sample(names, len(names))
        step = dict(zip(order, order[1:] + order[:1], strict=True))
        others |= {name: step[name] for name in present if name in step}
    return wording.replaced(text, [(found.span(), others[found[0]]) for found in places]) if places else None
