"""Intervals against oracles (scipy, statsmodels), and against the truth in simulations."""

import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from hfft import intervals
from hfft.counts import Counts, confusion, count
from hfft.intervals import FEW_ERRORS, wilson
from hfft.resamples import of_matrix


def accuracy(counts: Counts) -> dict[str, np.ndarray]:
    return {"accuracy": counts.hits.sum(axis=-1) / np.maximum(counts.n, 1)}


def f1_macro(counts: Counts) -> dict[str, np.ndarray]:
    each = 2 * counts.hits / np.maximum(counts.support + counts.predicted, 1)
    return {"f1_macro": each.mean(axis=-1)}


def bca(matrix, *settings, **named):
    return intervals.bca(of_matrix(matrix), *settings, **named)


def blind_rows(matrix) -> int:
    return intervals.blind_rows(Counts(np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)))


def both(counts: Counts) -> dict[str, np.ndarray]:
    return accuracy(counts) | f1_macro(counts)


def matrices(fewest: int):
    sizes = st.integers(fewest, 5)
    rows = sizes.flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 30), min_size=k, max_size=k), min_size=k, max_size=k)
    )
    return rows.map(np.array)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_equals_scipy_and_statsmodels(confidence):
    for trials in (1, 2, 7, 30, 1000):
        for successes in {0, 1, trials // 3, trials - 1, trials}:
            ours = wilson(successes, trials, confidence)
            scipys = scipy.stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
            statsmodels = proportion_confint(successes, trials, alpha=1 - confidence, method="wilson")
            assert ours == pytest.approx((scipys.low, scipys.high), abs=1e-12)
            assert ours == pytest.approx(statsmodels, abs=1e-12)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_wilson_holds_the_share_and_stays_in_range(a, b):
    successes, trials = min(a, b), max(a, b)
    low, high = wilson(successes, trials)
    assert 0 <= low <= high <= 1
    assert trials == 0 or low <= successes / trials <= high


def test_wilson_refuses_more_successes_than_trials():
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_wilson_at_its_ends():
    """Without trials nothing is known; at no or only successes an end is exact, to the last bit."""
    assert wilson(0, 0) == (0.0, 1.0)
    for trials in (1, 3, 20, 49, 10**6):
        assert wilson(0, trials)[0] == 0.0 and wilson(trials, trials)[1] == 1.0


@pytest.mark.parametrize("prior", [(0.6, 0.3, 0.1), (0.94, 0.03, 0.03)])
def test_bca_agrees_with_scipy_on_rows(prior):
    """The second case is skewed enough that a wrong sign of bias or acceleration moves an end by 5 % of the width."""
    rng = np.random.default_rng(1)
    labels = rng.choice(3, 500, p=prior)
    predicted = np.where(rng.random(500) < 0.85, labels, rng.choice(3, 500, p=prior))

    def on_rows(labels, predicted, axis=-1):
        right = labels == predicted
        parts = ([(labels == k) & right for k in range(3)], [labels == k for k in range(3)])
        parts += ([predicted == k for k in range(3)],)
        return f1_macro(Counts(*(np.stack([m.sum(axis=axis) for m in part], axis=-1) for part in parts)))["f1_macro"]

    oracle = scipy.stats.bootstrap(
        (labels, predicted), on_rows, paired=True, vectorized=True, n_resamples=10_000, method="BCa", batch=500, rng=rng
    ).confidence_interval
    ours = bca(confusion(labels, predicted, 3), f1_macro, resamples=10_000)["f1_macro"]
    # An end of 10,000 resamples has a Monte-Carlo error of 0.7 % of the width, so a difference of two has 1 %.
    assert (ours.low, ours.high) == pytest.approx((oracle.low, oracle.high), abs=0.04 * (oracle.high - oracle.low))
    assert ours.method == "BCa bootstrap, 10000 resamples"


def test_the_jackknife_by_cells_is_the_jackknife_by_rows():
    rng = np.random.default_rng(4)
    labels = rng.choice(3, 60, p=[0.8, 0.15, 0.05])
    predicted = np.where(rng.random(60) < 0.6, labels, rng.integers(0, 3, 60))
    each = np.array(
        [f1_macro(count(np.delete(labels, i), np.delete(predicted, i), 3))["f1_macro"] for i in range(len(labels))]
    )
    pull = each.mean() - each
    expected = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    cells = of_matrix(confusion(labels, predicted, 3))
    deleted = np.concatenate([f1_macro(part)["f1_macro"] for part in cells.jackknifed()])
    assert intervals.acceleration_of(deleted, cells.times) == pytest.approx(expected, rel=1e-9)
    assert abs(expected) > 0.01, "a case that says nothing"


def test_corrected_levels():
    """Without corrections the levels stay; bias moves both by 2 z0; acceleration stretches, at most to 0 or 1."""
    levels = np.array([0.025, 0.975])
    assert intervals._corrected(levels, 0, 0) == pytest.approx(levels)
    assert intervals._corrected(levels, 0.1, 0) == pytest.approx(scipy.stats.norm.cdf([-1.759964, 2.159964]), abs=1e-6)
    z = 1.959964
    stretched = scipy.stats.norm.cdf([-z / (1 + 0.2 * z), z / (1 - 0.2 * z)])
    assert intervals._corrected(levels, 0, 0.2) == pytest.approx(stretched, abs=1e-6)
    assert intervals._corrected(levels, 0, 0.6)[1] == 1
    assert intervals._corrected(levels, 0, -0.6)[0] == 0


def test_two_ways_of_drawing_are_one_distribution():
    """Few rows per cell are drawn as rows, many as cells; a matrix on either side of the switch must not jump."""
    many = np.array([[60, 8, 4], [6, 50, 5], [3, 2, 12]])
    few = many // 2 + np.eye(3, dtype=int)
    assert many.sum() >= 10 * 9 > few.sum() - 1
    wide, narrow = bca(few, f1_macro)["f1_macro"], bca(many, f1_macro)["f1_macro"]
    ratio = (wide.high - wide.low) / (narrow.high - narrow.low)
    assert ratio == pytest.approx(np.sqrt(many.sum() / few.sum()), rel=0.12)


@settings(max_examples=150, deadline=None)
@given(matrices(fewest=1))
def test_bca_holds_the_value_whatever_the_matrix(matrix):
    if matrix.sum() == 0:
        with pytest.raises(ValueError, match="no rows"):
            bca(matrix, both)
        return
    point = both(Counts(np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)))
    for name, spread in bca(matrix, both, resamples=200).items():
        assert 0 <= spread.low <= point[name] <= spread.high <= 1 + 1e-12
        assert spread.high > spread.low, "no interval without width"


@settings(max_examples=60, deadline=None)
@given(matrices(fewest=2), st.randoms(use_true_random=False))
def test_renaming_classes_moves_no_end_beyond_chance(matrix, random):
    """The draws differ, so ends may differ by Monte-Carlo error; the wideners and the acceleration may not."""
    if matrix.sum() - np.trace(matrix) < FEW_ERRORS or np.trace(matrix) < FEW_ERRORS:
        return
    order = list(range(len(matrix)))
    random.shuffle(order)
    here, there = (bca(m, accuracy)["accuracy"] for m in (matrix, matrix[np.ix_(order, order)]))
    assert (here.low, here.high) == pytest.approx((there.low, there.high), abs=0.25 * (here.high - here.low))
    assert blind_rows(matrix) == blind_rows(matrix[np.ix_(order, order)])


def test_a_duplicated_test_set_gives_a_narrower_interval():
    matrix = np.array([[30, 6], [4, 20]])
    spreads = [bca(matrix * times, f1_macro)["f1_macro"] for times in (1, 4)]
    widths = [spread.high - spread.low for spread in spreads]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.15)


def test_same_seed_same_bytes_and_chunks_do_not_matter(monkeypatch):
    matrix = np.random.default_rng(0).integers(0, 9, (6, 6)) + 20 * np.eye(6, dtype=int)
    for cells in (matrix, matrix * 10):  # drawn as rows, and as cells
        first = bca(cells, both, seed=3)
        assert first == bca(cells, both, seed=3) != bca(cells, both, seed=4)
        with monkeypatch.context() as patch:
            patch.setattr("hfft.resamples.CHUNK", 1000)
            assert bca(cells, both, seed=3) == first


def test_a_perfect_score_is_not_certain():
    """20 of 20 right: the bootstrap alone says [1, 1]; the truth may well be 0.85."""
    spread = bca(np.diag([10, 10]), both)
    assert spread["accuracy"][:2] == pytest.approx(wilson(20, 20))
    assert spread["f1_macro"].method == "BCa bootstrap, 2000 resamples, widened to Wilson on 20 rows"
    lopsided = bca(np.diag([1, 99]), both)["f1_macro"]
    assert lopsided.low == pytest.approx(wilson(2, 2)[0]), "half of the macro average rests on one row"


def made(support: list[int], predicted: list[int]) -> Counts:
    return Counts(np.zeros(len(support), dtype=int), np.array(support), np.array(predicted))


def test_rows_that_a_blind_bootstrap_may_claim():
    """Classes that occur x rows of the rarest, true or predicted; never more than there are rows."""
    assert intervals.blind_rows(made([40, 10], [30, 20])) == 20
    assert intervals.blind_rows(made([40, 10], [49, 1])) == 2, "a class predicted once is rarer than one of ten rows"
    assert intervals.blind_rows(made([40, 10], [50, 0])) == 20, "a class never predicted has no precision to know"
    assert intervals.blind_rows(made([40, 10, 0], [44, 5, 1])) == 10, "a class without rows is in no average"
    assert intervals.blind_rows(made([25, 25], [25, 25])) == 50
    assert intervals.blind_rows(made([0, 0], [0, 0])) == 0


def test_only_fewer_than_ten_errors_widen():
    assert "widened" in bca(np.array([[50, 5], [4, 41]]), f1_macro)["f1_macro"].method
    assert "widened" not in bca(np.array([[50, 5], [5, 40]]), f1_macro)["f1_macro"].method


def test_widening_holds_wilson_at_the_same_confidence():
    narrow = intervals.Interval(0.5, 0.5, "made up")
    for confidence in (0.8, 0.99):
        spread = intervals.widened(narrow, 0.5, 40, confidence)
        assert spread[:2] == wilson(20, 40, confidence)
    assert spread.method == "made up, widened to Wilson on 40 rows"
    assert intervals.widened(narrow, 0.5, 1, 0.95).method.endswith("on 1 row")
    # MCC runs below 0, and the rounding of a sum can put a value above 1: shares do neither.
    assert intervals.widened(intervals.Interval(-0.2, -0.1, ""), -0.1, 10, 0.95)[:2] == (-0.2, wilson(0, 10)[1])
    assert intervals.widened(intervals.Interval(1.0, 1.0, ""), 1 + 1e-15, 10, 0.95)[:2] == wilson(10, 10)


def test_percentiles_where_all_resamples_lie_on_one_side():
    draws = np.linspace(0.2, 0.4, 201)
    above = intervals.bca_interval(0.5, draws, 0.0, 0.95)
    assert above[:2] == (pytest.approx(np.quantile(draws, 0.025)), 0.5)
    assert above.method == "percentile bootstrap, 201 resamples"
    below = intervals.bca_interval(0.1, draws, 0.0, 0.95)
    assert below[:2] == (0.1, pytest.approx(np.quantile(draws, 0.975)))


def test_bca_at_another_confidence_and_with_a_seed_of_its_own():
    matrix = np.array([[40, 10], [5, 45]])
    wide, narrow = (bca(matrix, accuracy, confidence=level)["accuracy"] for level in (0.99, 0.5))
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(2.5758 / 0.6745, rel=0.2)
    assert bca(matrix, accuracy) == bca(matrix, accuracy, resamples=2000, confidence=0.95, seed=0)


def test_a_constant_model_has_an_uncertain_macro_recall():
    """Always class 0: macro recall is 1/2 in every resample, and yet not known to the last digit."""

    def recall_macro(counts):
        return {"recall": (counts.hits / np.maximum(counts.support, 1)).mean(axis=-1)}

    spread = bca(np.array([[50, 0], [50, 0]]), recall_macro)["recall"]
    assert spread.low < 0.45 and spread.high > 0.55
    assert "widened" in spread.method


def coverage(cells: np.ndarray, rows: int, trials: int) -> tuple[float, float]:
    """(share of intervals that hold the true macro F1, share that lie wholly above it)."""
    rng = np.random.default_rng(5)
    exact = Counts(np.diag(cells), cells.sum(axis=1), cells.sum(axis=0))
    truth = float((2 * exact.hits / (exact.support + exact.predicted)).mean())
    held = above = 0
    for trial in range(trials):
        matrix = rng.multinomial(rows, cells.ravel()).reshape(cells.shape)
        spread = bca(matrix, f1_macro, resamples=600, seed=trial)["f1_macro"]
        held += spread.low <= truth <= spread.high
        above += truth < spread.low
    return held / trials, above / trials


def test_coverage_with_errors_enough():
    """Three classes, 150 rows, 20 % errors: 95 % must mean 95 % (Monte-Carlo error 1 point; normal errors 3 sigma)."""
    rates = np.array([[0.8, 0.1, 0.1], [0.15, 0.8, 0.05], [0.1, 0.1, 0.8]])
    held, above = coverage(np.array([0.5, 0.3, 0.2])[:, None] * rates, rows=150, trials=500)
    assert 0.92 <= held <= 0.98
    assert above <= 0.05


def test_coverage_with_hardly_any_error():
    """20 rows, 3 % errors: half of all test sets are free of errors; a bootstrap alone holds the truth in 60 %."""
    held, above = coverage((np.full((3, 3), 0.015) + np.eye(3) * 0.955) / 3, rows=20, trials=300)
    assert held >= 0.93
    assert above <= 0.05


def test_a_hundred_classes_take_less_than_two_seconds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 100, 10_000)
    predicted = np.where(rng.random(10_000) < 0.8, labels, rng.integers(0, 100, 10_000))
    start = time.process_time()
    bca(confusion(labels, predicted, 100), both)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_effective_trials_by_their_formula(confidence):
    """Ratio estimator, variance by linearisation, Student's t with draws - 1 degrees (Korn & Graubard 1998)."""
    rng = np.random.default_rng(6)
    trials = rng.integers(0, 9, 25)
    hits = rng.binomial(trials, rng.random(25))
    times = rng.integers(1, 3, 25)
    all_hits, all_trials = np.repeat(hits, times), np.repeat(trials, times)
    some = all_trials > 0
    n, share, total = int(some.sum()), all_hits.sum() / all_trials.sum(), all_trials.sum()
    variance = n / (n - 1) * ((all_hits - share * all_trials)[some] ** 2).sum() / total**2
    ratio = scipy.stats.norm.ppf(0.5 + confidence / 2) / scipy.stats.t.ppf(0.5 + confidence / 2, n - 1)
    sums = intervals.Moments(*intervals.moments(times, hits, trials))
    assert sums.draws == n and (sums.hits, sums.trials) == (all_hits.sum(), total)
    found = intervals.effective(sums, confidence)
    assert found == pytest.approx(share * (1 - share) / variance * ratio**2) and found < total


def test_effective_trials_at_their_ends():
    def of(hits, trials):
        return intervals.effective(intervals.Moments(*intervals.moments(np.ones(len(hits)), hits, trials)))

    assert of([0, 0, 0], [4, 4, 0]) == 2, "no success: a draw is one trial"
    assert of([1, 1], [1, 1]) == 2 and of([0], [5]) == 1
    assert of([3], [5]) == 1, "one draw shows no spread"
    assert of([1, 1, 1], [2, 2, 2]) == 6, "no spread between draws: all trials count"
    assert of([1, 0, 1, 0], [1, 1, 1, 1]) <= 4
    assert intervals.moments(np.ones((3, 2)), np.ones((2, 4)), np.ones((2, 4))).shape == (3, 4, 6)


def test_acceleration_knows_no_scale():
    deleted, weights = np.array([0.1, 0.2, 0.9, 0.3]), np.array([3, 1, 1, 2])
    full = np.repeat(deleted, weights)
    pull = full.mean() - full
    expected = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    for scale in (1.0, 1e-7, 1e-9):
        assert intervals.acceleration_of(scale * deleted, weights) == pytest.approx(expected)
    assert intervals.acceleration_of(np.full(4, 0.3) + 1e-14 * deleted, weights) == 0
