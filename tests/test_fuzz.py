"""Bytes that nobody meant: each is accepted or refused in a sentence. benchmarks/fuzz.py tries many more."""

from __future__ import annotations

import gc
import warnings
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hfft import gathering
from tests import doors

EXAMPLES = {"recipe": 120, "words": 100, "csv": 25, "jsonl": 25, "parquet": 25, "lines": 60, "image": 150}
EXAMPLES |= {"mask": 80, "archive": 80, "weights": 50, "card": 60, "json": 60}


@pytest.fixture(scope="module", autouse=True)
def what_libraries_leave_open():
    gathering.quiet()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("door", doors.DOORS)
def test_every_door_answers(door, tmp_path):
    ends: Counter[bool] = Counter()

    @settings(max_examples=EXAMPLES[door], phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(doors.mutated(door))
    def tries(data):
        ends[doors.tried(door, tmp_path, data) == "accepted"] += 1

    tries()
    assert sum(ends.values()) >= EXAMPLES[door] // 2 and (ends[False] or door in ("lines", "card"))


@pytest.mark.parametrize("door", doors.DOORS)
def test_sound_files_are_accepted(door, tmp_path):
    assert doors.tried(door, tmp_path, doors.seeds(door)[0]) == "accepted"


@given(st.binary(max_size=60), st.floats(0, 1), st.sampled_from(doors.WORDS))
def test_an_edit_changes_what_it_says(data, share, word):
    at = int(share * len(data))
    assert doors.edited(data, [("word", share, 0, word, b"")]) == data[:at] + word + data[at:]
    assert doors.edited(data, [("cut", share, 5, word, b"")]) == data[:at]
    assert len(doors.edited(data, [("flip", share, 64, word, b"")])) == len(data)
