"""The fitted law: exact where the points are, intervals held to a brute search and to simulations, bounds respected."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from hfft import power_law
from hfft.power_law import Fit

SIZES = np.array([140, 350, 700, 1400])
TIMES = SIZES / 1400


def simulation():
    """benchmarks/learning_curves.py, which is no package."""
    path = Path(__file__).parent.parent / "benchmarks" / "learning_curves.py"
    spec = importlib.util.spec_from_file_location("simulated_curves", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_curves"] = module
    spec.loader.exec_module(module)
    return module


def shared(error: np.ndarray, rows: int, alike: float = 0.6) -> np.ndarray:
    """A covariance as of points on shared rows."""
    deviation = np.sqrt(error * (1 - error) / rows)
    return np.outer(deviation, deviation) * (alike + (1 - alike) * np.eye(len(error)))


@pytest.mark.parametrize("law", [(0.05, 0.15, 0.5), (0.0, 0.2, 0.3), (0.1, 0.02, 1.1), (0.3, 0.0, 1.0)])
def test_points_on_a_law_give_the_law(law):
    floor, scale, exponent = law
    error = floor + scale * TIMES**-exponent
    fit = Fit(SIZES, error, shared(error, 1000))
    assert fit.law.misfit < 1e-3 and fit.widened == 1 and not fit.law.falling
    assert fit.law.error(TIMES) == pytest.approx(error, abs=2e-4)
    assert fit.gain(1, 2).value == pytest.approx(scale * (1 - 2**-exponent), abs=2e-3)
    assert fit.level(1).value == pytest.approx(error[-1], abs=2e-4)
    assert fit.law.freedom == (3 if not scale else 2 if not fit.law.floor else 1)


def test_ends_are_those_of_a_brute_search_of_the_profile():
    error = np.array([0.34, 0.255, 0.205, 0.19])
    covariance = shared(error, 900)
    fit, inverse = Fit(SIZES, error, covariance), np.linalg.inv(covariance)

    def misfit(floor: float, scale: float, exponent: float) -> float:
        rest = error - floor - scale * TIMES**-exponent
        return float(rest @ inverse @ rest)

    def held(gain: float) -> float:
        """Least misfit of the laws that gain so much from twice the rows."""
        best = np.inf
        for c in np.geomspace(0.01, 3, 150):
            found = minimize_scalar(
                lambda floor, c=c: misfit(floor, gain / (1 - 2**-c), c), bounds=(0, 0.5), options={"xatol": 1e-7}
            )
            best = min(best, float(found.fun), misfit(0.0, gain / (1 - 2**-c), c))
        return best

    limit = fit.law.misfit + 3.841459 * fit.widened**2
    gain = fit.gain(1, 2)
    assert held(gain.value) == pytest.approx(fit.law.misfit, abs=0.01)
    high = brentq(lambda v: held(v) - limit, gain.value, 0.15, xtol=1e-4)
    low = brentq(lambda v: held(v) - limit, 1e-6, gain.value, xtol=1e-4)
    assert (gain.low, gain.high) == pytest.approx((low, high), abs=5e-4)


def test_the_level_at_a_size_with_a_point_has_about_that_points_interval():
    error = 0.1 + 0.1 * TIMES**-0.4
    covariance = shared(error, 1000, 0.95)
    level = Fit(SIZES, error, covariance).level(1.0)
    reach = 1.96 * covariance[-1, -1] ** 0.5
    assert (level.low, level.high) == pytest.approx((error[-1] - reach, error[-1] + reach), abs=0.3 * reach)


def test_a_flat_curve_brings_nothing_and_a_rising_error_is_told():
    flat = np.array([0.2, 0.201, 0.199, 0.2])
    fit = Fit(SIZES, flat, shared(flat, 2000))
    gain = fit.gain(1, 2)
    assert gain.low == 0 and gain.value < 0.001 and gain.high < 0.01 and not fit.law.falling
    rising = Fit(SIZES, np.array([0.1, 0.15, 0.2, 0.3]), shared(flat, 2000))
    assert rising.law.falling and rising.law.scale == 0 and rising.gain(1, 2).low == 0 and rising.widened > 5


def test_scatter_widens_as_its_root_and_sizes_have_no_unit():
    error = np.array([0.33, 0.22, 0.23, 0.17])
    tight, loose = (Fit(SIZES, error, shared(error, rows)) for rows in (100_000, 1000))
    assert tight.widened == pytest.approx((tight.law.misfit / tight.law.freedom) ** 0.5) and tight.widened > 5
    assert loose.widened < tight.widened
    twice = Fit(SIZES * 100, error, shared(error, 1000))
    assert twice.gain(1, 2) == loose.gain(1, 2)


def test_more_rows_to_validate_on_narrow_and_farther_extrapolation_widens():
    error = 0.1 + 0.1 * TIMES**-0.4
    ends = [Fit(SIZES, error, shared(error, rows)).gain(1, 2) for rows in (300, 1000, 5000)]
    widths = [end.high - end.low for end in ends]
    assert widths[0] > widths[1] > widths[2] and all(end.low <= end.value <= end.high for end in ends)
    fit = Fit(SIZES, error, shared(error, 1000))
    far = [fit.level(at) for at in (1, 2, 4)]
    assert far[0].high - far[0].low < far[2].high - far[2].low
    assert all(end.low >= 0 for end in far) and far[0].value > far[1].value > far[2].value


def test_too_few_sizes():
    with pytest.raises(ValueError, match="3 sizes or more"):
        Fit(np.array([10, 20, 20]), np.array([0.3, 0.2, 0.2]), np.eye(3))
    assert power_law.LEAST == 3


@pytest.mark.parametrize(
    ("law", "more"),
    [
        ((0.05, 0.15, 0.5, 400), {}),
        ((0.1, 0.05, 0.2, 1500), {}),
        ((0.1, 0.0, 0.5, 1500), {}),
        ((0.05, 0.15, 0.5, 600), {"noise": 0.02, "seeds": 3}),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_promise(law, more):
    """A short version of benchmarks/learning_curves.py: 60 simulations, so 95 % may come out as 88 %."""
    simulated = simulation()
    found = simulated.measured(simulated.Truth(*law, **more), 60, 7)
    assert found["gain"] >= 0.88 and found["level"] >= 0.88
    assert found["told"] <= 0.06 or law[1] > 0
