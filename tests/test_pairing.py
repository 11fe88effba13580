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
    """1,000 lists; every third has ties and values of exactly 0 and 1."""
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it for every list: minutes in all
    rng = np.random.default_rng(8)
    for case in range(1000):
        p_values = rng.random(int(rng.integers(1, 9))) ** 2
        p_values = (np.round(p_values * 4) / 4 if case % 3 == 0 else p_values).tolist()
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


@pytest.mark.parametrize("value", [0.02, -0.02])
@pytest.mark.parametrize(("power", "significance"), [(0.8, 0.05), (0.9, 0.01)])
def test_rows_needed_are_the_fewest_with_that_power(value, power, significance):
    difference = pairing.Difference(value, value - 0.03, value + 0.03, 0.2, 1000, "made up")
    needed = pairing.rows_needed(difference, power, significance)

    def reached(n: int) -> float:
        error = 0.03 / scipy.stats.norm.ppf(0.975) * (1000 / n) ** 0.5
        return scipy.stats.norm.cdf(0.02 / error - scipy.stats.norm.ppf(1 - significance / 2))

    assert reached(needed - 1) < power <= reached(needed)
    assert pairing.rows_needed(difference) == pairing.rows_needed(difference, 0.8, 0.05)


def test_rows_needed_where_nothing_varies():
    for value, low, high in ((0.0, -0.1, 0.1), (0.1, 0.1, 0.1), (1e-13, -0.1, 0.1)):
        assert pairing.rows_needed(pairing.Difference(value, low, high, 1.0, 50, "made up")) is None


def test_differences_in_words():
    apart = {"value": 0.0312, "low": -0.01, "high": 0.0521}
    assert pairing.told("accuracy", apart) == "+3.1 points of accuracy [-1.0, +5.2]"
    assert pairing.told("log_loss", apart) == "+0.0312 of log_loss [-0.0100, +0.0521] (less is better)"


def test_what_fine_tuning_bought_in_words():
    def gained(value, low, high, p, metric="accuracy"):
        return pairing.gained("majority", {"metric": metric, "value": value, "low": low, "high": high, "p": p, "n": 60})

    assert gained(0.1, 0.05, 0.15, 0.0005) == (
        "Fine-tuning bought +10.0 points of accuracy [+5.0, +15.0] over majority (row by row, p ≤ 0.0005)."
    )
    assert gained(-0.1, -0.15, -0.05, 0.001) == (
        "Fine-tuning is WORSE than majority: -10.0 points of accuracy [-15.0, -5.0] (row by row, p = 0.001). "
        "Train longer, or keep the baseline."
    )
    assert gained(-0.1, -0.15, -0.05, 0.001, "log_loss").startswith("Fine-tuning bought -0.1000 of log_loss")
    assert gained(0.1, 0.05, 0.15, 0.001, "log_loss").startswith("Fine-tuning is WORSE")
    unclear = "It cannot be told whether fine-tuning is better than majority: +10.0 points of accuracy "
    assert gained(0.1, -0.05, 0.15, 0.05) == f"{unclear}[-5.0, +15.0] (row by row, p = 0.05)."
    aside = "(row by row, p = 0.2; with so few rows the interval is too narrow)."
    assert gained(0.1, 0.05, 0.15, 0.2) == f"{unclear}[+5.0, +15.0] {aside}"
    assert gained(0.0, 0.0, 0.0, 0.01).endswith("+0.0 points of accuracy [+0.0, +0.0] (row by row, p = 0.01).")
    for low, high, said in ((0.0, 0.1, False), (-0.1, 0.0, False), (-0.1, -0.01, True), (0.01, 0.1, True)):
        assert bool(pairing.narrow({"low": low, "high": high, "n": 60})) is said


def test_a_difference_says_how_it_was_made_and_depends_on_nothing_but_its_arguments():
    labels, first, second = pair(np.random.default_rng(6), 80, (0.75, 0.85))
    found = pairing.differences(labels, first, second, 3, statistic())
    assert found == pairing.differences(labels, first, second, 3, statistic(), None, 2000, 0)
    assert found["accuracy"].method == "paired BCa bootstrap, 2000 resamples; randomisation, 2000 resamples"
    # (1 + as far apart) / (1 + resamples): a whole number of 2,001ths, and never 0.
    for difference in found.values():
        assert round(difference.p * 2001) >= 1 and difference.p * 2001 == pytest.approx(round(difference.p * 2001))
    grouped = pairing.differences(labels, first, second, 3, statistic(), np.arange(80) // 2, resamples=50)
    method = "paired BCa bootstrap, 50 resamples, drawn by group; randomisation, 50 resamples"
    assert grouped["accuracy"].method == method and grouped["accuracy"].n == 80
    assert pairing.differences(labels, first, second, 3, lambda counts: {}) == {}


def test_rows_of_one_are_each_of_a_group_of_its_own():
    """Drawn as rows or as groups of one row, the numbers are the same; pairs of copies count half."""
    labels, first, second = pair(np.random.default_rng(7), 150, (0.70, 0.85))
    alone = pairing.differences(labels, first, second, 3, statistic(), resamples=1000)["f1_macro"]
    twice = pairing.differences(
        *(np.repeat(part, 2) for part in (labels, first, second)), 3, statistic(), np.arange(300) // 2, resamples=1000
    )["f1_macro"]
    assert twice.value == pytest.approx(alone.value) and twice.n == 300
    assert twice.high - twice.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_an_obvious_difference_has_the_least_p_there_is():
    labels = np.repeat([0, 1], 100)
    found = pairing.differences(labels, 1 - labels, labels, 2, statistic(), resamples=99)["accuracy"]
    assert (found.value, found.p) == (1.0, 0.01)


def test_few_rows_are_the_excuse_of_few_rows_only():
    apart = {"low": 0.01, "high": 0.05}
    assert "so few rows" in pairing.narrow(apart | {"n": 300})
    assert pairing.narrow(apart | {"n": 100_000}) == pairing.narrow(apart | {"n": 300, "low": -0.01}) == ""


def test_resamples_as_far_apart_as_the_models_count():
    """Three discordant rows, all won: 2 of 8 exchanges are as far apart, so p is 1/4 and never smaller."""
    labels = np.repeat([0, 1], 25)
    first = np.where(np.arange(50) < 3, 1 - labels, labels)
    found = pairing.differences(labels, first, labels, 2, statistic())["accuracy"]
    assert found.p == pytest.approx(0.25, abs=0.04)
