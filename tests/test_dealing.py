"""Ways to deal rows into splits, as properties: disjoint, complete, deterministic, groups intact, counts near ideal.

HFFT_CASES=10000 (make prove) generates that many cases for each property.
"""

import hashlib
import itertools
import os
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hfft.dealing import alone_in_train, at_random, by_hash, by_time
from hfft.errors import InputError
from hfft.grouping import _Balance, by_group
from hfft.records import SPLITS

CASES = settings(max_examples=int(os.environ.get("HFFT_CASES", "150")))
SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
ANY_SHARES = st.one_of(
    st.just(SHARES),
    st.tuples(*[st.integers(1, 12)] * 3).map(lambda t: dict(zip(SPLITS, (part / sum(t) for part in t), strict=True))),
    st.integers(1, 9).map(lambda n: {"train": n / 10, "test": 1 - n / 10}),
)
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=1)
ROWS = st.lists(st.tuples(st.integers(0, 14).map(str), st.sampled_from("abc")), min_size=1, max_size=60)


def named(sizes: dict[str, int]) -> dict[str, str]:
    return {f"{label}{i}": label for label, n in sizes.items() for i in range(n)}


def shuffled(rows: list, random) -> tuple[list, list[int]]:
    order = list(range(len(rows)))
    random.shuffle(order)
    return [rows[i] for i in order], order


# --- at random


@CASES
@given(SIZES, ANY_SHARES, SEEDS, st.booleans())
def test_random_is_complete_and_deterministic(sizes, shares, seed, stratify):
    classes = named(sizes)
    out, findings = at_random(classes, shares, seed, stratify)
    assert out.keys() == classes.keys() and set(out.values()) <= set(shares)
    assert at_random(dict(reversed(classes.items())), shares, seed, stratify) == (out, findings)


@CASES
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(14, 60), min_size=1), SEEDS)
def test_random_class_counts_are_within_one_row_of_ideal(sizes, seed):
    """70/15/15 and no rare class. Ideal: the class's part of a split whose own size is a whole number."""
    out, findings = at_random(named(sizes), SHARES, seed, True)
    assert not findings
    got = Counter((key[0], place) for key, place in out.items())
    size, total = Counter(out.values()), sum(sizes.values())
    for place, share in SHARES.items():
        assert abs(size[place] - share * total) <= 1
        for label, n in sizes.items():
            assert abs(got[label, place] - n * size[place] / total) < 1 + 1e-9, (label, place)


# --- by group


def group_cost(places, labels, shares) -> float:
    """What by_group minimises, written down again from its description."""
    total, got = Counter(labels), Counter(zip(labels, places, strict=True))
    by_class = sum((got[c, s] - shares[s] * total[c]) ** 2 / total[c] ** 2 for c in total for s in shares)
    size, n = Counter(places), len(labels)
    return by_class + len(total) * sum((size[s] - shares[s] * n) ** 2 for s in shares) / n**2


@CASES
@given(ROWS, ANY_SHARES, SEEDS, st.booleans(), st.randoms(use_true_random=False))
def test_groups_stay_whole_and_no_split_is_empty(rows, shares, seed, stratify, random):
    groups, labels = zip(*rows, strict=True)
    if len(set(groups)) < len(shares):
        with pytest.raises(InputError, match=f"cannot be dealt into {len(shares)} splits"):
            by_group(groups, labels, shares, seed, stratify)
        return
    places, findings = by_group(groups, labels, shares, seed, stratify)
    where = defaultdict(set)
    for group, place in zip(groups, places, strict=True):
        where[group].add(place)
    assert all(len(met) == 1 for met in where.values())
    learnt = {label for label, place in zip(labels, places, strict=True) if place == "train"}
    assert learnt == set(labels), "a class that only a held-back split has cannot be learnt"
    unmeasured = {c for c in labels if all(p == "train" for p, own in zip(places, labels, strict=True) if own == c)}
    assert bool(findings) == bool(unmeasured) and all(label in findings[0] for label in unmeasured)
    again, order = shuffled(rows, random)
    theirs, _ = by_group(*zip(*again, strict=True), shares, seed, stratify)
    assert [places[i] for i in order] == theirs, "the order of rows does not matter"


@CASES
@given(SEEDS, st.lists(st.sampled_from("abc"), min_size=40, max_size=150))
def test_groups_of_one_row_are_as_well_stratified_as_rows(seed, labels):
    assume(min(Counter(labels).values()) >= 8 and len(set(labels)) > 1)
    places, _ = by_group([f"g{i}" for i in range(len(labels))], labels, SHARES, seed, True)
    got, total = Counter(zip(labels, places, strict=True)), Counter(labels)
    for (label, n), (place, share) in [(c, s) for c in total.items() for s in SHARES.items()]:
        assert abs(got[label, place] - n * share) <= 1.5


def test_group_splits_are_better_balanced_than_those_of_scikit_learn():
    """StratifiedGroupKFold, the usual tool: 20 folds dealt 14 / 3 / 3. Mean cost over 40 tables; lower is better."""
    from sklearn.model_selection import StratifiedGroupKFold

    ours, theirs = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sizes = rng.geometric(0.15, 60)
        groups = np.repeat([f"g{i}" for i in range(60)], sizes)
        labels = np.array(list("aaabbc"))[(rng.integers(0, 6, 60).repeat(sizes) + rng.integers(0, 2, len(groups))) % 6]
        places, _ = by_group(groups.tolist(), labels.tolist(), SHARES, seed, True)
        ours.append(group_cost(places, labels.tolist(), SHARES))
        folds = StratifiedGroupKFold(20, shuffle=True, random_state=seed).split(groups, labels, groups)
        place = np.empty(len(groups), dtype=object)
        for number, (_, held) in enumerate(folds):
            place[held] = "train" if number < 14 else "validation" if number < 17 else "test"
        theirs.append(group_cost(place.tolist(), labels.tolist(), SHARES))
    assert np.mean(ours) < 0.25 * np.mean(theirs)


def test_no_single_move_of_a_group_would_help():
    rng = np.random.default_rng(1)
    groups = [f"g{i}" for i in rng.integers(0, 30, 300)]
    labels = rng.choice(list("aabc"), 300).tolist()
    places, _ = by_group(groups, labels, SHARES, 3, True)
    cost = group_cost(places, labels, SHARES)
    for group in set(groups):
        for other in SHARES:
            moved = [other if g == group else place for g, place in zip(groups, places, strict=True)]
            assert group_cost(moved, labels, SHARES) >= cost - 1e-9


# --- by time


@CASES
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), ANY_SHARES, st.integers(0, 6))
def test_time_cuts_the_past_from_the_future(times, shares, gap):
    times = np.array(times, dtype=float)
    order = [name for name in SPLITS if name in shares]
    if len(set(times.tolist())) < len(order):
        with pytest.raises(InputError, match=f"cannot be cut into {len(order)} splits"):
            by_time(times, shares, gap)
        return
    places, findings = by_time(times, shares, gap)
    whole, _ = by_time(times, shares, 0)
    assert "" not in whole and set(whole) == set(order)
    assert all(place in ("", full) for place, full in zip(places, whole, strict=True)), "a gap only leaves rows out"
    place_of = {t: {p for p, own in zip(whole, times, strict=True) if own == t} for t in times}
    assert all(len(met) == 1 for met in place_of.values()), "equal times stay together"
    for early, late in itertools.pairwise(order):
        before = [t for t, place in zip(times, places, strict=True) if place == early]
        begin = min(t for t, place in zip(times, whole, strict=True) if place == late)
        assert all(t < begin and begin - t >= gap for t in before)
    assert places.count("") == 0 or str(places.count("")) in findings[0]


def test_time_cuts_at_the_nearest_moment():
    places, _ = by_time(np.arange(100.0), SHARES, 0)
    assert Counter(places) == {"train": 70, "validation": 15, "test": 15}
    places, found = by_time(np.arange(100.0), SHARES, 5)
    assert Counter(places) == {"train": 66, "": 8, "validation": 11, "test": 15}
    assert found == ["8 rows lie in the gap before validation or test and are left out"]


# --- by hash


@CASES
@given(st.lists(st.text(max_size=8), max_size=40), st.lists(st.text(max_size=8), max_size=20), ANY_SHARES)
def test_rows_added_never_move_old_ones(keys, more, shares):
    assert by_hash(keys + more, shares, "s")[: len(keys)] == by_hash(keys, shares, "s")
    assert by_hash(keys[::-1], shares, "s") == by_hash(keys, shares, "s")[::-1]


def test_hash_meets_the_shares_and_another_salt_is_another_split():
    keys = [f"row {i}" for i in range(20_000)]
    first, second = by_hash(keys, SHARES, ""), by_hash(keys, SHARES, "b")
    for places in (first, second):
        for name, share in SHARES.items():
            # Five standard deviations of a binomial share.
            assert abs(places.count(name) / 20_000 - share) < 5 * (share * (1 - share) / 20_000) ** 0.5
    agree = np.mean([a == b for a, b in zip(first, second, strict=True)])
    assert agree == pytest.approx(sum(share**2 for share in SHARES.values()), abs=0.02), "as if independent"


def test_a_larger_test_share_only_takes_rows():
    keys = [f"row {i}" for i in range(5_000)]
    small = by_hash(keys, SHARES, "")
    large = by_hash(keys, {"train": 0.65, "validation": 0.15, "test": 0.20}, "")
    assert all(b == "test" for a, b in zip(small, large, strict=True) if a == "test")


# --- to the letter


def test_what_cannot_be_dealt_is_said_word_by_word():
    with pytest.raises(InputError) as caught:
        by_group(["g", "g"], ["a", "b"], SHARES, 0, True)
    assert str(caught.value) == (
        "data.split.by is group: 1 group (g) cannot be dealt into 3 splits; expected at least 3"
    )
    with pytest.raises(InputError, match=r"2 groups \(f, g\) cannot be dealt into 3 splits; expected at least 3"):
        by_group(["g", "f"], ["a", "b"], SHARES, 0, True)
    with pytest.raises(InputError) as caught:
        by_time(np.array([1.0, 2.0, 2.0]), SHARES, 0)
    assert str(caught.value) == "data.split.by is time: 2 different times cannot be cut into 3 splits"
    sentence = "have too few groups to be split, all in train and not measured"
    assert alone_in_train(["a", "b"], "groups") == [f"2 classes {sentence}: a, b"]
    assert alone_in_train(["a"], "groups") == [f"one class {sentence.replace('have', 'has')}: a"]
    assert alone_in_train([], "groups") == []


def balanced(seed: int, stratify: bool) -> tuple[_Balance, list[Counter]]:
    """20 groups of up to three classes, two thirds of them placed."""
    rng = np.random.default_rng(seed)
    groups = [Counter(rng.choice(list("aabc"), int(rng.integers(1, 9))).tolist()) for _ in range(20)]
    made = _Balance(groups, [group.total() for group in groups], SHARES, stratify)
    for index in range(14):
        made.place(index, int(rng.integers(0, 3)))
    return made, groups


def whole_cost(where, groups, stratify: bool) -> float:
    places = [
        list(SHARES)[at] if at >= 0 else "" for at, group in zip(where, groups, strict=True) for _ in group.elements()
    ]
    labels = [label for group in groups for label in group.elements()]
    if stratify:
        return group_cost(places, labels, SHARES)
    size, n = Counter(places), len(labels)
    return len(set(labels)) * sum((size[s] - SHARES[s] * n) ** 2 for s in SHARES) / n**2


@pytest.mark.parametrize("stratify", [True, False])
def test_the_cost_of_a_place_is_what_it_adds_to_the_whole(stratify):
    for seed in range(5):
        made, groups = balanced(seed, stratify)
        before = whole_cost(made.where, groups, stratify)
        for index in range(14, 20):
            for at, cost in enumerate(made.costs(index)):
                where = made.where.copy()
                where[index] = at
                assert cost == pytest.approx(whole_cost(where, groups, stratify) - before, abs=1e-12)
            assert made.cheapest(index) == int(np.argmin(made.costs(index)))
        for index in range(14):
            for at in range(3):
                where = made.where.copy()
                where[index] = at
                added = whole_cost(where, groups, stratify) - before
                assert made._moving(index, at) == pytest.approx(added, abs=1e-12)
        assert whole_cost(made.where, groups, stratify) == before, "asking moves nothing"


def test_taking_a_group_out_undoes_its_placing():
    made, _ = balanced(0, True)
    off, rows = made.off.copy(), made.off_rows.copy()
    made.place(15, 2)
    assert (made.off != off).any() and made.where[15] == 2
    made.place(15, -1)
    assert made.off == pytest.approx(off) and made.off_rows == pytest.approx(rows) and made.where[15] == -1


def test_an_empty_split_gets_the_group_that_it_costs_least_to_move():
    groups = [Counter(a=n) for n in (5, 4, 3, 2, 1)]
    made = _Balance(groups, [group.total() for group in groups], SHARES, True)
    for index in range(5):
        made.place(index, 0)
    costs = [made._moving(index, 1) for index in range(5)]
    made.fill_empty()
    assert made.where[int(np.argmin(costs))] == 1 and Counter(made.where.tolist())[0] == 3
    assert (made.where == 2).sum() == 1
    lonely = _Balance([Counter(a=1)] * 3, [1] * 3, SHARES, True)
    for index, at in enumerate((0, 0, 1)):
        lonely.place(index, at)
    lonely.fill_empty()
    assert sorted(lonely.where.tolist()) == [0, 1, 2] and lonely.where[2] == 1, "a split's only group stays"


def test_train_gets_the_cheapest_group_of_a_class_it_has_not():
    groups = [Counter(a=9), Counter(b=2), Counter(b=5), Counter(a=3)]
    made = _Balance(groups, [group.total() for group in groups], SHARES, True)
    for index, at in enumerate((0, 1, 2, 1)):
        made.place(index, at)
    costs = {index: made._moving(index, 0) for index in (1, 2)}
    made.give_train_every_class()
    moved = min(costs, key=costs.get)
    assert made.where[moved] == 0 and made.where[3 - moved] != 0 and made.where[3] == 1


def test_rows_with_several_classes_count_for_each():
    groups = [f"g{i}" for i in range(60)]
    labels = [("a", "b") if i % 2 else ("a",) for i in range(60)]
    places, found = by_group(groups, labels, SHARES, 1, True)
    got = Counter(place for place, own in zip(places, labels, strict=True) if "b" in own)
    assert not found and all(abs(got[name] - 30 * share) <= 1 for name, share in SHARES.items())


def test_a_rare_class_gives_each_split_one_and_the_rest_to_train():
    classes = named({"a": 100, "r": 4, "s": 2, "t": 3})
    out, found = at_random(classes, SHARES, 3, True)
    got = Counter((key[0], place) for key, place in out.items())
    assert [got["r", name] for name in SPLITS] == [2, 1, 1]
    assert [got["t", name] for name in SPLITS] == [1, 1, 1] and got["s", "train"] == 2
    assert found == ["one class has too few distinct rows to be split, all in train and not measured: s (2)"]
    # Of two splits a class of two has enough; the share decides how many go, one stays.
    out, found = at_random(named({"a": 60, "r": 2, "s": 1}), {"train": 0.8, "test": 0.2}, 3, True)
    got = Counter((key[0], place) for key, place in out.items())
    assert (got["r", "train"], got["r", "test"], got["s", "train"], got["a", "test"]) == (1, 1, 1, 12)
    assert found[0].endswith(": s (1)")


def test_time_leaves_every_split_a_moment():
    places, _ = by_time(np.array([0.0] * 90 + [1.0] * 5 + [2.0] * 5), SHARES, 0)
    assert Counter(places) == {"train": 90, "validation": 5, "test": 5}
    places, _ = by_time(np.array([0.0] * 5 + [1.0] * 5 + [2.0] * 90), SHARES, 0)
    assert Counter(places) == {"train": 5, "validation": 5, "test": 90}
    places, _ = by_time(np.arange(10.0), {"train": 0.8, "test": 0.2}, 1)
    assert places == ["train"] * 8 + ["test"] * 2, "a row exactly the gap before is far enough"
    assert by_time(np.arange(10.0), {"train": 0.8, "test": 0.2}, 1.5)[0][7] == ""


def test_a_hash_is_the_one_it_was():
    """Another hash would move rows of everybody's test split."""
    point = int.from_bytes(hashlib.blake2b(b"s\x1fkey", digest_size=8).digest(), "big") / 2**64
    for share, place in ((point + 0.01, "test"), (point - 0.01, "train")):
        assert by_hash(["key"], {"train": 1 - share, "test": share}, "s") == [place]


def test_settling_moves_what_lies_badly_and_leaves_ties_alone():
    rng = np.random.default_rng(4)
    groups = [Counter(rng.choice(list("aabc"), int(rng.integers(1, 9))).tolist()) for _ in range(30)]
    made = _Balance(groups, [group.total() for group in groups], SHARES, True)
    for index in range(30):
        made.place(index, 2)
    before = whole_cost(made.where, groups, True)
    made.settle()
    assert whole_cost(made.where, groups, True) < 0.05 * before
    even = {"train": 0.5, "test": 0.5}
    tie = _Balance([Counter(a=1)] * 2, [1, 1], even, True)
    tie.place(0, 1)
    tie.place(1, 0)
    tie.settle()
    assert tie.where.tolist() == [1, 0]
    alone = _Balance([Counter(a=1)], [1], even, True)
    alone.place(0, 1)
    alone.settle()
    assert alone.where.tolist() == [1], "as good here as there: it stays"


def test_validation_and_test_get_the_shares_that_are_theirs():
    for stratify in (True, False):
        out, _ = at_random(named({"a": 60, "b": 40}), {"train": 0.6, "validation": 0.1, "test": 0.3}, 5, stratify)
        assert Counter(out.values()) == {"train": 60, "validation": 10, "test": 30}


def test_settling_finds_the_split_that_is_short():
    groups = [Counter(a=1)] * 20
    for crowded in range(3):
        made = _Balance(groups, [1] * 20, SHARES, True)
        for index in range(20):
            made.place(index, crowded)
        made.settle()
        assert np.bincount(made.where, minlength=3).tolist() == [14, 3, 3]
