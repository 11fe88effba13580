"""Pairs of large sets with a high Jaccard similarity: all but a few, found by sketches, then counted exactly.

In: the hashed members of sets, a threshold and a function that counts exactly. Out: the best pairs, written into a
`Best`. Knows nothing of texts. Of every set the least hash in each of `CELLS` cells is kept (MinHash: Broder 1997; one
permutation cut into bins: Li, Owen & Zhang 2012): two sets agree in a cell with a probability of their similarity, so
the share of cells in which they agree estimates it. Pairs that agree in all cells of some band are looked at (Indyk &
Motwani 1998), those whose estimate comes near the threshold are counted. Of pairs at the threshold at least 99 % are
found (`bands`), of more similar ones more; a reported similarity is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hfft import overlaps
from hfft.neighbours import Best, could_improve, keep

TURNS, BINS = 4, 64  # hash functions and bins of each; few bins, so that sets of some hundred members leave few empty
CELLS = TURNS * BINS
MISSED = 0.005  # pairs at the threshold that no band may show
ERRORS = 3  # standard errors by which an estimate may fall short
GLANCE = 64  # cells compared first
COUNTED = 4  # likeliest candidates of a set in each other part that are counted exactly
ROUNDS = ((0, 1), (1, COUNTED))

Exact = Callable[[np.ndarray, np.ndarray], np.ndarray]


def sketch(owner: np.ndarray, code: np.ndarray, sets: int) -> np.ndarray:
    """(sets, CELLS) uint32: the least hash per cell, the largest number where a cell is empty.

    owner, code: (members,) which set, which member (uint64, already a hash); a member may come more than once.
    """
    least = np.full(sets * CELLS, 0xFFFFFFFF, dtype=np.uint32)
    for turn in range(TURNS):
        mixed = _mixed(code + np.uint64(0x9E3779B97F4A7C15 * (turn + 1) % 2**64))
        cell = owner * CELLS + turn * BINS + (mixed >> np.uint64(58)).astype(np.int64)
        np.minimum.at(least, cell, (mixed >> np.uint64(20)).astype(np.uint32))
    return least.reshape(sets, CELLS)


def _mixed(code: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser (Steele, Lea & Flood 2014)."""
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))


def bands(threshold: float) -> tuple[int, int]:
    """(bands, cells in each): the widest bands that miss no more than `MISSED` of the pairs at the threshold.

    A pair of similarity s agrees in some of b bands of r cells with a probability of 1 - (1 - s^r)^b.

    >>> bands(0.65)
    (51, 5)
    """
    widths = [r for r in range(1, 17) if (1 - threshold**r) ** (CELLS // r) <= MISSED]
    width = max(widths, default=1)
    return CELLS // width, width


def join(sketches: np.ndarray, row: np.ndarray, threshold: float, best: Best, exact: Exact) -> int:
    """Write pairs of sets from different parts with Jaccard >= `threshold` that are somebody's best into `best`.

    sketches: (sets, CELLS); row: (sets,) their rows in `best`; exact: (i, j) set numbers → Jaccard. Returns how many
    sets shared bands with so many others that only those nearest in order were looked at (`overlaps.MOST`). Of each
    set's candidates in another part the `COUNTED` likeliest are counted.
    """
    count, width = bands(threshold)
    low = threshold - ERRORS * np.sqrt(threshold * (1 - threshold) / CELLS)
    keys = [_key(sketches[:, band * width : (band + 1) * width]) for band in range(count)]
    short = sketches.astype(np.uint8)
    capped = np.zeros(len(row), dtype=bool)
    most = (overlaps.ALWAYS + overlaps.MOST * len(row)) // count
    pair, estimate = np.zeros(0, dtype=np.int64), np.zeros(0)
    for band, key in enumerate(keys):
        found = [(pair, estimate)]
        for x, y in _met(key, keys[band - 1], most, capped):
            apart = best.part[row[x]] != best.part[row[y]]
            found.append(_likely(short, x[apart], y[apart], threshold, low))
        if len(found) > 1:
            pair, estimate = _likeliest(found, row, best)
    _count(pair, estimate, row, threshold, best, exact)
    return int(capped.sum())


def _key(cells: np.ndarray) -> np.ndarray:
    """(sets,) uint64: one hash of a band's cells."""
    key = np.zeros(len(cells), dtype=np.uint64)
    for column in cells.T:
        key = _mixed(key ^ column + np.uint64(0x9E3779B97F4A7C15))
    return key


def _met(key: np.ndarray, other: np.ndarray, most: int, capped: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of sets with equal `key`, about CHUNK at a time; where they are too many, those next to each other.

    Sets with equal `other` too stand together, so that the nearest are the likeliest.
    """
    order = np.lexsort((other, key))
    place = np.arange(len(order))
    new = np.concatenate([[True], key[order][1:] != key[order][:-1]])
    before = place - np.maximum.accumulate(np.where(new, place, 0))
    window = overlaps.window(before, most)
    capped[order[before > window]] = True
    before = np.minimum(before, window)
    for piece in overlaps.pieces(before):
        at = np.repeat(place[piece], before[piece])
        back = np.arange(len(at)) - np.repeat(np.cumsum(before[piece]) - before[piece], before[piece]) + 1
        if len(at):
            yield order[at], order[at - back]


def _likely(
    short: np.ndarray, x: np.ndarray, y: np.ndarray, threshold: float, low: float
) -> tuple[np.ndarray, np.ndarray]:
    """(pairs, estimates) of those whose estimate is at least `low`; a first glance at some cells spares the rest."""
    glance = threshold - (ERRORS + 1) * np.sqrt(threshold * (1 - threshold) / GLANCE)
    for cells, least in ((GLANCE, glance), (CELLS, low)):
        estimate = (short[x, :cells] == short[y, :cells]).mean(axis=1)
        near = estimate >= least
        x, y, estimate = x[near], y[near], estimate[near]
    return np.minimum(x, y) * len(short) + np.maximum(x, y), estimate


def _likeliest(
    found: list[tuple[np.ndarray, np.ndarray]], row: np.ndarray, best: Best
) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, if it is among the `COUNTED` likeliest of either of its sets."""
    pair, first = np.unique(np.concatenate([pair for pair, _ in found]), return_index=True)
    estimate = np.concatenate([estimate for _, estimate in found])[first]
    near = _rank(pair, estimate, row, best) < COUNTED
    return pair[near], estimate[near]


def _rank(pair: np.ndarray, estimate: np.ndarray, row: np.ndarray, best: Best) -> np.ndarray:
    """(pairs,) how many likelier candidates a pair's sets have in each other's part; the smaller number of the two."""
    x, y = row[pair // len(row)], row[pair % len(row)]
    cell = np.concatenate([x, y]) * best.index.shape[1] + best.part[np.concatenate([y, x])]
    order = np.lexsort((np.concatenate([y, x]), -np.concatenate([estimate, estimate]), cell))
    place = np.arange(len(order))
    new = np.concatenate([[True], cell[order][1:] != cell[order][:-1]])[: len(order)]
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    return np.minimum(rank[: len(pair)], rank[len(pair) :])


def _count(pair: np.ndarray, estimate: np.ndarray, row: np.ndarray, threshold: float, best: Best, exact: Exact) -> None:
    """Count exactly, the likeliest first; what cannot be a best is passed over."""
    rank = _rank(pair, estimate, row, best)
    x, y = pair // max(len(row), 1), pair % max(len(row), 1)
    most = np.minimum(estimate + ERRORS * np.sqrt(threshold * (1 - threshold) / CELLS), 1)
    for low, high in ROUNDS:
        at = np.flatnonzero((rank >= low) & (rank < high))
        at = at[could_improve(best, row[x[at]], row[y[at]], most[at])]
        jaccard = exact(x[at], y[at])
        hit = jaccard >= threshold - overlaps.TINY
        keep(best, row[x[at[hit]]], row[y[at[hit]]], jaccard[hit])
