"""Sentences from patterns: every {place} filled with every combination of its words.

In: a pattern and its words. Out: texts. It must not know what they are asked about.
"""

from __future__ import annotations

import itertools
import math
import random
import string
import sys
from collections.abc import Iterator, Mapping, Sequence

MOST = 2000  # sentences of one pattern; of more, a sample that is always the same


def places(text: str) -> list[str]:
    """The names in braces, each once, in their order. Raises ValueError for braces that hold no name.

    >>> places("{name} was {adjective}, {name}")
    ['name', 'adjective']
    """
    try:
        found = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r} cannot be read: {error}; a brace that is meant is written twice") from error
    names = [name for _, name, _, _ in found if name is not None]
    if any(form or conversion for _, _, form, conversion in found):
        raise ValueError(f"{text!r}: expected a bare name such as {{name}} in each pair of braces, without : or !")
    if odd := [name for name in names if not name.isidentifier()]:
        raise ValueError(f"{text!r}: expected a name such as {{name}} in each pair of braces, got {{{odd[0]}}}")
    return list(dict.fromkeys(names))


def mistake(text: str, fill: Mapping[str, Sequence[str]]) -> str:
    """What is wrong with a pattern and its words, as a sentence; "" where nothing is."""
    named = places(text)
    if missing := [name for name in named if not fill.get(name)]:
        return f"fill has no words for {{{missing[0]}}} of {text!r}; type fill: {{{missing[0]}: [one, another]}}"
    if spare := [name for name in fill if name not in named]:
        return f"fill.{spare[0]} has no place in {text!r}; type {{{spare[0]}}} where its words belong"
    return ""


def filled(text: str, fill: Mapping[str, Sequence[str]]) -> list[str]:
    """Every sentence the pattern makes, each once; of more than 2,000 a random 2,000.

    >>> filled("{who} was {what}", {"who": ["She"], "what": ["kind", "late"]})
    ['She was kind', 'She was late']
    """
    named = places(text)
    count = math.prod(len(fill[name]) for name in named)
    if count <= MOST:
        words: Iterator[tuple[str, ...]] = iter(itertools.product(*(fill[name] for name in named)))
    else:  # numbers of combinations, not the combinations themselves: there may be billions
        rng = random.Random(text)
        # A range longer than a machine word has no sample; of so many, no two draws are alike.
        large = count > sys.maxsize
        numbers = [rng.randrange(count) for _ in range(MOST)] if large else rng.sample(range(count), MOST)
        words = iter([_nth(number, [fill[name] for name in named]) for number in numbers])
    return list(dict.fromkeys(text.format(**dict(zip(named, chosen, strict=True))) for chosen in words))


def _nth(number: int, lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    out = []
    for words in reversed(lists):
        number, place = divmod(number, len(words))
        out.append(words[place])
    return tuple(reversed(out))
