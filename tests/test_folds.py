"""Folds: every row is held out once, groups stay together, classes are spread evenly, order does not count."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import folds
from hfft.errors import InputError

CASES = settings(max_examples=int(os.environ.get("HFFT_CASES", "100")))
classes = st.dictionaries(st.text("abcdef", min_size=1, max_size=6), st.sampled_from("xyz"), min_size=8, max_size=60)
counts = st.integers(2, 6)
seeds = st.integers(0, 2**32 - 1)


@CASES
@given(classes, counts, seeds)
def test_class_counts_of_folds_differ_by_one_and_every_key_is_held_out_once(given_classes, count, seed):
    alone = {name for name, n in Counter(given_classes.values()).items() if n == 1}
    if sum(label not in alone for label in given_classes.values()) < count:
        with pytest.raises(InputError, match="distinct inputs cannot be dealt"):
            folds.by_key(given_classes, count, seed, True)
        return
    where, found = folds.by_key(given_classes, count, seed, True)
    assert set(where) == set(given_classes)
    for label in set(given_classes.values()):
        held = [where[key] for key, name in given_classes.items() if name == label]
        if label in alone:
            assert held == [folds.ALWAYS] and label in " ".join(found)
        else:
            spread = Counter(held)
            assert set(spread) <= set(range(count))
            assert max(spread.values()) - min(spread[fold] for fold in range(count)) <= 1
    sizes = Counter(fold for fold in where.values() if fold != folds.ALWAYS)
    assert max(sizes.values()) - min(sizes[fold] for fold in range(count)) <= 1
    again = dict(sorted(given_classes.items(), reverse=True))
    assert folds.by_key(again, count, seed, True)[0] == where, "the order of the rows does not count"


@CASES
@given(classes, counts, seeds)
def test_without_stratifying_sizes_differ_by_one(given_classes, count, seed):
    where, _ = folds.by_key(given_classes, count, seed, False)
    sizes = Counter(where.values())
    assert set(sizes) == set(range(count)) and max(sizes.values()) - min(sizes.values()) <= 1


@CASES
@given(st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from("xy")), min_size=20, max_size=80), seeds)
def test_groups_stay_together(rows, seed):
    groups, labels = ([row[side] for row in rows] for side in (0, 1))
    try:
        where, found = folds.of_groups(groups, labels, 3, seed, True)
    except InputError as error:
        assert "cannot be dealt into 3 folds" in str(error)
        return
    together = {group: {fold for fold, other in zip(where, groups, strict=True) if other == group} for group in groups}
    assert all(len(met) == 1 for met in together.values())
    assert set(where) - {folds.ALWAYS} == {0, 1, 2}
    for label in "xy":
        for fold in range(3):  # in every fold there is something of it to learn from
            assert label not in labels or any(
                name == label and place != fold for name, place in zip(labels, where, strict=True)
            )
    turned = folds.of_groups(groups[::-1], labels[::-1], 3, seed, True)
    assert turned == (where[::-1], found)


def test_a_seed_is_another_dealing_and_hashes_do_not_move():
    given_classes = {f"k{i}": "ab"[i % 2] for i in range(40)}
    assert folds.by_key(given_classes, 4, 1, True)[0] != folds.by_key(given_classes, 4, 2, True)[0]
    keys = [f"k{i}" for i in range(1000)]
    first = folds.by_hash(keys[:500], 5, "salt")
    assert folds.by_hash(keys, 5, "salt")[:500] == first and set(first) == set(range(5))
    assert max(Counter(first).values()) < 140 and folds.by_hash(keys[:500], 5, "other") != first


def test_several_classes_per_row_are_spread_too():
    sets = {f"k{i}": [name for name, every in (("a", 2), ("b", 3), ("c", 10)) if i % every == 0] for i in range(100)}
    sets["k0"] = [*sets["k0"], "once"]
    where, found = folds.by_set(sets, 5, 7)
    assert where["k0"] == folds.ALWAYS and "once" in found[0]
    for name in "abc":
        spread = Counter(where[key] for key, names in sets.items() if name in names and key != "k0")
        assert len(spread) == 5 and max(spread.values()) - min(spread.values()) <= 2
