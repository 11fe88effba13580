"""Pairs of sets with a high Jaccard similarity, without comparing all pairs: a set-similarity join in numpy.

In: sets of integers (smaller = rarer) and a threshold. Out: the best pairs, written into a `Best`. Knows nothing of
texts. Rarest members first, two sets can only be similar when they share one of their first few (prefix filter:
Chaudhuri, Ganti & Kaushik 2006; Bayardo, Ma & Srikant 2007) and are of similar size; where the shared member stands
bounds what they can still share (Xiao et al. 2008, PPJoin); 256 parity bits per set bound it again (Sandes,
Teodoro & Melo 2020). What passes is counted exactly. Nothing at or above the threshold is missed, but for the two
caps that `join` counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hfft.neighbours import Best, could_improve, keep

CHUNK = 1 << 21  # pairs looked at together: bounds the memory
MOST = 1000  # pairs looked at per set on average: bounds the time where very many sets share their members
ALWAYS = 5_000_000  # pairs looked at however few the sets
VERIFIED = 64  # candidates counted exactly per set and chunk, the likeliest first
ROUNDS = ((0, 2), (2, 16), (16, VERIFIED))
WORDS = 4  # of 64 parity bits
TINY = 1e-9


@dataclass(frozen=True)
class Sets:
    """members: flat, ascending within each set; start: (sets + 1,) offsets; part, row: (sets,). Ascending in size."""

    members: np.ndarray
    start: np.ndarray
    part: np.ndarray
    row: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Members per set, (sets,)."""
        return np.diff(self.start)


@dataclass(frozen=True)
class _Postings:
    """Who holds which member at which place: (entries,) each."""

    member: np.ndarray
    holder: np.ndarray
    place: np.ndarray


def distinct(keys: np.ndarray) -> np.ndarray:
    """`keys` sorted, each once; np.unique hashes, which takes ten times as long for millions."""
    keys = np.sort(keys)
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


def join(sets: Sets, threshold: float, best: Best) -> int:
    """Write every pair of sets from different parts with Jaccard >= `threshold` that is somebody's best into `best`.

    Returns how many sets met a cap: their members are shared by so many sets that only those nearest in order were
    looked at (`MOST`), or more than `VERIFIED` candidates were left.
    """
    bits = _parities(sets)
    capped = np.zeros(len(sets.part), dtype=bool)
    for part in np.unique(sets.part)[:-1]:
        ours, theirs = np.flatnonzero(sets.part == part), np.flatnonzero(sets.part > part)
        for larger, smaller in ((ours, theirs), (theirs, ours)):
            _meet(sets, bits, larger, smaller, threshold, best, capped)
    return int(capped.sum())


def _meet(
    sets: Sets,
    bits: np.ndarray,
    larger: np.ndarray,
    smaller: np.ndarray,
    threshold: float,
    best: Best,
    capped: np.ndarray,
) -> None:
    """Pairs (x of `larger`, y of `smaller`) where y comes before x, hence is no larger."""
    size = sets.size
    probes = _postings(sets, larger, size - np.ceil(threshold * size - TINY).astype(np.int64) + 1)
    least = 2 * threshold / (1 + threshold)
    listed = _postings(sets, smaller, size - np.ceil(least * size - TINY).astype(np.int64) + 1)
    held = np.zeros(int(sets.members.max(initial=0)) + 1, dtype=bool)
    held[listed.member] = True
    probes = _take(probes, held[probes.member])
    keys = listed.member << 32 | listed.holder
    order = np.argsort(keys)
    listed, keys = _take(listed, order), keys[order]
    smallest = np.searchsorted(size, np.ceil(threshold * size - TINY))
    last = np.searchsorted(keys, probes.member << 32 | probes.holder)
    count = last - np.searchsorted(keys, probes.member << 32 | smallest[probes.holder])
    nearest = window(count, ALWAYS + MOST * (len(larger) + len(smaller)))
    capped[probes.holder[count > nearest]] = True
    count = np.minimum(count, nearest)
    done = np.concatenate([[0], np.cumsum(count)])
    cuts = np.unique(np.searchsorted(done, np.arange(0, done[-1] + CHUNK, CHUNK), side="left").clip(max=len(count)))
    for low, high in pairwise(cuts.tolist()):
        probe = np.repeat(np.arange(low, high), count[low:high])
        entry = np.arange(len(probe)) - np.repeat(done[low:high] - done[low], count[low:high])
        entry += np.repeat(last[low:high] - count[low:high], count[low:high])
        x, y, shared = _candidates(sets, bits, probes, listed, probe, entry, threshold)
        _verify(sets, x, y, shared, threshold, best, capped)


def window(count: np.ndarray, most: int) -> int:
    """The largest power of two such that taking at most so many of each count gives no more than `most` pairs."""
    width = 1 << 40
    while width > 1 and np.minimum(count, width).sum() > most:
        width >>= 1
    return width


def _postings(sets: Sets, holders: np.ndarray, length: np.ndarray) -> _Postings:
    """The first `length` members of the holders, in order of holder."""
    length = np.minimum(length, sets.size)[holders]
    holder = np.repeat(holders, length)
    place = np.arange(len(holder)) - np.repeat(np.cumsum(length) - length, length)
    return _Postings(sets.members[sets.start[holder] + place], holder, place)


def _take(postings: _Postings, which: np.ndarray) -> _Postings:
    return _Postings(postings.member[which], postings.holder[which], postings.place[which])


def _parities(sets: Sets) -> np.ndarray:
    """(sets, WORDS) uint64: per bit, whether an odd number of members fall on it."""
    bits = np.zeros((len(sets.part), WORDS), dtype=np.uint64)
    width = WORDS * 64
    spread = (sets.members.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - 8)
    for low in range(0, len(sets.part), 4096):
        high = min(low + 4096, len(sets.part))
        owner = np.repeat(np.arange(high - low), sets.size[low:high])
        cell = owner * width + spread[sets.start[low] : sets.start[high]].astype(np.int64)
        odd = np.bincount(cell, minlength=(high - low) * width) % 2
        bits[low:high] = np.packbits(odd.astype(bool).reshape(high - low, width), axis=1).view(np.uint64)
    return bits


def _candidates(
    sets: Sets,
    bits: np.ndarray,
    probes: _Postings,
    listed: _Postings,
    probe: np.ndarray,
    entry: np.ndarray,
    threshold: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y, most members they can share) of the pairs that may still reach the threshold, each pair once."""
    size = sets.size
    x, y = probes.holder[probe], listed.holder[entry]
    left = np.minimum(size[x] - probes.place[probe], size[y] - listed.place[entry])
    fits = left >= _needed(size[x] + size[y], threshold)
    pair = distinct(x[fits] * len(size) + y[fits])
    x, y = pair // len(size), pair % len(size)
    both = size[x] + size[y]
    apart = np.bitwise_count(bits[x] ^ bits[y]).sum(axis=1, dtype=np.int64)
    shared = np.minimum((both - apart) // 2, size[y])
    fits = shared >= _needed(both, threshold)
    return x[fits], y[fits], shared[fits]


def _needed(both: np.ndarray, threshold: float) -> np.ndarray:
    """Members two sets of `both` members together must share: |x & y| >= t / (1 + t) (|x| + |y|)."""
    return np.ceil(threshold / (1 + threshold) * both - TINY)


def _verify(
    sets: Sets, x: np.ndarray, y: np.ndarray, most: np.ndarray, threshold: float, best: Best, capped: np.ndarray
) -> None:
    """Count exactly what candidates share, the likeliest of each x first; what cannot be a best is passed over."""
    order = np.lexsort((sets.row[y], -most, x))
    x, y, most = x[order], y[order], most[order]
    both = sets.size[x] + sets.size[y]
    first = np.concatenate([[True], x[1:] != x[:-1]]) if len(x) else np.zeros(0, dtype=bool)
    place = np.arange(len(x)) - np.maximum.accumulate(np.where(first, np.arange(len(x)), 0))
    for low, high in (*ROUNDS, (VERIFIED, len(x))):
        at = np.flatnonzero((place >= low) & (place < high))
        at = at[could_improve(best, sets.row[x[at]], sets.row[y[at]], most[at] / (both[at] - most[at]))]
        if low == VERIFIED:
            capped[x[at]] = True
            return
        for piece in pieces(both[at]):
            some = at[piece]
            common = shared(sets, x[some], y[some])
            jaccard = common / (both[some] - common)
            hit = jaccard >= threshold - TINY
            keep(best, sets.row[x[some[hit]]], sets.row[y[some[hit]]], jaccard[hit])


def pieces(cost: np.ndarray) -> list[slice]:
    """Slices of about CHUNK cost each, at least one item long."""
    done = np.cumsum(cost)
    cuts = np.searchsorted(done, np.arange(CHUNK, int(done[-1]) if len(done) else 0, CHUNK)) + 1
    edges = np.unique(np.concatenate([[0], cuts, [len(cost)]])).tolist()
    return [slice(low, high) for low, high in pairwise(edges)]


def shared(sets: Sets, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(pairs,) exact number of members x and y have in common."""
    pair = np.arange(len(x))
    keys = []
    for side in (x, y):
        held = sets.size[side]
        place = np.arange(held.sum()) - np.repeat(np.cumsum(held) - held, held)
        keys.append(np.repeat(pair, held) << 32 | sets.members[np.repeat(sets.start[side], held) + place])
    key = np.sort(np.concatenate(keys))
    return np.bincount(key[1:][key[1:] == key[:-1]] >> 32, minlength=len(x))
