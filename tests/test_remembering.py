"""Features are given again only where they would come out the same, and memory has a bound."""

from __future__ import annotations

import numpy as np
import pytest

from hfft import remembering


@pytest.fixture(autouse=True)
def nothing_yet():
    remembering.forget()
    yield
    remembering.forget()


def asked(key: str, contents: str, whole: bool = False, size: int = 2) -> tuple[np.ndarray, bool]:
    return remembering.computed(
        key, list(contents), lambda: np.array([[ord(c)] * size for c in contents], np.float32), whole
    )


def test_the_same_rows_in_the_same_order_are_computed_once():
    first, known = asked("model", "abc")
    again, there = asked("model", "abc")
    assert not known and there and again is first
    assert not asked("other", "abc")[1] and not asked("model", "acb")[1]


def test_a_part_is_given_only_where_all_were_computed_together():
    asked("model", "abcd")
    assert not asked("model", "ca")[1], "its last bits depend on the rows beside it"
    asked("model", "abcde", whole=True)
    part, known = asked("model", "ebb")
    assert known and part[:, 0].tolist() == [ord("e"), ord("b"), ord("b")]
    assert not asked("model", "bf")[1] and not asked("other", "eb")[1]


def test_the_oldest_go_when_there_is_no_more_room(monkeypatch):
    monkeypatch.setattr(remembering, "ROOM", 60)  # of 48 bytes each, one
    asked("model", "abc", size=4)
    asked("model", "abd", size=4)
    assert asked("model", "abd", size=4)[1] and not asked("model", "abc", size=4)[1]
