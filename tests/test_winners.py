"""What the best of many is worth: against closed forms, a brute-force bootstrap, and simulations with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from hfft import luck, scoring, winners
from hfft.counts import count
from hfft.records import Predictions


def answers(rng, n: int, rate: float, classes: int = 3, groups=None) -> Predictions:
    labels = rng.integers(0, classes, n)
    guess = np.where(rng.random(n) < rate, labels, rng.integers(0, classes, n))
    scores = np.full((n, classes), 0.1)
    scores[np.arange(n), guess] = 1.0
    scores /= scores.sum(axis=1, keepdims=True)
    names = tuple(f"c{k}" for k in range(classes))
    return Predictions(np.arange(n).astype(str), labels, guess, scores.astype(np.float32), names, groups)


def test_pulls_are_what_each_row_adds():
    found = answers(np.random.default_rng(0), 400, 0.7)
    right = (found.labels == found.predicted).astype(float)
    assert winners.pulls(found, "accuracy", ["accuracy", "f1"]) == pytest.approx(right - right.mean())
    loss = -np.log(found.scores[np.arange(400), found.labels])
    assert winners.pulls(found, "log_loss", ["accuracy"]) == pytest.approx(loss.mean() - loss, abs=1e-5)
    assert winners.pulls(found, "f1[c0]", ["f1"]) is None


@pytest.mark.parametrize("key", ["f1_macro", "mcc", "auroc_macro"])
def test_pulls_give_the_spread_of_drawing_rows_again(key):
    rng = np.random.default_rng(1)
    found, metrics = answers(rng, 300, 0.6), ["f1", "mcc", "auroc"]
    pulls = winners.pulls(found, key, metrics)
    drawn = [point(found.where(rng.integers(0, 300, 300)), metrics, key) for _ in range(400)]
    assert point(found, metrics, key) == pytest.approx(winners.value(found, metrics, key))
    assert np.sqrt((pulls**2).mean() / 300) == pytest.approx(np.std(drawn), rel=0.12)


def point(found: Predictions, metrics: list[str], key: str) -> float:
    """The value alone: intervals are what takes the time."""
    points = scoring.points(count(found.labels, found.predicted, len(found.names)), metrics, found.names)
    return (points | scoring.graded_points(found.labels, found.scores, metrics, found.names))[key]


def test_luck_of_equal_independent_trials_is_the_expected_maximum():
    rng = np.random.default_rng(2)
    right = rng.random((4000, 10)) < 0.8
    values, pulls = right.mean(axis=0), right - right.mean(axis=0)
    made = winners.judged(values, pulls, 0)
    each = np.sqrt(0.16 / 4000)  # plain is one of the ten: the largest of ten errors less its own, whose mean is 0
    assert made.luck == pytest.approx(each * luck.expected_maximum(10), rel=0.06)


def simulated(rng, trials: int, n: int, spread: float, failed: int = 0) -> tuple[winners.Gain, float]:
    """(judgement, true gain) of trials whose true accuracies spread about 0.8 by `spread`, erring on the same rows."""
    true = 0.8 + spread * rng.standard_normal(trials)
    true[trials - failed :] = rng.uniform(0.2, 0.7, failed)
    true[0] = 0.8
    shared = np.sqrt(0.8) * rng.standard_normal(n)[:, None] + np.sqrt(0.2) * rng.standard_normal((n, trials))
    right = (shared < norm.ppf(np.clip(true, 0.01, 0.99))).astype(float)
    values = right.mean(axis=0)
    return winners.judged(values, right - values, 0), float(true[np.argmax(values)] - true[0])


@pytest.mark.parametrize(("spread", "failed"), [(0.0, 0), (0.0, 6), (0.02, 6)])
def test_interval_and_what_is_left_keep_their_promise(spread, failed, monkeypatch):
    """Of 120 searches of 20 trials on 500 rows; benchmarks/luck_of_trials.py runs many more."""
    monkeypatch.setattr(winners, "DRAWS", 500)
    rng = np.random.default_rng(3)
    found = [simulated(rng, 20, 500, spread, failed) for _ in range(120)]
    covered = np.mean([made.low <= true <= made.high for made, true in found])
    assert covered >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 120)
    left, gain = (np.mean([getattr(made, key) - true for made, true in found]) for key in ("left", "gain"))
    assert abs(left) < 0.4 * gain and abs(left) < 0.006, "most of the winner's luck is taken off"
    if spread == 0:
        assert np.mean([made.p < 0.05 for made, _ in found]) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 120)


def test_a_trial_that_is_better_is_called_so_and_one_alone_is_not_judged():
    rng = np.random.default_rng(4)
    right = rng.random((2000, 3)) < np.array([0.7, 0.7, 0.85])
    made = winners.judged(right.mean(axis=0), right - right.mean(axis=0), 0)
    assert made.low > 0.08 and made.p < 0.001 and made.left == pytest.approx(made.gain, rel=0.1)
    assert winners.judged(np.array([0.5]), np.zeros((10, 1)), 0) is None
    same = winners.judged(np.array([0.5, 0.4]), np.ones((10, 2)) - 1, 0)
    assert same.gain == 0 and same.p == 1


def test_a_recipe_that_failed_outright_keeps_nothing_of_the_gain_from_being_left():
    """The best five are alike, and all are far from the recipe as it was."""
    rng = np.random.default_rng(6)
    right = rng.random((1000, 6)) < np.array([0.3, *[0.8] * 5])
    values = right.mean(axis=0)
    made = winners.judged(values, right - values, 0)
    assert made.gain > 0.5 and made.left == pytest.approx(made.gain, abs=0.02) and made.left < made.gain


def test_rows_of_a_group_are_one_witness():
    rng = np.random.default_rng(5)
    right = np.repeat(rng.random((200, 5)) < 0.8, 10, axis=0).astype(float)
    values, pulls = right.mean(axis=0), right - right.mean(axis=0)
    alone, grouped = (winners.judged(values, pulls, 0, groups) for groups in (None, np.repeat(np.arange(200), 10)))
    assert grouped.luck == pytest.approx(alone.luck * np.sqrt(10), rel=0.1)
