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
    days = [f"2024-03-{day:02d}" for day in range(1, 31)]
    found, dates = moments.seconds([*days, "03/04/2024", "", None], None)
    assert dates and np.flatnonzero(np.isnan(found)).tolist() == [30, 31, 32]
    found, _ = moments.seconds([1.0, None, float("nan")], None)
    assert np.isnan(found).tolist() == [False, True, True]


def test_another_way_of_writing_dates_is_named_not_left_out():
    days = [f"{day:02d}/05/2025" for day in range(1, 31)]
    with pytest.raises(InputError) as caught:
        moments.seconds(days, None)
    said = str(caught.value)
    assert "30 of 30 times are not ISO 8601 dates, such as '01/05/2025'" in said
    assert "type data.split.time_format='%d/%m/%Y'" in said and "%m/%d/%Y" not in said
    with pytest.raises(InputError, match=r"18 of 30 times are not %m/%d/%Y, such as '13/05/2025'"):
        moments.seconds(days, "%m/%d/%Y")
    with pytest.raises(InputError, match=r"%d/%m/%Y or %m/%d/%Y fit all rows: you know which"):
        moments.seconds(["01/02/2025", "03/04/2025"], None)
    with pytest.raises(InputError, match="say how they are written"):
        moments.seconds(["soon", "later"], None)


def test_spans_say_from_when_to_when():
    times = np.array([0.0, 1.0, 2.0, 3.0]) * DAY
    assert moments.spans(times, ["train", "train", "", "test"], True) == (
        "times: train 1970-01-01 to 1970-01-02, test 1970-01-04 to 1970-01-04"
    )
    assert moments.spans(times / DAY, ["train"] * 4, False) == "times: train 0 to 3"


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
