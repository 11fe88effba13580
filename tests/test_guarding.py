"""The leak guard: copies between splits are found, told apart by kind, and leave the earlier split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft.errors import InputError
from hfft.guarding import Guarded, Policy, guard
from hfft.records import SPLITS

# content, key, label, split: content and key as loading makes them
ROWS = [
    ("c0", "k0", "spam", "train"), ("c0", "k0", "spam", "test"),  # exact
    ("c1", "k1", "spam", "train"), ("c1b", "k1", "ham", "test"),  # normalised, and the labels differ
    ("c2", "k2", "ham", "validation"), ("c2", "k2", "ham", "test"),
    ("c3", "k3", "ham", "train"), ("c4", "k4", "ham", "train"), ("c5", "k5", "spam", "validation"),
]  # fmt: skip


def guarded(rows, policy="drop", near=None, groups=None, copy_at=0.8, sure=True) -> Guarded:
    contents, keys, labels, places = zip(*rows, strict=True)
    ids = [f"{content}.{number}-{label}" for number, (content, label) in enumerate(zip(contents, labels, strict=True))]
    rule = Policy(policy, copy_at, "d.csv", sure)
    return guard(list(places), ids, keys, labels, groups, near, rule, lambda i: f"text {i}")


def alike(*pairs: tuple[int, int, float], n: int):
    """A search that finds exactly these pairs."""

    def search(part: np.ndarray):
        index, similarity = np.full((n, 3), -1), np.zeros((n, 3))
        for a, b, value in pairs:
            index[a, part[b]], similarity[a, part[b]] = b, value
            index[b, part[a]], similarity[b, part[a]] = a, value
        return index, similarity, "threshold 0.7"

    return search


def test_train_and_validation_give_way_and_test_stays_whole():
    found = guarded(ROWS)
    assert found.places == ["", "test", "", "test", "", "test", "train", "train", "validation"]
    assert found.left_out == {"train": 2, "validation": 1}
    kinds = [(leak.split, leak.other_split, leak.kind, leak.conflicting) for leak in found.leaks]
    assert kinds == [
        ("test", "train", "exact", False),
        ("test", "train", "normalised", True),
        ("test", "validation", "exact", False),
    ]
    first = found.leaks[0]
    assert (first.text, first.other_text, first.label, first.other_label) == ("text 1", "text 0", "spam", "spam")
    assert found.findings("drop") == [
        "2 rows of test have copies in train (1 exact, 1 normalised), 1 of them with another label",
        "1 row of test has a copy in validation (1 exact)",
        "left out for that: 2 rows of train and 1 row of validation",
    ]


def test_warn_keeps_and_says_so():
    found = guarded(ROWS, "warn")
    assert found.places == [place for *_, place in ROWS] and len(found.leaks) == 3 and not found.left_out
    assert found.findings("warn")[1:] == [
        "1 row of test has a copy in validation (1 exact)",
        "copies are kept, because data.on_leak is warn",
    ]


def test_fail_refuses_with_what_to_type():
    with pytest.raises(InputError) as caught:
        guarded(ROWS, "fail")
    said = str(caught.value)
    assert said.startswith("d.csv: 2 rows of test have copies in train (1 exact, 1 normalised), 1 of them with another")
    assert "data.on_leak=drop" in said and "data.on_leak=warn" in said
    assert guarded(ROWS[6:], "fail").places == ["train", "train", "validation"], "nothing to refuse"


def test_look_alikes_leave_too_and_equal_inputs_are_not_called_near():
    n = len(ROWS)
    found = guarded(ROWS, near=alike((6, 8, 0.9), (0, 1, 1.0), n=n))
    assert found.places[6] == "" and found.places[8] == "validation" and found.places[7] == "train"
    near = [leak for leak in found.leaks if leak.kind == "near"]
    assert [(leak.split, leak.similarity, leak.conflicting) for leak in near] == [("validation", 0.9, True)]
    assert found.note == "threshold 0.7" and found.facts("drop")["note"] == "threshold 0.7"


def test_similar_rows_are_reported_and_stay():
    search = alike((6, 8, 0.79), (7, 8, 0.7), n=len(ROWS))
    for policy in ("drop", "fail"):
        found = guarded(ROWS[6:], policy, near=alike((0, 2, 0.79), n=3))
        assert found.places == ["train", "train", "validation"] and [leak.kind for leak in found.leaks] == ["similar"]
    assert "1 row of validation looks like a row of train, but not enough for a copy" in found.findings("fail")
    assert guarded(ROWS, near=search).places[6] == "train"
    assert guarded(ROWS, near=search, copy_at=0.75).places[6:8] == ["", "train"]


def many(pairs: int, held: int = 50):
    """100 rows of train and `held` of test, of which so many look like one of train; the data and its search."""
    rows = [(f"c{i}", f"k{i}", "ham", "train" if i < 100 else "test") for i in range(100 + held)]
    return rows, alike(*((i, 100 + i, 0.9) for i in range(pairs)), n=len(rows))


def test_when_look_alikes_are_no_exception_the_owner_decides():
    rows, search = many(11)
    with pytest.raises(InputError) as caught:
        guarded(rows, near=search, sure=False)
    said = str(caught.value)
    assert "11 of 50 rows of test look like rows of earlier splits" in said and "leave 11 look-alikes out" in said
    for way in ("data.copy_at=0.8", "data.on_leak=warn", "data.split.by=group"):
        assert way in said
    assert guarded(rows, near=search, sure=True).left_out["train"] == 11, "the recipe says what a copy is"
    assert {leak.kind for leak in guarded(rows, "warn", near=search, sure=False).leaks} == {"near"}
    with pytest.raises(InputError, match=r"11 rows of test have copies in train \(11 near"):
        guarded(rows, "fail", near=search, sure=False)


def test_few_look_alikes_are_slips():
    for rows, search in (many(10), many(9, held=12)):  # a fifth; few rows at all
        assert guarded(rows, near=search, sure=False).left_out["train"] in (9, 10)


def test_a_conflict_is_seen_whichever_copy_comes_first():
    rows = [("c", "k", "ham", "train"), ("c", "k", "spam", "train"), ("c", "k", "spam", "test")]
    for order in ([0, 1, 2], [1, 0, 2]):
        assert [leak.conflicting for leak in guarded([rows[i] for i in order]).leaks] == [True]
    assert [leak.conflicting for leak in guarded(rows[1:]).leaks] == [False]


def test_groups_that_straddle():
    rows = [(f"c{i}", f"k{i}", "ham", place) for i, place in enumerate(["train", "train", "test", "validation"])]
    groups = ["ann", "bob", "ann", "ann"]
    found = guarded(rows, groups=groups)
    assert found.places == ["", "train", "test", ""]
    assert found.straddling == {("validation", "train"): 1, ("test", "train"): 1, ("test", "validation"): 1}
    assert "1 group of test has rows in train, too" in found.findings("drop")
    with pytest.raises(InputError, match="1 group of test has rows in train"):
        guarded(rows, "fail", groups=groups)


def test_rows_that_are_not_used_are_not_looked_at():
    rows = [("c0", "k0", "spam", ""), ("c0", "k0", "spam", "test"), ("c1", "k1", "ham", "train")]
    found = guarded(rows, groups=["a", "a", "b"])
    assert not found.leaks and not found.straddling and found.places == ["", "test", "train"]


def test_two_searches_become_one():
    first = guarded(ROWS)
    ids, keys = [f"{c}.{i}-x" for i, (c, *_) in enumerate(ROWS)], [key for _, key, *_ in ROWS]
    labels, near = [label for *_, label, _ in ROWS], alike((7, 8, 0.9), n=len(ROWS))
    second = guard(first.places, ids, keys, labels, None, near, Policy("drop", 0.8, "d.csv", True), str)
    both = second.after(first, ids + [leak.id for leak in first.leaks])
    assert both.left_out == {"train": 3, "validation": 1} and len(both.leaks) == 4
    kinds = {"exact": 1, "normalised": 1, "near": 0, "similar": 0, "conflicting": 1, "groups": 0}
    assert both.facts("drop")["overlaps"][1] == {"split": "test", "with": "train", "rows": 2} | kinds


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0, 9).map(lambda n: f"c{n}"), st.sampled_from("ab"), st.sampled_from([*SPLITS, ""])),
        min_size=1,
        max_size=30,
    )
)
def test_after_dropping_nothing_is_left_to_find(rows):
    rows = [(content, content[:1] + str(int(content[1:]) // 2), label, place) for content, label, place in rows]
    found = guarded(rows)
    kept = [(*row[:3], place) for row, place in zip(rows, found.places, strict=True)]
    assert not guarded(kept).leaks
    assert sum(place == "test" for place in found.places) == sum(row[3] == "test" for row in rows)
    gone = sum(bool(row[3]) and not place for row, place in zip(rows, found.places, strict=True))
    assert gone == sum(found.left_out.values())
    assert bool(found.leaks) == bool(gone)
