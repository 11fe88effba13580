"""Pairs of 64-bit hashes that differ in few bits, without comparing all pairs.

In: two arrays of hashes and a radius below 8. Out: chunks of pairs. Two hashes that differ in fewer than 8 bits agree
in one of four 16-bit bands up to one bit, so a table of each band, looked up at 17 places, finds them all (multi-index
hashing: Norouzi, Punjani & Fleet 2012). numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

BANDS = 4
BITS = 16
CHUNK = 1 << 21  # pairs looked at together: bounds the memory
CROWD = 2000  # holders of one band value that are looked at, nearest in the order of their hashes


def near(ours: np.ndarray, theirs: np.ndarray, radius: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield (i, j, capped): every pair with at most `radius` < 8 bits of ours[i] ^ theirs[j] set, some more than once.

    Of band values with more than `CROWD` holders only those are looked at that come nearest in the order of whole
    hashes; `capped` counts such look-ups.
    """
    by_hash = np.argsort(theirs, kind="stable")
    for band in range(BANDS):
        value = _band(theirs[by_hash], band)
        order = np.argsort(value, kind="stable")  # ties stay in the order of whole hashes
        start = np.concatenate([[0], np.cumsum(np.bincount(value, minlength=1 << BITS))])
        holder = by_hash[order]
        for flip in (0, *(1 << bit for bit in range(BITS))):
            wanted = _band(ours, band) ^ flip
            yield from _look_up(ours, theirs, holder, start[wanted], start[wanted + 1], radius)


def _band(hashes: np.ndarray, band: int) -> np.ndarray:
    return ((hashes >> np.uint64(BITS * band)) & np.uint64((1 << BITS) - 1)).astype(np.int64)


def _look_up(
    ours: np.ndarray, theirs: np.ndarray, holder: np.ndarray, low: np.ndarray, high: np.ndarray, radius: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Compare ours[i] with holder[low[i]:high[i]], at most CROWD of them."""
    crowd = np.flatnonzero(high - low > CROWD)
    low, high = low.copy(), high.copy()
    for k in crowd:
        at = low[k] + np.searchsorted(theirs[holder[low[k] : high[k]]], ours[k])
        low[k] = np.clip(at - CROWD // 2, low[k], high[k] - CROWD)
        high[k] = low[k] + CROWD
    done = np.concatenate([[0], np.cumsum(high - low)])
    cuts = np.unique(np.searchsorted(done, np.arange(0, done[-1] + CHUNK, CHUNK)).clip(max=len(ours)))
    for first, last in pairwise(cuts.tolist()):
        count = (high - low)[first:last]
        i = np.repeat(np.arange(first, last), count)
        j = holder[
            np.arange(len(i)) - np.repeat(done[first:last] - done[first], count) + np.repeat(low[first:last], count)
        ]
        close = np.bitwise_count(ours[i] ^ theirs[j]) <= radius
        yield i[close], j[close], int(((crowd >= first) & (crowd < last)).sum())
