"""Paired statistics against oracles, properties and simulations."""

import numpy as np
import pytest
import scipy.stats
from mlxtend.evaluate import mcnemar as mlxtend_mcnemar
from statsmodels.stats.contingency_tables import mcnemar as reference
from statsmodels.stats.multitest import multipletests

from hfft import pairing, scoring
from hfft.counts import count

NAMES = ("a", "b", "c")


METRICS = ("accuracy", "f1")


def statistic():
    return scoring.statistic(METRICS)


def pair(rng, n: int, right: tuple[float, float], same: float = 0.5):
    """Labels and two models' predictions; a share `same` of rows is decided by the same luck."""
    labels = rng.integers(0, 3, n)
    luck = [rng.random(n) for _ in range(3)]
    shared = rng.random(n) < same
    out = []
    for share, own in zip(right, luck[1:], strict=True):
        wrong = np.where(shared, luck[0], own) >= share
        out.append(np.where(wrong, (labels + 1 + (own > 0.95)) % 3, labels))
    return labels, *out


def test_mcnemar_equals_statsmodels_mlxtend_and_the_textbook():
    """1,000 tables, every fifth with few discordant rows."""
    rng = np.random.default_rng(0)
    for index in range(1000):
        won, lost = (int(count) for count in rng.integers(0, 4 if index % 5 == 0 else 60, 2))
        exact, mid = pairing.mcnemar(won, lost)
        if won + lost:
            table = np.array([[5, won], [lost, 5]])
            assert exact == pytest.approx(reference(table, exact=True).pvalue, abs=1e-12)
            assert exact == pytest.approx(min(1, mlxtend_mcnemar(table, exact=True)[1]), abs=1e-12)
        # The sum of all tables less likely, and half of those as likely, one side doubled (Fagerland 2013, eq. 5).
        n, low = won + lost, min(won, lost)
        tails = 2 * scipy.stats.binom.cdf(low - 1, n, 0.5) + scipy.stats.binom.pmf(low, n, 0.5) if won != lost else 1
        assert mid == pytest.approx(min(1, tails), abs=1e-12)
        assert pairing.mcnemar(lost, won) == (exact, mid) and 0 < mid <= exact <= 1


def test_holm_equals_statsmodels(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels sweeps the whole process on every call
    rng = np.random.default_rng(1)
    for index in range(1000):
        p_values = rng.random(int(rng.integers(1, 9))) ** 3
        if index % 4 == 0:
            p_values = np.round(p_values, 1)  # ties, zeros and ones
        assert pairing.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)


def test_a_difference_is_the_difference_of_the_scores():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(5, 60))
        labels, first, second = rng.integers(0, 3, n), rng.integers(0, 3, n), rng.integers(0, 3, n)
        found = pairing.differences(labels, first, second, 3, statistic(), resamples=20)
        one, two = (scoring.points(count(labels, guess, 3), METRICS, NAMES) for guess in (first, second))
        for key, difference in found.items():
            assert difference.value == pytest.approx(float(two[key] - one[key]), abs=1e-12)
            assert difference.low <= difference.value <= difference.high and difference.n == n


def test_bootstrap_and_randomisation_agree_with_scipy_on_accuracy():
    labels, first, second = pair(np.random.default_rng(1), 400, (0.80, 0.86))
    found = pairing.differences(labels, first, second, 3, statistic(), resamples=4000)["accuracy"]
    gains = (second == labels).astype(float) - (first == labels)
    spread = scipy.stats.bootstrap((gains,), np.mean, n_resamples=4000, method="BCa", rng=0).confidence_interval
    assert found.low == pytest.approx(spread.low, abs=0.004) and found.high == pytest.approx(spread.high, abs=0.004)
    # By signs: the same null distribution as exchanging the two predictions of a row.
    oracle = scipy.stats.permutation_test((gains,), np.mean, permutation_type="samples", n_resamples=4000, rng=0)
    assert found.p == pytest.approx(oracle.pvalue, abs=0.02)


def test_equal_models_differ_by_nothing():
    labels, first, _ = pair(np.random.default_rng(2), 300, (0.8, 0.8))
    for difference in pairing.differences(labels, first, first, 3, statistic(), resamples=200).values():
        assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)
        assert pairing.rows_needed(difference) is None


def test_exchanging_the_models_turns_the_sign_only():
    labels, first, second = pair(np.random.default_rng(3), 500, (0.80, 0.85))
    there = pairing.differences(labels, first, second, 3, statistic())
    back = pairing.differences(labels, second, first, 3, statistic())
    for key, difference in there.items():
        assert back[key].value == -difference.value
        assert back[key].low == pytest.approx(-difference.high, abs=0.006)
        assert back[key].p == pytest.approx(difference.p, abs=0.03)


def test_equal_models_are_seldom_called_different():
    """300 pairs here, 2,000 in benchmarks/claims.py. At most 5 % + 3 standard errors of either test."""
    rng, called = np.random.default_rng(4), {"mid-p": 0, "randomisation": 0, "interval": 0}
    for _ in range(300):
        labels, first, second = pair(rng, 300, (0.85, 0.85))
        found = pairing.differences(labels, first, second, 3, statistic(), resamples=400)["f1_macro"]
        won, lost = (
            int((x & ~y).sum()) for x, y in ((second == labels, first == labels), (first == labels, second == labels))
        )
        called["mid-p"] += pairing.mcnemar(won, lost)[1] < 0.05
        called["randomisation"] += found.p < 0.05
        called["interval"] += not found.low <= 0 <= found.high
    assert max(called.values()) <= 300 * 0.05 + 3 * (300 * 0.05 * 0.95) ** 0.5, called


def test_rows_needed_show_the_difference_with_the_power_they_promise():
    rng = np.random.default_rng(5)
    labels, first, second = pair(rng, 4000, (0.80, 0.84))
    pilot = pairing.differences(labels, first, second, 3, statistic())["accuracy"]
    needed, seen = pairing.rows_needed(pilot), 0
    for _ in range(300):
        some = rng.integers(0, 4000, needed)
        right, theirs = first[some] == labels[some], second[some] == labels[some]
        seen += pairing.mcnemar(int((theirs & ~right).sum()), int((right & ~theirs).sum()))[1] < 0.05
    assert 0.72 <= seen / 300 <= 0.88


def test_few_rows_are_the_excuse_of_few_rows_only():
    apart = {"low": 0.01, "high": 0.05}
    assert "so few rows" in pairing.narrow(apart | {"n": 300})
    assert pairing.narrow(apart | {"n": 100_000}) == pairing.narrow(apart | {"n": 300, "low": -0.01}) == ""
