"""Risk against coverage, its area, and a threshold that keeps what it promises."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from hfft import abstaining
from hfft.intervals import wilson
from hfft.means import mean, share

ROWS = st.lists(st.tuples(st.sampled_from([0.3, 0.5, 0.6, 0.9]), st.booleans()), min_size=1, max_size=30)


def arrays(rows):
    confidence, wrong = zip(*rows, strict=True)
    return np.array(confidence), np.array(wrong)


def world(n, seed, slope=6.0):
    """Confidences and errors; the more confident the rarer an error, and the truth as a function of the threshold."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return confidence, rng.random(n) < chance(confidence, slope)


def chance(confidence, slope=6.0):
    return 0.5 * np.exp(-slope * confidence)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_curve_by_hand_whatever_the_order(rows, random):
    confidence, wrong = arrays(rows)
    coverage, risk = abstaining.curve(confidence, wrong)
    assert coverage[-1] == 1 and risk[-1] == pytest.approx(wrong.mean())
    for threshold in set(confidence):
        kept = confidence >= threshold
        assert risk[kept.sum() - 1] == pytest.approx(wrong[kept].mean())
    mixed = arrays(random.sample(rows, len(rows)))
    assert abstaining.curve(*mixed)[1] == pytest.approx(risk, abs=1e-12)
    assert abstaining.areas(*mixed)[0].value == pytest.approx(risk.mean(), abs=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_areas_by_hand(wrong):
    wrong, n = np.array(wrong), len(wrong)
    confidence = np.linspace(1, 0, n)
    naive = np.mean([wrong[:k].mean() for k in range(1, n + 1)])
    best = np.mean([np.sort(wrong)[:k].mean() for k in range(1, n + 1)])
    area, excess = abstaining.areas(confidence, wrong)
    assert (area.value, excess.value) == pytest.approx((naive, naive - best), abs=1e-12)
    perfect = abstaining.areas(-np.sort(wrong).astype(float) - confidence[::-1] / 9, np.sort(wrong))[1]
    assert perfect.value == pytest.approx(0, abs=1e-12)
    assert area.n == n and area.method.startswith(("Student's t", "no interval", "Wilson"))


def test_areas_intervals_hold_the_truth():
    big = world(2_000_000, 10**6)
    truths = [score.value for score in abstaining.areas(*big)]
    held = np.zeros(2)
    for seed in range(200):
        found = abstaining.areas(*world(500, seed))
        held += [score.low <= truth <= score.high for score, truth in zip(found, truths, strict=True)]
    assert (held / 200 >= 0.91).all() and (held / 200 <= 0.985).all()


def test_no_rows_no_errors_only_errors():
    assert abstaining.areas(np.zeros(0), np.zeros(0, dtype=bool))[0].value is None
    none = abstaining.areas(np.linspace(0, 1, 9), np.zeros(9, dtype=bool))
    assert none[0].value == none[1].value == 0 and none[0].high > 0.25
    every = abstaining.areas(np.linspace(0, 1, 9), np.ones(9, dtype=bool))
    assert every[0].value == 1 and every[1].value == pytest.approx(0)
    assert abstaining.accuracy_at(0.5, np.zeros(0), np.zeros(0, dtype=bool)).value is None


def test_accuracy_at_a_share_of_the_rows():
    confidence, wrong = np.arange(10) / 10, np.array([1, 1, 1, 0, 0, 0, 0, 1, 0, 0], dtype=bool)
    found = abstaining.accuracy_at(0.3, confidence, wrong)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert abstaining.accuracy_at(1.0, confidence, wrong).value == pytest.approx(0.6)
    ties = abstaining.accuracy_at(0.5, np.full(10, 0.5), wrong)
    assert ties.value == pytest.approx(0.6), "equal confidences share their errors"


@given(st.integers(0, 30), st.integers(1, 60), st.sampled_from([0.05, 0.01, 0.004]))
def test_the_bound_is_exact(errors, n, delta):
    bound = abstaining.upper_bound(errors, n, delta)
    if errors >= n:
        assert bound == 1
    else:
        assert binom.cdf(errors, n, bound) == pytest.approx(delta, rel=1e-9)


@pytest.mark.parametrize("max_error", [0.02, 0.05, 0.10])
def test_the_promise_is_kept(max_error):
    """The true error above the threshold, known here, is at most the promise in 95 % of worlds; and it is not idle."""
    grid = np.linspace(0, 1, 200_001)
    above = np.cumsum(chance(grid)[::-1])[::-1] / np.arange(len(grid), 0, -1)  # true error rate at each threshold
    broken, answered, found = 0, [], 0
    for seed in range(600):
        confidence, wrong = world(800, seed)
        promise = abstaining.promised(confidence, wrong, max_error, 0.95)
        if promise.threshold is not None:
            found += 1
            broken += np.interp(promise.threshold, grid, above) > max_error
            answered.append(promise.answered / 800)
            kept = confidence >= promise.threshold
            assert (promise.answered, promise.errors) == (kept.sum(), wrong[kept].sum())
            assert promise.bound <= max_error
    assert broken / 600 <= 0.05
    most = 1 - grid[np.argmax(above <= max_error)]  # what could be answered if the truth were known
    if max_error > 0.02:  # 800 rows are too few to show an error rate of 2 % in most of these worlds
        assert found > 540 and np.mean(answered) > most - 0.3


def test_a_promise_that_cannot_be_kept():
    rng = np.random.default_rng(0)
    promise = abstaining.promised(rng.random(300), rng.random(300) < 0.5, 0.05, 0.95)
    assert (promise.threshold, promise.bound, promise.answered, promise.n) == (None, None, 0, 300)
    nothing = abstaining.promised(np.zeros(0), np.zeros(0, dtype=bool), 0.05, 0.95)
    assert (nothing.threshold, nothing.tried) == (None, 0)
    assert abstaining.promised(np.array([0.9] * 20), np.zeros(20, dtype=bool), 0.05, 0.95).threshold is None
    every = abstaining.promised(np.array([0.9] * 59), np.zeros(59, dtype=bool), 0.05, 0.95)
    assert (every.threshold, every.answered, every.tried) == (0.9, 59, 1), "one value, one try: 59 rows are enough"


@given(ROWS, st.sampled_from([0.2, 0.5]))
def test_rows_of_equal_confidence_are_answered_together(rows, max_error):
    confidence, wrong = arrays(rows * 4)
    promise = abstaining.promised(confidence, wrong, max_error, 0.8)
    if promise.threshold is not None:
        kept = confidence >= promise.threshold
        assert (
            promise.threshold in confidence and promise.answered == kept.sum() and promise.errors == wrong[kept].sum()
        )


def test_means_and_shares_of_groups_are_as_wide_as_the_groups_allow():
    rng = np.random.default_rng(0)
    held = np.zeros(4)
    for _ in range(500):
        level = rng.beta(4, 2, 60)  # 60 groups of 10 rows that are alike
        units = np.repeat(np.arange(60), 10)
        hits = rng.random(600) < level[units]
        for place, score in enumerate((share(hits, units), mean(hits * 1.0, units), share(hits), mean(hits * 1.0))):
            held[place] += score.low <= 4 / 6 <= score.high
    grouped, alone = held[:2] / 500, held[2:] / 500
    assert (grouped >= 0.92).all() and (grouped <= 0.98).all()
    assert (alone < 0.88).all(), "rows taken as independent would promise too much"


def test_the_clustered_error_is_statsmodels():
    from statsmodels.api import OLS

    rng = np.random.default_rng(0)
    units = rng.integers(0, 12, 80)
    values = rng.normal(size=80) + 0.5 * units
    theirs = OLS(values, np.ones(80)).fit(cov_type="cluster", cov_kwds={"groups": units, "df_correction": False})
    found = mean(values, units)
    # statsmodels also multiplies by (n - 1) / (n - parameters), which is 1 for a mean.
    assert (found.high - found.low) / 2 == pytest.approx(scipy.stats.t.ppf(0.975, 11) * theirs.bse[0], rel=1e-9)
    hits = rng.random(80) < 0.7
    low, high = mean(hits * 1.0, units).low, mean(hits * 1.0, units).high
    variance = ((high - low) / 2 / 1.959963984540054) ** 2
    worth = hits.mean() * (1 - hits.mean()) / variance
    assert worth < 80, "or the rows' own number would be used"
    assert (share(hits, units).low, share(hits, units).high) == pytest.approx(wilson(hits.mean() * worth, worth))


def test_shares_without_spread():
    found = share(np.ones(40, dtype=bool), np.repeat(np.arange(4), 10))
    assert found.value == 1 and found.low == pytest.approx(share(np.ones(4, dtype=bool)).low) and found.n == 40
    assert share(np.zeros(0, dtype=bool)).value is None
    assert share(np.array([True, False]), np.array([0, 0])).low < 0.15
    assert mean(np.array([2.0])).low is None and mean(np.array([1.0, 2.0]), np.zeros(2, dtype=int)).low is None
