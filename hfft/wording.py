"""What probes of texts share: which words may be touched, and how a few of them are replaced.

In: a text. Out: places in it, or the text with a few places replaced. It must not know what a probe does to a word.
No pattern here or in hfft/probes/ repeats without an end inside a longer one, so any text takes linear time.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable

FEWEST_LETTERS = 4  # shorter words are often another word after a slip: "not", "now", "no"

TOKEN = re.compile(r"\S+")
# Letters of scripts that put spaces between words. In the others (Han, kana, Hangul, Thai, Lao, Khmer, Burmese) a run
# of letters is a phrase or each sign is a word or syllable, so a swapped sign would be no slip of a finger.
LETTERS = re.compile(r"[^\W\d_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
OPENINGS = "\"'“‘(<[{*_.,;:!?-"

Span = tuple[int, int]


def plain(token: str) -> bool:
    """Whether a token is running text: no link, handle, hashtag, mail address or HTML entity.

    >>> [plain(word) for word in ("great,", "@jane", "(https://t.co/x)", "#fail", "bit.ly/3x", "me@home.org", "&quot;")]
    [True, False, False, False, False, False, False]
    """
    bare = token.lstrip(OPENINGS)
    linked = "://" in bare or bare[:4].lower() == "www." or ("/" in bare and "." in bare)
    return not (linked or "@" in bare or bare.startswith("#") or ("&" in bare and ";" in bare))


def tokens(text: str) -> list[Span]:
    """Where the tokens of running text lie: what stands between white space and is `plain`."""
    return [found.span() for found in TOKEN.finditer(text) if plain(found[0])]


def words(text: str) -> list[Span]:
    """Where the words of running text with at least four letters lie.

    >>> text = "@jane the flight wasn't great"
    >>> [text[start:end] for start, end in words(text)]
    ['flight', 'wasn', 'great']
    """
    found = (match.span() for start, end in tokens(text) for match in LETTERS.finditer(text, start, end))
    return [(start, end) for start, end in found if end - start >= FEWEST_LETTERS]


def replaced(text: str, edits: Iterable[tuple[Span, str]]) -> str:
    """The text with other words at some places that do not overlap.

    >>> replaced("a fine day", [((7, 10), "morning"), ((0, 1), "one")])
    'one fine morning'
    """
    parts, last = [], 0
    for (start, end), new in sorted(edits):
        parts += [text[last:start], new]
        last = end
    return "".join([*parts, text[last:]])


def in_words(
    text: str,
    count: int,
    rng: random.Random,
    change: Callable[[str, random.Random], str],
    fits: Callable[[str], bool] = bool,
) -> str | None:
    """The text with `count` of its words changed, one change each; None where fewer words fit."""
    places = [(start, end) for start, end in words(text) if fits(text[start:end])]
    if len(places) < count:
        return None
    return replaced(text, [((start, end), change(text[start:end], rng)) for start, end in rng.sample(places, count)])


def cased(word: str, model: str) -> str:
    """A word in the capitals of another.

    >>> cased("do not", "DON'T"), cased("do not", "Don't"), cased("I am", "I'm")
    ('DO NOT', 'Do not', 'I am')
    """
    if model.isupper() and sum(map(str.isalpha, model)) > 2:
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word
