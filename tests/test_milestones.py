"""What is said while many runs follow one another."""

from __future__ import annotations

import time

import pytest

from hfft.milestones import HEAD, Milestones


def test_the_head_tells_place_best_and_time_left(monkeypatch):
    said, now = [], [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    way = Milestones("trial", 5, "f1_macro", said.append)
    way.skipped("trial-1", 0.7)
    for name, value in (("trial-2", 0.9), ("trial-3", 0.8)):
        with way.step(name) as step:
            assert HEAD.get() == said[-1]
            now[0] += 30
            step.value = value
    assert HEAD.get() == ""
    with pytest.raises(KeyboardInterrupt), way.step("trial-4"):
        raise KeyboardInterrupt
    assert said == [
        "trial 1 of 5: trial-1 is there already, passed over",
        "trial 2 of 5 · best f1_macro 0.7000 (trial-1)",
        "trial 3 of 5 · best f1_macro 0.9000 (trial-2) · about 90 s left",
        "trial 4 of 5 · best f1_macro 0.9000 (trial-2) · about 60 s left",
    ]
    assert way.stopped() == "Stopped after 3 of 5 trials: what is said here is of these; --resume goes on."


def test_of_losses_the_least_is_best_and_folds_have_a_mean():
    way = Milestones("trial", None, "log_loss", lambda _: None)
    way.skipped("a", 0.4), way.skipped("b", 0.3)
    assert way.best.name == "b"
    said: list[str] = []
    folds = Milestones("fold", 3, "accuracy", said.append, mean=True)
    folds.skipped("fold-1", 0.5), folds.skipped("fold-2", 0.7)
    with folds.step("fold-3"):
        pass
    assert said[-1] == "fold 3 of 3 · mean accuracy 0.6000"
