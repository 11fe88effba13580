"""Numbers of tokens as numbers of words, without losing a sign of the text.

In: where each token lies in the text, and its number. Out: pieces that join to the text. It must not know models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Piece:
    """A word with its weight, or what lies between words or was cut off, with none. part: 1 in the second text."""

    text: str
    weight: float | None = None
    part: int = 0


def of_texts(texts: Sequence[str], encoded: Any, values: np.ndarray) -> list[Piece]:
    """Pieces of all texts, in order. encoded: one row as a fast tokenizer makes it, with offsets; values: (tokens,)."""
    out: list[Piece] = []
    for part, text in enumerate(texts):
        owned = [i for i, own in enumerate(encoded.sequence_ids(0)) if own == part]
        spans = [(*encoded["offset_mapping"][0][i], encoded.word_ids(0)[i], float(values[i])) for i in owned]
        out += words(text, spans, part)
    return out


def words(text: str, spans: Sequence[tuple[int, int, int | None, float]], part: int = 0) -> list[Piece]:
    """Tokens of one word, and tokens that overlap, as one piece. spans: (start, end, word, weight), in order.

    >>> [(p.text, p.weight) for p in words("so good!", [(0, 2, 0, 1.0), (3, 5, 1, 2.0), (5, 7, 1, 0.5)])]
    [('so', 1.0), (' ', None), ('good', 2.5), ('!', None)]
    """
    merged: list[list[Any]] = []  # [start, end, word, weight]
    for start, end, word, weight in spans:
        begun = bool(merged) and (start < merged[-1][1] or (word is not None and word == merged[-1][2]))
        if begun:
            merged[-1][1], merged[-1][3] = max(end, merged[-1][1]), merged[-1][3] + weight
        elif end > start:
            merged.append([start, end, word, weight])
    out, place = [], 0
    for start, end, _, weight in merged:
        whole = text[start:end]
        lead = len(whole) - len(whole.lstrip() or whole)  # some tokenizers count the space before a word
        if start + lead > place:
            out.append(Piece(text[place : start + lead], None, part))
        out.append(Piece(text[start + lead : end], weight, part))
        place = end
    return [piece for piece in [*out, Piece(text[place:], None, part)] if piece.text]
