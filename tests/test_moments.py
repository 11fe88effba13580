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


def refused(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_what_cannot_be_read_is_said_word_by_word():
    assert refused(moments.gap, 7, True) == (
        "data.split.gap: the times are dates, so 7 needs a unit, such as '7 days' or '12h'"
    )
    assert refused(moments.gap, "a week", True) == "data.split.gap: 'a week' is no duration; type '7 days' or '12h'"
    assert refused(moments.gap, "7 days", False) == (
        "data.split.gap: the times are numbers: expected a number, got '7 days'"
    )
    for gap in (-1, float("inf")):
        assert refused(moments.gap, gap, False) == f"data.split.gap: expected 0 or more, got {gap!r}"
    assert moments.gap(0, False) == 0
    days = [f"{day:02d}/05/2025" for day in range(1, 31)]
    assert refused(moments.seconds, [*days, None, " "], None) == (
        "data.columns.time: 30 of 30 times are not ISO 8601 dates, such as '01/05/2025'; "
        "type data.split.time_format='%d/%m/%Y'"
    )
    assert refused(moments.seconds, ["01/02/2025", "03/04/2025"], None).endswith(
        "; type data.split.time_format='%d/%m/%Y' (%d/%m/%Y or %m/%d/%Y fit all rows: you know which)"
    )
    assert refused(moments.seconds, ["soon", "later"], None) == (
        "data.columns.time: 2 of 2 times are not ISO 8601 dates, such as 'soon'; "
        "say how they are written, such as data.split.time_format='%d/%m/%Y'"
    )
    assert "1 of 1 times are not %d/%m/%Y, such as '2024-05-31'" in refused(moments.seconds, ["2024-05-31"], "%d/%m/%Y")
    for form in ("%Y %Y", "%Q"):
        said = refused(moments.seconds, ["2024"], form)
        assert said.startswith("data.split.time_format: ") and said.endswith("; type data.split.time_format='%d/%m/%Y'")


def test_up_to_one_unreadable_time_in_twenty_is_a_slip():
    for good, refuse in ((19, False), (18, True)):
        values = [f"2024-03-{day:02d}" for day in range(1, good + 1)] + ["soon"]
        if refuse:
            assert "1 of 19 times" in refused(moments.seconds, values, None)
        else:
            assert np.isnan(moments.seconds(values, None)[0]).tolist() == [False] * 19 + [True]


def test_a_column_is_of_numbers_when_half_of_it_are():
    assert moments.seconds(["1", "2024-01-01"], None)[1] is False
    assert moments.seconds(["1", "2024-01-01", "2024-01-02"] + ["2024-01-03"] * 30, None)[1] is True
    found, dates = moments.seconds([datetime.date(1970, 1, 2)] * 3, None)
    assert dates and found.tolist() == [DAY] * 3


def test_a_zone_is_heeded_and_utc_is_what_nobody_says():
    found, dates = moments.seconds(["1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00", "1970-01-01T00:00:01.5Z"], None)
    assert dates and found.tolist() == [0.0, 0.0, 1.5]


def test_spans_leave_out_splits_without_rows_and_show_the_hour():
    times = np.array([3600.0, DAY, 2 * DAY + 60])
    assert moments.spans(times, ["train", "train", "test"], True) == (
        "times: train 1970-01-01T01:00:00 to 1970-01-02, test 1970-01-03T00:01:00 to 1970-01-03T00:01:00"
    )
    assert moments.spans(np.array([0.5, 10.0, 7.25]), ["test", "train", "train"], False) == (
        "times: train 7.25 to 10, test 0.5 to 0.5"
    )
