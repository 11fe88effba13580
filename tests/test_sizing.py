"""What a number of test rows can tell: against published formulas, simulated tests and worked examples."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from hfft import sizing
from hfft.intervals import wilson

# rows: half-width at accuracy 0.9, then the smallest difference at discordance 5, 10 and 20 %, all in points.
TABLE = {
    100: (6.0, None, 8.8, 12.4),
    200: (4.2, 4.4, 6.2, 8.8),
    500: (2.6, 2.8, 4.0, 5.6),
    1000: (1.9, 2.0, 2.8, 4.0),
    2000: (1.3, 1.4, 2.0, 2.8),
    5000: (0.8, 0.9, 1.3, 1.8),
    10000: (0.6, 0.6, 0.9, 1.3),
}


def counts(test: dict[str, int], times: int = 4) -> dict[str, dict[str, int]]:
    """Splits in which train has `times` the rows of test, and validation as many."""
    return {"train": {name: times * n for name, n in test.items()}, "validation": dict(test), "test": test}


@pytest.mark.parametrize("rows", TABLE)
def test_the_table_of_what_a_test_set_can_tell(rows):
    width, *differences = TABLE[rows]
    assert 100 * sizing.half_width(rows, 0.9) == pytest.approx(width, abs=0.05)
    for discordance, expected in zip(sizing.DISCORDANCES, differences, strict=True):
        found = sizing.smallest_difference(rows, discordance)
        assert (found and 100 * found) == (expected and pytest.approx(expected, abs=0.051))


@given(st.integers(50, 100_000), st.floats(0.02, 0.5))
def test_the_solution_gives_the_number_of_rows_back(rows, discordance):
    """Connor's formula, as published, at the difference found."""
    found = sizing.smallest_difference(rows, discordance)
    if found is None:
        # At the largest difference there can be, more rows are still asked for.
        needed = (norm.ppf(0.975) * discordance**0.5 + norm.ppf(0.8) * (discordance - discordance**2) ** 0.5) ** 2
        assert needed / discordance**2 > rows * (1 - 1e-9)
        return
    root = norm.ppf(0.975) * discordance**0.5 + norm.ppf(0.8) * (discordance - found**2) ** 0.5
    assert root**2 / found**2 == pytest.approx(rows, rel=1e-6)


@pytest.mark.parametrize(("rows", "discordance"), [(1000, 0.10), (500, 0.20)])
def test_simulated_tests_see_the_difference_four_times_in_five(rows, discordance):
    """McNemar's mid-p test on 20,000 simulated pairs of models; Monte Carlo error 0.3 points."""
    difference = sizing.smallest_difference(rows, discordance)
    rng = np.random.default_rng(0)
    split = rng.binomial(rows, discordance, 20_000)
    first = rng.binomial(split, 0.5 + difference / discordance / 2)
    lesser = np.minimum(first, split - first)
    p = np.where(2 * lesser == split, 1.0, 2 * binom.cdf(lesser, split, 0.5) - binom.pmf(lesser, split, 0.5))
    assert np.mean(p <= 0.05) == pytest.approx(0.80, abs=0.015)


@given(st.integers(10, 5_000), st.integers(1, 5_000), st.sampled_from((0.05, 0.1, 0.2)), st.floats(0.5, 0.99))
def test_more_rows_never_tell_less(rows, more, discordance, share):
    assert sizing.half_width(rows + more, share) < sizing.half_width(rows, share)
    few, many = (sizing.smallest_difference(n, discordance) for n in (rows, rows + more))
    assert few is None or (many is not None and many < few <= discordance)


@pytest.mark.parametrize(("rows", "share"), [(30, 0.8), (150, 0.9), (2000, 0.85)])
def test_the_width_is_the_expected_one(rows, share):
    """Averaged over the successes that may come, the width is within 3 % of the one at the expected number."""
    hits = np.arange(rows + 1)
    widths = np.array([np.subtract(*wilson(int(k), rows)[::-1]) / 2 for k in hits])
    assert sizing.half_width(rows, share) == pytest.approx(widths @ binom.pmf(hits, rows, share), rel=0.03)


def test_the_page_shows_these_numbers():
    page = (Path(__file__).parent.parent / "docs" / "check.md").read_text(encoding="utf-8")
    for rows, (width, *differences) in TABLE.items():
        cells = ["none shows" if found is None else f"{found:.1f}" for found in differences]
        assert f"| {rows:,} | ±{width:.1f} | {' | '.join(cells)} |" in page
    for sentence in sizing.assess(counts({"negative": 632, "neutral": 573, "positive": 269})).sentences:
        assert f"- {sentence}\n" in page


def test_a_small_test_split_in_words():
    found = sizing.assess(counts({"spam": 60, "ham": 90}))
    assert found.sentences == (
        "With 150 test rows the accuracy will be known to about ±6.4 points if it is near 0.8, ±4.8 near 0.9.",
        "A difference below 7.2 points between two models will not show "
        "(10% of the rows decided differently; at 5%: none shows, at 20%: 10.1).",
        "k-fold cross-validation would test all 900 rows once: ±2.6 points at best, since folds share training rows. "
        "Worth it here: ±6.4 points is wider than most differences between models.",
    )
    assert found.folds.rows == 900 and found.folds.half_width == sizing.half_width(900, 0.8)


def test_rare_classes_are_named_smallest_first():
    found = sizing.assess(counts({"a": 2000, "b": 29, "c": 7, "d": 30, "e": 0}))
    assert found.small_classes == ("e", "c", "b")
    assert found.recall["e"] is None and found.recall["c"] == pytest.approx(0.2608, abs=1e-4)
    assert any("3 classes have fewer than 30 test rows" in line and "e (0), c (7), b (29)" in line
               for line in found.sentences)  # fmt: skip
    assert found.folds.advised and "2 classes have fewer than 30 test rows, but more in all" in found.folds.why


def test_k_fold_is_advised_where_it_helps_and_can_be_paid_for():
    assert not sizing.assess(counts({"a": 1000, "b": 1000})).folds.advised, "known well enough"
    assert sizing.assess(counts({"a": 1000, "b": 20})).folds.advised, "120 rows of b would be tested"
    assert not sizing.assess(counts({"a": 1000, "b": 4})).folds.advised, "24 rows of b are few either way"
    assert not sizing.assess(counts({"a": 10_000, "b": 20})).folds.advised, "60,000 rows, k times over"


def test_what_a_model_reached_replaces_the_guess():
    found = sizing.assess(counts({"a": 500, "b": 500}), accuracy=0.97)
    assert list(found.accuracy) == ["0.97"] and found.accuracy["0.97"] == sizing.half_width(1000, 0.97)
    assert "if it is near 0.97, as on validation." in found.sentences[0]


def test_accuracies_below_the_majority_class_are_not_reckoned_with():
    found = sizing.assess(counts({"ham": 980, "spam": 20}))
    assert list(found.accuracy) == ["0.98", "0.99"]


def test_it_is_plain_data():
    found = dataclasses.asdict(sizing.assess(counts({"a": 3, "b": 1})))
    assert json.loads(json.dumps(found))["smallest_difference"] == {"0.05": None, "0.10": None, "0.20": None}
    assert "No difference between two models will show" in found["sentences"][1]
