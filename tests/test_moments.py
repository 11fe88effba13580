"""Times as numbers: ISO dates and numbers are read, anything that could be read in two ways is refused."""

import datetime

import numpy as np
import pytest

from hfft import moments
from hfft.errors import InputError

DAY = 86_400.0


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["1970-01-02", "1970-01-03T00:00:00", "1970-01-03T02:00:00+02:00"], None),
        (["02/01/1970", "03/01/1970", "03/01/1970"], "%d/%m/%Y"),
        ([datetime.date(1970, 1, 2), datetime.datetime(1970, 1, 3), datetime.datetime(1970, 1, 3)], None),
    ],
)
def test_dates_become_seconds(values, form):
    found, dates = moments.seconds(values, form)
    assert dates and found.tolist() == [DAY, 2 * DAY, 2 * DAY]


def test_numbers_stay_as_they_are():
    for values in ([1, 2.5, 20240101], ["1", "2.5", "20240101"]):
        found, dates = moments.seconds(values, None)
        assert not dates and found.tolist() == [1.0, 2.5, 20240101.0]


def test_what_cannot_be_read_is_missing_not_guessed():
    found, dates = moments.seconds(["2024-03-04", "03/04/2024", "", None, "soon"], None)
    assert dates and np.isnan(found).tolist() == [False, True, True, True, True]
    found, _ = moments.seconds([1.0, None, float("nan")], None)
    assert np.isnan(found).tolist() == [False, True, True]


def test_gaps():
    assert moments.gap(None, True) == 0
    assert moments.gap("7 days", True) == 7 * DAY
    assert moments.gap("12h", True) == DAY / 2
    assert moments.gap(3, False) == moments.gap("3", False) == 3.0


@pytest.mark.parametrize(
    ("gap", "dates", "expected"),
    [
        (7, True, "needs a unit, such as '7 days'"),
        ("a week", True, "'a week' is no duration"),
        ("7 days", False, "expected a number, got '7 days'"),
        (-1, False, "expected 0 or more"),
        ("-3 days", True, "expected 0 or more"),
        (float("nan"), False, "expected 0 or more"),
    ],
)
def test_gaps_that_make_no_sense(gap, dates, expected):
    with pytest.raises(InputError, match=expected):
        moments.gap(gap, dates)
