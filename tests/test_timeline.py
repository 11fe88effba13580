"""Where the time went: whatever is entered, left or raised, the phases add up to the wall time."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import timeline
from hfft.timeline import OTHER, Timeline

TICK = 0.011  # Linux counts a process's start in hundredths of a second


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


# One move: seconds go by, then a phase is entered (a name), left (None), or a lap is counted ("lap:name").
moves = st.lists(
    st.tuples(st.floats(0, 50), st.one_of(st.none(), st.sampled_from(["load", "train", "lap:evaluate"]))), max_size=30
)


@settings(max_examples=60)
@given(moves, st.floats(0, 10))
def test_phases_add_up_and_each_second_belongs_to_the_innermost(steps, before):
    clock, expected = Clock(), {OTHER: 0.0, "start": before}
    line, stack = Timeline(clock.time - before, None, clock), [OTHER]
    for passed, move in steps:
        clock.time += passed
        name = move.removeprefix("lap:") if move and move.startswith("lap:") else stack[-1]
        expected[name] = expected.get(name, 0.0) + passed
        if move is None and len(stack) > 1:
            stack.pop()
            line.leave()
        elif move == "lap:evaluate":
            line.lap("evaluate")
        elif move is not None:
            stack.append(move)
            line.enter(move)
        else:
            line.lap(stack[-1])
    found = line.seconds()
    assert sum(line.spent.values()) == pytest.approx(clock.time - line.began)
    for name in {*line.spent, *expected}:
        assert line.spent.get(name, 0.0) == pytest.approx(expected.get(name, 0.0), abs=1e-9)
    assert found.pop("all") == pytest.approx(sum(found.values()))
    assert list(found.values()) == sorted(found.values(), reverse=True)


def spend(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(Timeline.__init__, "__defaults__", (None, None, clock))
    return clock


def test_a_verb_within_a_verb_is_told_by_both_and_two_in_a_row_do_not_mix(monkeypatch):
    clock = spend(monkeypatch)

    @timeline.timed
    def fold(seconds: float) -> dict[str, float]:
        with timeline.phase("train"):
            timeline.first("step")
            clock.time += seconds
            timeline.first("step")
            with timeline.phase("save"):
                clock.time += 1
        assert timeline.firsts() == {"step": 0}
        return timeline.seconds()

    @timeline.timed
    def folds() -> dict[str, float]:
        clock.time += 0.5
        assert [fold(10)["train"], fold(20)["train"]] == [10, 20]
        with pytest.raises(ZeroDivisionError), timeline.phase("load"):
            clock.time += 3
            fold(1 / 0)
        clock.time += 2
        return timeline.seconds()

    assert folds() == {"train": 30, "load": 3, "other": 2.5, "save": 2, "all": 37.5}
    assert fold(4) == {"train": 4, "save": 1, "other": 0, "all": 5}
    assert timeline.seconds() == timeline.firsts() == {}
    with timeline.phase("nobody asks"):
        timeline.lap("nothing")


def test_only_the_first_verb_of_a_command_begins_with_the_process(monkeypatch):
    clock = spend(monkeypatch)
    monkeypatch.setattr(timeline, "process_began", lambda: clock.time - 7)
    verb = timeline.timed(timeline.seconds)
    assert verb() == {"other": 0, "all": 0}  # of a notebook
    timeline.is_command()
    assert verb() == {"start": 7, "other": 0, "all": 7}
    assert verb() == {"other": 0, "all": 0}


def test_at_most_six_entries_are_shown():
    found = {"train": 60.0, "start": 6.0, "load": 3.0, "split": 2.0, "save": 1.5, "report": 1.0, "other": 0.5}
    line = timeline.told(found | {"all": 74.0})
    assert line == "time: train 60.0 s, start 6.0 s, load 3.0 s, split 2.0 s, save 1.5 s, other 1.5 s; 74.0 s in all"


def test_a_process_knows_when_it_was_started():
    code = "import time\nfirst = time.perf_counter()\nfrom hfft import timeline\nprint(timeline.process_began(), first)"
    before = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    began, first = map(float, done.stdout.split())
    assert before - TICK <= began <= first + TICK
