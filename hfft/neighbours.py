"""Each row's most similar row in every other part of a split, kept while candidate pairs stream by.

In: chunks of pairs (row, row, similarity) from a search that knows texts or pictures. Out: `Matches`. Memory is linear
in rows x parts whatever the number of pairs. numpy only; knows neither texts nor pictures nor the parts' names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Matches:
    """Each row's most similar row in every other part of the split.

    index: (n, parts) int64, -1 where no row reaches the threshold (always so for the row's own part).
    similarity: (n, parts) float32 in [0, 1], 0 where there is none.
    threshold: the least similarity that counts as a match.
    note: sentences for people: how the threshold was chosen, what was not compared; "" for defaults without caps.
    """

    index: np.ndarray
    similarity: np.ndarray
    threshold: float
    note: str = ""


@dataclass(frozen=True)
class Best:
    """The best so far; `part` (n,) stays, `index` and `similarity` (n, parts) are written by `keep`."""

    part: np.ndarray
    index: np.ndarray
    similarity: np.ndarray


def nothing_yet(part: np.ndarray) -> Best:
    """A `Best` without any match for rows of these parts, (n,) integers from 0."""
    part = np.asarray(part, dtype=np.int64)
    shape = (len(part), int(part.max(initial=-1)) + 1)
    return Best(part, np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.float32))


def could_improve(best: Best, i: np.ndarray, j: np.ndarray, at_most: np.ndarray) -> np.ndarray:
    """(pairs,) bool: whether pair (i, j) could change `best` for i or for j if it reached similarity `at_most`."""
    at_most = at_most.astype(np.float32)

    def wins(row: np.ndarray, other: np.ndarray) -> np.ndarray:
        held, by = best.similarity[row, best.part[other]], best.index[row, best.part[other]]
        return (at_most > held) | ((at_most == held) & (other < by))

    return (best.part[i] != best.part[j]) & (wins(i, j) | wins(j, i))


def keep(best: Best, i: np.ndarray, j: np.ndarray, similarity: np.ndarray) -> None:
    """Take the pairs (i, j), (pairs,) row numbers in any order, into `best`, in place and in both directions.

    Pairs within a part are passed over. Of equally similar rows the one with the lowest number stays, so the order in
    which pairs come does not matter.

    >>> best = nothing_yet(np.array([0, 0, 1]))
    >>> keep(best, np.array([0, 1]), np.array([2, 2]), np.array([0.9, 0.9]))
    >>> best.index.tolist()
    [[-1, 2], [-1, 2], [0, -1]]
    """
    row, other = np.concatenate([i, j]), np.concatenate([j, i])
    similar = np.concatenate([similarity, similarity]).astype(np.float32)
    cell = row * best.index.shape[1] + best.part[other]
    order = np.lexsort((other, -similar, cell))
    order = order[best.part[row[order]] != best.part[other[order]]]
    order = order[np.concatenate([[True], cell[order][1:] != cell[order][:-1]])] if len(order) else order
    cell, other, similar = cell[order], other[order], similar[order]
    held, by = best.similarity.reshape(-1), best.index.reshape(-1)
    better = (similar > held[cell]) | ((similar == held[cell]) & (other < by[cell]))
    held[cell[better]], by[cell[better]] = similar[better], other[better]
