"""A column of times as numbers, and a gap in the same unit.

In: what a table holds under `time`: dates, numbers or texts. Out: float seconds (or the numbers as they are). A date
that could be read in two ways is refused rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from hfft.errors import InputError
from hfft.records import SPLITS

SOME = 0.05  # share of unreadable times that are slips; more are another format
FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M")
EXAMPLE = "data.split.time_format='%d/%m/%Y'"


def seconds(values: Sequence[Any], form: str | None) -> tuple[np.ndarray, bool]:
    """(float (n,), NaN where a value is missing or unreadable; whether they are dates, hence in seconds).

    form: strptime format of texts; without one, texts are numbers or ISO 8601 dates, UTC unless they say otherwise.
    """
    import pandas

    column = pandas.Series(list(values), dtype="object")
    if form is None:
        numbers = pandas.to_numeric(column, errors="coerce")
        if 2 * numbers.notna().sum() >= column.notna().sum() and not _dates(column):  # a date is never a number
            return numbers.to_numpy(dtype=float), False
    texts = column.map(lambda value: value.isoformat() if hasattr(value, "isoformat") else value)
    try:
        read = pandas.to_datetime(texts, format=form or "ISO8601", utc=True, errors="coerce")
    except (ValueError, re.error) as error:  # re's: the same directive twice
        raise InputError(f"data.split.time_format: {' '.join(str(error).split())}; type {EXAMPLE}") from error
    known = read.notna().to_numpy()
    _refuse_another_format(texts, known, form)
    out = np.full(len(column), np.nan)
    out[known] = (read[known] - pandas.Timestamp(0, tz="UTC")) / pandas.Timedelta(seconds=1)
    return out, True


def _refuse_another_format(texts: Any, known: np.ndarray, form: str | None) -> None:
    """Raise InputError where many texts are no such dates: leaving them out would leave the misread ones in."""
    import pandas

    given = texts.notna().to_numpy() & (texts.astype(str).str.strip() != "").to_numpy()
    odd = given & ~known
    if odd.sum() <= SOME * given.sum():
        return
    fitting = [one for one in FORMATS if pandas.to_datetime(texts[given], format=one, errors="coerce").notna().all()]
    typed = f"type data.split.time_format='{fitting[0]}'" if fitting else f"say how they are written, such as {EXAMPLE}"
    also = f" ({' or '.join(fitting)} fit all rows: you know which)" if len(fitting) > 1 else ""
    raise InputError(
        f"data.columns.time: {int(odd.sum()):,} of {int(given.sum()):,} times are not {form or 'ISO 8601 dates'}, such "
        f"as {texts[odd].iloc[0]!r}; {typed}{also}"
    )


def gap(text: str | float | None, dates: bool) -> float:
    """The gap in the unit of the times: "7 days" or "12h" for dates, a number for numbers."""
    import pandas

    if text is None:
        return 0.0
    try:
        value = float(text)
        if dates:
            raise InputError(
                f"data.split.gap: the times are dates, so {text!r} needs a unit, such as '7 days' or '12h'"
            )
    except ValueError:
        if not dates:
            raise InputError(f"data.split.gap: the times are numbers: expected a number, got {text!r}") from None
        try:
            value = pandas.Timedelta(text).total_seconds()
        except ValueError as error:
            raise InputError(f"data.split.gap: {text!r} is no duration; type '7 days' or '12h'") from error
    if not 0 <= value < float("inf"):
        raise InputError(f"data.split.gap: expected 0 or more, got {text!r}")
    return value


def _dates(column: Any) -> bool:
    return any(hasattr(value, "isoformat") for value in column)


def spans(times: np.ndarray, places: Sequence[str], dates: bool) -> str:
    """From when to when each split runs, as a sentence."""
    import pandas

    where = np.asarray(places, dtype=object)

    def shown(value: float) -> str:
        return pandas.Timestamp(value, unit="s").isoformat().removesuffix("T00:00:00") if dates else f"{value:g}"

    names = [name for name in SPLITS if (where == name).any()]
    ends = {name: (times[where == name].min(), times[where == name].max()) for name in names}
    return "times: " + ", ".join(f"{name} {shown(first)} to {shown(last)}" for name, (first, last) in ends.items())
