"""Luck of the best of several models: the formula against exact values and against simulated models."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from hfft import luck
from hfft.intervals import wilson
from hfft.records import Score


def test_expected_maximum_is_exact():
    """k = 2 to 5 have closed forms."""
    pi, root = np.pi, np.sqrt(np.pi)
    known = {1: 0, 2: 1 / root, 3: 1.5 / root, 4: 3 / root * (0.5 + np.arcsin(1 / 3) / pi)}
    known[5] = 2.5 / root * (0.5 + 3 / pi * np.arcsin(1 / 3))
    for k, value in known.items():
        assert luck.expected_maximum(k) == pytest.approx(value, abs=1e-10)
    rising = [luck.expected_maximum(k) for k in (*range(1, 50), 10**3, 10**6)]
    assert rising == sorted(rising) and rising[-1] == pytest.approx(4.8628, abs=1e-3)
    with pytest.raises(ValueError, match="at least one"):
        luck.expected_maximum(0)


@pytest.mark.parametrize(("n", "k", "measured"), [(200, 5, 2.4), (200, 20, 3.8), (1000, 20, 1.7), (5000, 20, 0.8)])
def test_best_of_k_models_at_90_percent(n, k, measured):
    """Independent errors, and errors with the correlation that counts as alike: simulated test sets."""
    rng = np.random.default_rng(n + k)
    error = (0.9 * 0.1 / n) ** 0.5
    best = rng.binomial(n, 0.9, (20_000, k)).max(axis=1).mean() / n - 0.9
    assert luck.best_of(k, error) == pytest.approx(best, abs=0.0025)
    assert 100 * luck.best_of(k, error) == pytest.approx(measured, abs=0.2)
    # Each answer is the common one with the root of that probability, so two models share it with that probability.
    share = np.sqrt(luck.ALIKE)
    wins = []
    for _ in range(400):
        common, own = rng.random((n, 1)) < 0.9, rng.random((n, k)) < 0.9
        wins.append(np.where(rng.random((n, k)) < share, common, own).mean(axis=0).max() - 0.9)
    assert luck.best_of(k, error, luck.ALIKE) == pytest.approx(np.mean(wins), abs=3 * np.std(wins) / 20 + 0.0005)
    assert luck.best_of(k, error, 1.0) == 0


def test_widened_intervals():
    exact = Score(0.9, *wilson(90, 100), 100, "Wilson")
    assert luck.widened(exact, 1) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert luck.widened(exact, 4) == pytest.approx(wilson(90, 100, 1 - 0.05 / 4), abs=1e-12)
    other = Score(0.8, 0.7, 0.85, 100, "BCa bootstrap, 2000 resamples")
    reach = ndtri(1 - 0.05 / 8) / ndtri(0.975)
    assert luck.widened(other, 4) == pytest.approx((0.8 - reach * 0.1, 0.8 + reach * 0.05))
    assert luck.widened(Score(0.99, 0.95, 1.0, 9, "BCa"), 20)[1] == 1
    assert luck.widened(Score(1.4, 1.3, 1.5, 9, "log loss"), 20)[1] > 1.5


def test_the_widened_interval_holds_for_the_best_of_k():
    """2,000 times the best of 8 equal models: its own interval fails often, the widened one hardly ever."""
    rng, n, k, truth = np.random.default_rng(1), 500, 8, 0.85
    plain = wide = 0
    for _ in range(2000):
        hits = int(rng.binomial(n, truth, k).max())
        score = Score(hits / n, *wilson(hits, n), n, "Wilson")
        low, high = luck.widened(score, k)
        plain += score.low <= truth <= score.high
        wide += low <= truth <= high
    assert plain / 2000 < 0.90 and wide / 2000 >= 0.95


def test_no_luck_without_a_choice_or_an_interval():
    score = Score(0.9, 0.85, 0.93, 100, "Wilson")
    assert luck.of(score, 1) is None and luck.of(Score(None, None, None, 0, "undefined"), 5) is None
    found = luck.of(score, 4)
    assert found and found.models == 4 and 0 < found.alike < found.independent and found.low < score.low
