"""Texts that are copies of one another across the parts of a split, up to small edits.

In: texts and the part each belongs to. Out: `Matches` by Jaccard similarity of their sets of character shingles
(Broder 1997). Must not know labels, tables or files.

What counts as the same text: NFKC, case folded, punctuation and invisible characters dropped, white space collapsed,
a URL or an @handle one token each; digits, letters and emoji stay, and so do signs that mean something: # and + after
a letter (C#, C++), a sign before a number (-5; the hyphen of covid-19 is none), % and currencies. In scripts without
spaces every ideograph and kana stands as a word, so that a shingle spans two of them. A text of which nothing but URLs
and handles would be left keeps all its characters and matches only its equal: ":)" and ":(" differ, and so do two bare
links.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np

from hfft import overlaps, sketches
from hfft.neighbours import Best, Matches, keep, nothing_yet

SHINGLE = 4  # characters
THRESHOLD = 0.65  # finds 99.3 % of planted edits of tweets; one word in a five-word question falls below
FEWEST = 16  # shingles; below (about four words) one word decides what a text says, so only equal texts match
FOLDED = 0.65  # similarity of texts of fewer than FEWEST shingles that differ in punctuation, URLs and handles only
LONG = 200  # different shingles from which on a text is compared by a sketch of them: an exact join takes too long
LONGEST = 50_000  # characters of a text that are compared
# Where Unicode has punctuation and invisible characters: what lies between are ideographs and codes without a meaning.
SIGNS = (range(0x20000), range(0xE0000, 0xE0200))

URL, HANDLE, BARE = "\ue000", "\ue001", "\ue002"  # private use: no text means them
_URL = re.compile(r"(?:https?://|www\.)\S+")
_HANDLE = re.compile(r"@(?<!\w@)\w+")  # what it begins with is looked for first, and fast
_SOMETIMES = re.compile(r"#(?<![^\W\d_]#)|-(?!\d)|-(?<=\w-)")  # punctuation here, and with a meaning there
_IDEOGRAPH = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


@functools.cache
def _dropped() -> tuple[re.Pattern[str], re.Pattern[str], dict[int, str]]:
    """(punctuation, invisible characters) as patterns, and punctuation as a table; made once, when first needed."""
    kinds = [(chr(code), unicodedata.category(chr(code))) for code in chain(*SIGNS)]
    marks = "".join(c for c, kind in kinds if kind[0] == "P" or kind == "Sk")
    unseen = "".join(c for c, kind in kinds if kind == "Cf") + "\ufe0e\ufe0f"
    plain = sorted(set(marks) - set("#%-"))
    punctuation, invisible = (re.compile(f"[{re.escape(''.join(some))}]+") for some in (plain, unseen))
    return punctuation, invisible, {ord(mark): " " for mark in plain}


def spelt(text: str) -> str:
    """The text in NFKC, case folded, white space collapsed, without invisible characters."""
    if not text.isascii():
        text = _dropped()[1].sub("", unicodedata.normalize("NFKC", text))
    return " ".join(text.casefold().split())


def normalised(text: str) -> str:
    """The text as it is compared.

    >>> normalised("Don't  PANIC!!") == normalised("don\u2019t panic")
    True
    """
    return _folded(spelt(text))


def _folded(text: str) -> str:
    """A spelt text without punctuation, its URLs and handles one token each.

    A pattern is only tried where what it looks for may be: looking first is ten times as fast.
    """
    punctuation, _, table = _dropped()
    folded = _URL.sub(URL, text) if "://" in text or "www." in text else text
    folded = _HANDLE.sub(HANDLE, folded) if "@" in folded else folded
    folded = folded.replace("'", "").replace("\u2019", "")
    folded = _SOMETIMES.sub(" ", folded) if "#" in folded or "-" in folded else folded
    folded = folded.translate(table) if folded.isascii() else _IDEOGRAPH.sub(r" \1 ", punctuation.sub(" ", folded))
    folded = " ".join(folded.split())
    return folded if folded.strip(f"{URL}{HANDLE} ") else BARE + text


def matches(texts: Sequence[str], part: np.ndarray, threshold: float = THRESHOLD) -> Matches:
    """For every text (n,) the most similar one in every other part; `part`: (n,) integers from 0.

    Between texts of fewer than `LONG` different shingles the result is exact: no pair at or above `threshold` (in (0,
    1]) is missed. Pairs of which one is longer are found by sketches: at least 99 % of those at the threshold, more of
    the more similar ones (see `sketches`). Similarity is always the true Jaccard similarity (shingles are told apart by
    a 64-bit hash: with 10^7 different ones, two are taken for one with a probability of 3e-6). Texts that are equal as
    normalised have similarity 1. Texts with fewer than `FEWEST` shingles match only when they are equal: with
    similarity 1 as `spelt`, with `FOLDED` as normalised ("@anna thanks" and "@bob thanks!" may be two people's words).
    Caps keep time and memory bounded, and the note counts the texts that met one: see `overlaps.join` and
    `sketches.join`, and of a text only the first `LONGEST` characters are compared.
    """
    best = nothing_yet(part)
    plain, variant = _forms(texts)
    order = sorted(range(len(plain)), key=lambda row: (len(plain[row]), plain[row], variant[row], best.part[row], row))
    text = _runs([(plain[row], variant[row]) for row in order])
    new = _runs([*zip(text.tolist(), best.part[order].tolist(), strict=True)])
    first = np.diff(new, prepend=-1) > 0
    leader = np.array(order, dtype=np.int64)[first]
    of = np.empty(len(order), dtype=np.int64)
    of[order] = leader[new]
    _equal(text[first], leader, best)
    if threshold <= FOLDED:
        _equal_folded(_runs([plain[row] for row in leader]), leader, best)
    capped = _similar([plain[row][:LONGEST] for row in leader], leader, threshold, best)
    long = sum(len(text) > LONGEST for text in plain)
    return Matches(best.index[of], best.similarity[of], threshold, _note(capped, long))


def alike(one: str, other: str) -> float:
    """Jaccard similarity of two texts' shingles; 1 for texts equal as normalised, however short."""
    first, second = normalised(one), normalised(other)
    sets = [{text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)} for text in (first, second)]
    return 1.0 if first == second else len(sets[0] & sets[1]) / max(len(sets[0] | sets[1]), 1)


def _forms(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """(normalised, what else must be equal: the spelling of few words that another row has too)."""
    spelling = [spelt(text) for text in texts]
    plain = [_folded(text) for text in spelling]
    times = Counter(plain)
    few = {text for text, count in times.items() if count > 1 and _few(text)}
    return plain, [spelling[row] if text in few else "" for row, text in enumerate(plain)]


def _few(text: str) -> bool:
    return len({text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}) < FEWEST


def _runs(values: list[Any]) -> np.ndarray:
    """(n,) number of the run of equal values that each stands in."""
    return np.cumsum([False, *(a != b for a, b in pairwise(values))][: len(values)], dtype=np.int64)


def _equal(text: np.ndarray, leader: np.ndarray, best: Best) -> None:
    """Leaders with equal texts stand side by side, one per part."""
    for step in range(1, best.index.shape[1]):
        same = np.flatnonzero(text[:-step] == text[step:])
        if not len(same):
            return
        keep(best, leader[same], leader[same + step], np.ones(len(same)))


def _equal_folded(text: np.ndarray, leader: np.ndarray, best: Best) -> None:
    """Leaders that are equal as normalised but spelt differently: each with the first row of every other part."""
    parts = best.index.shape[1]
    first = np.full((int(text.max(initial=-1)) + 1, parts), len(best.part))
    np.minimum.at(first, (text, best.part[leader]), leader)
    for part in range(parts):
        other = first[text, part]
        met = other < len(best.part)
        keep(best, leader[met], other[met], np.full(int(met.sum()), FOLDED))


def _similar(texts: list[str], row: np.ndarray, threshold: float, best: Best) -> int:
    """Pairs of short texts by an exact join; pairs of which one is long, by sketches. How many texts met a cap."""
    long = _sizes(texts) >= LONG
    part, short = best.part[row], np.flatnonzero(~long)
    sets = _sets([texts[at] for at in short], part[short], row[short])
    capped = overlaps.join(sets, threshold, best)
    if not long.any():
        return capped
    middle = np.isin(row, sets.row[sets.size >= max(FEWEST, threshold * LONG)])
    some = np.flatnonzero(long | middle)
    chosen = [texts[at] for at in some]
    length = np.array([len(text) for text in chosen])
    sketch = [sketches.sketch(*_shingles(chosen[piece]), len(length[piece])) for piece in overlaps.pieces(length)]
    exact = functools.partial(_jaccard, chosen, length)
    return capped + sketches.join(np.concatenate(sketch), row[some], threshold, best, exact)


def _sizes(texts: list[str]) -> np.ndarray:
    """(texts,) how many different shingles a text has that may be long, 0 for others."""
    size = np.zeros(len(texts), dtype=np.int64)
    some = np.array([at for at, text in enumerate(texts) if len(text) >= LONG and text[0] != BARE], dtype=np.int64)
    for piece in overlaps.pieces(np.array([len(texts[at]) for at in some], dtype=np.int64)):
        owner, code = _shingles([texts[at] for at in some[piece]])
        key = overlaps.distinct(owner.astype(np.uint64) << np.uint64(42) | code >> np.uint64(22))
        size[some[piece]] = np.bincount((key >> np.uint64(42)).astype(np.int64), minlength=len(some[piece]))
    return size


def _jaccard(texts: list[str], length: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(pairs,) Jaccard similarity of the full sets of texts x and y; the sets are made anew, a few at a time."""
    found = [np.zeros(0)]
    for piece in overlaps.pieces(length[x] + length[y]):
        some, at = np.unique(np.concatenate([x[piece], y[piece]]), return_inverse=True)
        sets = _sets([texts[k] for k in some], np.zeros(len(some), dtype=np.int64), np.arange(len(some)))
        place = np.argsort(sets.row)[at]
        a, b = place[: len(place) // 2], place[len(place) // 2 :]
        shared = overlaps.shared(sets, a, b)
        found.append(shared / np.maximum(sets.size[a] + sets.size[b] - shared, 1))
    return np.concatenate(found)


def _shingles(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(which text, hash of the shingle), (shingles,) each, as often as they occur."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    length = np.array([len(text) for text in texts], dtype=np.int64)
    held = np.maximum(length - SHINGLE + 1, 0)
    owner = np.repeat(np.arange(len(texts)), held)
    at = np.arange(len(owner)) + np.repeat(np.cumsum(length) - length - (np.cumsum(held) - held), held)
    code = np.zeros(len(owner), dtype=np.uint64)
    for step in range(SHINGLE):
        code = (code ^ codes[at + step]) * np.uint64(0x9E3779B97F4A7C15)
        code ^= code >> np.uint64(29)
    return owner, code


def _sets(texts: list[str], part: np.ndarray, row: np.ndarray) -> overlaps.Sets:
    """The sets of shingles, numbered from the rarest shingle on, in ascending order of size."""
    owner, code = _shingles(texts)
    order = np.argsort(code)
    code = code[order]
    kind = np.cumsum(np.concatenate([[False], code[1:] != code[:-1]])) if len(order) else order
    rarity = np.empty(int(kind[-1]) + 1 if len(kind) else 0, dtype=np.int64)
    rarity[np.argsort(np.bincount(kind), kind="stable")] = np.arange(len(rarity))
    key = overlaps.distinct(owner[order] << 32 | rarity[kind])
    size = np.bincount(key >> 32, minlength=len(texts))
    few = (size < FEWEST) | np.array([text.startswith(BARE) for text in texts], dtype=bool)
    key = key[~few[key >> 32]]
    return _by_size(key, np.where(few, 0, size), part, row)


def _by_size(key: np.ndarray, size: np.ndarray, part: np.ndarray, row: np.ndarray) -> overlaps.Sets:
    """Sets reordered by size, those of one size in the order they came (texts next to each other look alike)."""
    order = np.argsort(size, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    key = np.sort(place[key >> 32] << 32 | key & 0xFFFFFFFF)
    return overlaps.Sets(key & 0xFFFFFFFF, np.concatenate([[0], np.cumsum(size[order])]), part[order], row[order])


def _note(capped: int, long: int) -> str:
    notes = []
    if capped:
        notes.append(
            f"{capped:,} texts share their wording with so many others that only the nearest of these were compared."
        )
    if long:
        notes.append(f"Of {long:,} texts longer than {LONGEST:,} characters only the beginning was compared.")
    return " ".join(notes)
