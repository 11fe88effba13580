"""Slice against rest: Fisher's test against SciPy, rows of a unit against what they are worth, powers against draws."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hfft import weakness
from hfft.means import share


def table(a: int, b: int, c: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """(right, mask) with a wrong and b right rows in the slice, c and d in the rest."""
    return np.repeat([False, True, False, True], (a, b, c, d)), np.repeat([True, True, False, False], (a, b, c, d))


@given(*(st.integers(0, 30) for _ in range(4)))
def test_independent_rows_get_fishers_exact_test(a, b, c, d):
    exact, mid = weakness.weaker(*table(a, b, c, d), None)
    if 0 in (a + b, c + d, a + c, b + d):
        assert (exact, mid) == (1.0, 1.0)
        return
    expected = scipy.stats.fisher_exact([[a, b], [c, d]], alternative="greater").pvalue
    one_more = scipy.stats.hypergeom.pmf(a, a + b + c + d, a + c, a + b)
    assert exact == pytest.approx(expected, abs=1e-12)
    assert mid == pytest.approx(expected - one_more / 2, abs=1e-12)


def test_copies_of_a_row_are_no_further_witnesses():
    """Each row three times over: as certain as one of each, or less, never more."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        mask = rng.random(200) < 0.3
        right = rng.random(200) < np.where(mask, 0.6, 0.8)
        units = np.repeat(np.arange(200), 3)
        once = weakness.weaker(right, mask, None)[0]
        likeness = weakness.alike(np.repeat(right, 3), units)
        thrice = weakness.weaker(np.repeat(right, 3), np.repeat(mask, 3), units, likeness)[0]
        blind = weakness.weaker(np.repeat(right, 3), np.repeat(mask, 3), None)[0]
        assert likeness == pytest.approx(1, abs=0.02)
        assert blind < 0.5 * once or blind > 0.5
        assert 0.5 * once <= thrice <= 2.5 * once + 0.05


def test_likeness_is_the_correlation_that_was_put_in():
    rng = np.random.default_rng(2)
    units = np.repeat(np.arange(4000), 4)
    for likeness in (0.0, 0.2, 0.6):
        chance = (
            rng.beta(*(x * (1 - likeness) / likeness for x in (0.8, 0.2)), 4000) if likeness else np.full(4000, 0.8)
        )
        right = rng.random(16_000) < chance[units]
        assert weakness.alike(right, units) == pytest.approx(likeness, abs=0.03)
    assert weakness.alike(right, None) == 0
    assert weakness.alike(np.ones(16_000, dtype=bool), units) == 0


def test_one_unit_on_a_side_tells_nothing():
    right, mask = table(20, 0, 0, 80)
    units = np.where(mask, 0, np.arange(100))
    assert weakness.weaker(right, mask, None)[0] < 1e-9
    assert weakness.weaker(right, mask, units, 0.1) == (1.0, 1.0)


@pytest.mark.parametrize("whole", [True, False])
def test_units_that_are_alike_raise_no_more_alarms_than_promised(whole):
    """400 test sets without any weak slice; a slice holds whole units or some rows of many. Blind, every fifth alarm is
    false where units are whole."""
    rng = np.random.default_rng(3)
    alarms = np.zeros(2)
    for _ in range(400):
        units = np.repeat(np.arange(120), 1 + rng.poisson(5, 120))
        right = rng.random(len(units)) < rng.beta(0.85, 0.15, 120)[units]  # correlation 0.5
        mask = (rng.random(120) < 0.2)[units] if whole else rng.random(len(units)) < 0.2
        p = weakness.weaker(right, mask, units, weakness.alike(right, units))[0], weakness.weaker(right, mask, None)[0]
        alarms += np.array(p) < 0.05
    assert alarms[0] / 400 < 0.05
    assert (alarms[1] / 400 > 0.1) == whole


def test_units_of_one_piece_are_seen_though_the_others_are_not():
    """Few units that are right or wrong as a whole, among many independent rows: the common likeness is small."""
    rng = np.random.default_rng(4)
    alarms = np.zeros(2)
    for _ in range(300):
        units = np.repeat(np.arange(300), 6)
        mask = units < 20
        chance = np.where(np.arange(300) < 20, rng.random(300) < 0.85, 0.85)
        right = rng.random(1800) < chance[units]
        likeness = weakness.alike(right, units)
        alarms += weakness.weaker(right, mask, units, likeness)[0] < 0.05, weakness.weaker(right, mask, None)[0] < 0.05
        assert likeness < 0.3
    assert alarms[0] / 300 < 0.05
    assert alarms[1] / 300 > 0.1


def test_the_interval_of_a_gap_holds_the_truth():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        part, rest = rng.random(40) < 0.7, rng.random(300) < 0.9
        found = weakness.gap(share(part), share(rest))
        held += found["low"] <= -0.2 <= found["high"]
        assert found["low"] <= found["value"] <= found["high"]
    assert 0.93 < held / 1000 < 0.975
    empty = weakness.gap(share(np.zeros(0, dtype=bool)), share(np.ones(5, dtype=bool)))
    assert set(empty.values()) == {None}


def test_what_is_said_to_be_visible_is_seen_four_times_in_five():
    rng = np.random.default_rng(6)
    for n, level in ((1000, 0.05), (2000, 0.01)):
        lost = weakness.visible(0.85, n, 0.1, level)
        seen = 0
        for _ in range(500):
            mask = rng.random(n) < 0.1
            right = rng.random(n) < np.where(mask, 0.85 - lost, 0.85)
            seen += weakness.weaker(right, mask, None)[0] < level
        assert 0.72 < seen / 500 < 0.86  # an exact test is a little behind
