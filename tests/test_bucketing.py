"""Attributes as few values with names: quarters of the rows, ties together, names that people can read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft.bucketing import MISSING, MOST, bucketed

NUMBERS = st.lists(st.one_of(st.integers(-50, 50).map(float), st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=80)


@given(NUMBERS)
def test_equal_numbers_are_in_one_bucket_and_buckets_are_in_order(numbers):
    column = np.array(numbers, dtype=float)
    made = bucketed(column, "words")
    known = ~np.isnan(column)
    assert len(made.codes) == len(column) and len(set(made.values)) == len(made.values)
    assert set(made.codes.tolist()) == set(range(len(made.values)))  # no row without a bucket, no bucket without a row
    assert (made.values[-1:] == (MISSING,)) == bool((~known).any())
    order = np.argsort(column[known], kind="stable")
    assert (np.diff(made.codes[known][order]) >= 0).all()
    for number in set(column[known].tolist()):
        assert len(set(made.codes[column == number].tolist())) == 1


@given(st.integers(8, 400))
def test_buckets_of_different_numbers_are_quarters(n):
    sizes = np.bincount(bucketed(np.random.default_rng(n).permutation(n).astype(float)).codes)
    assert len(sizes) == 4 and sizes.max() - sizes.min() <= 1


@given(st.integers(8, 400), st.floats(1e-3, 1e6), st.floats(-1e3, 1e3))
def test_edges_that_are_rounded_still_make_quarters_of_a_sort(n, scale, start):
    """And the rows of a bucket are those its name says: the edges are rounded first."""
    numbers = start + scale * np.random.default_rng(n).random(n)
    made = bucketed(numbers)
    sizes = np.bincount(made.codes)
    assert len(sizes) == 4 and sizes.min() >= 0.2 * n - 1
    if made.values[0].startswith("below"):
        edge = float(made.values[0].removeprefix("below ").replace(",", ""))
        assert ((numbers < edge) == (made.codes == 0)).all()


@pytest.mark.parametrize(
    ("numbers", "unit", "expected"),
    [
        ([1, 1, 2, 2, 3, 3, 1200, 1300], "words", ("1 word", "2 words", "3 words", "1,200 words or more")),
        ([0] * 8 + [2.5, 30.25], "%", ("0 %", "2.5 % or more")),
        ([0.1, 0.1, 0.1, 0.101, 0.101, 0.102], "", ("0.1", "0.101", "0.102")),
        (np.linspace(12.3, 92.7, 81), "%", ("below 32 %", "32 to 52 %", "52 to 73 %", "73 % or more")),
        (
            np.linspace(1000.5, 1001.3, 81),
            "",
            ("below 1,000.7", "1,000.7 to 1,000.9", "1,000.9 to 1,001.1", "1,001.1 or more"),
        ),
        ([7] * 5, "words", ("7 words",)),
    ],
)
def test_names_say_what_is_in_a_bucket(numbers, unit, expected):
    assert bucketed(np.array(numbers, dtype=float), unit).values == expected


def test_of_many_names_the_most_frequent_are_looked_at():
    column = np.array([f"n{i}" for i in range(200) for _ in range(1 + (i == 150))], dtype=object)
    made = bucketed(column)
    assert made.distinct == 200 and len(made.values) == MOST and made.values[0] == "n150"
    assert (made.codes == -1).sum() == 150
    assert bucketed(np.array([], dtype=object)).values == bucketed(np.array([])).values == ()
