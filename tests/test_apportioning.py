"""Rows of several classes into splits: every class near its share, whatever the order of the rows."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft.apportioning import by_classes
from hfft.dealing import at_random

SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
NAMES = st.sampled_from("abcdef")
SETS = st.lists(st.sets(NAMES, max_size=4), min_size=1, max_size=80)


def sets_of(rows) -> dict[str, tuple[str, ...]]:
    return {f"k{i}": tuple(sorted(names)) for i, names in enumerate(rows)}


def held(out: dict[str, str], sets: dict[str, tuple[str, ...]]) -> dict[str, Counter]:
    found: dict[str, Counter] = {}
    for key, place in out.items():
        for name in sets[key]:
            found.setdefault(name, Counter())[place] += 1
    return found


@settings(max_examples=300)
@given(SETS, st.integers(0, 5), st.sampled_from([SHARES, {"train": 0.8, "test": 0.2}]))
def test_properties(rows, seed, shares):
    sets = sets_of(rows)
    out, findings = by_classes(sets, shares, seed)
    assert set(out) == set(sets) and set(out.values()) <= set(shares)
    items = list(sets.items())
    random.Random(seed).shuffle(items)
    assert by_classes(dict(items), shares, seed)[0] == out, "the order of the rows does not matter"
    counts = held(out, sets)
    assert all(count["train"] for count in counts.values()), "every class is in train"
    alone = {name for name, count in counts.items() if set(count) == {"train"}}
    assert bool(findings) == bool(alone) and all(f"{name} (" in findings[0] for name in alone)


@settings(max_examples=200)
@given(st.lists(NAMES, min_size=1, max_size=80), st.integers(0, 5))
def test_with_one_class_per_row_every_class_keeps_its_share_to_a_row(rows, seed):
    sets = {f"k{i}": (name,) for i, name in enumerate(rows)}
    for count in held(by_classes(sets, SHARES, seed)[0], sets).values():
        n = count.total()
        if n < 3:
            assert set(count) == {"train"}
        elif n >= 20:
            assert all(math.floor(n * share) <= count[split] <= math.ceil(n * share) for split, share in SHARES.items())
        else:
            assert set(count) == set(SHARES), "as many rows as splits: one in each"


def correlated(n: int, seed: int) -> dict[str, tuple[str, ...]]:
    """Twelve classes from 30 % down to 0.2 % of the rows, which come together more often than by chance."""
    draws = np.random.default_rng(seed)
    often = np.array([0.3, 0.2, 0.1, 0.08, 0.05, 0.03, 0.02, 0.01, 0.006, 0.004, 0.003, 0.002])
    applies = draws.random((n, 12)) < often * np.exp(0.8 * draws.normal(size=(n, 1)) - 0.32)
    return {f"k{i}": tuple(f"c{c:02}" for c in np.flatnonzero(row)) for i, row in enumerate(applies)}


def off(out: dict[str, str], sets: dict[str, tuple[str, ...]]) -> float:
    """The largest distance, in rows, of any class in any split from its share."""
    return max(
        abs(count[split] - count.total() * share)
        for count in held(out, sets).values()
        for split, share in SHARES.items()
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_keep_their_shares_where_chance_does_not(seed):
    sets = correlated(5000, seed)
    out, _ = by_classes(sets, SHARES, seed)
    assert off(out, sets) <= 2
    sizes = Counter(out.values())
    assert all(abs(sizes[split] - 5000 * share) <= 2 for split, share in SHARES.items())
    by_chance, _ = at_random(dict.fromkeys(sets, "row"), SHARES, seed, False)
    assert off(by_chance, sets) > 8
