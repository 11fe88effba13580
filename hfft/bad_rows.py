"""Rows that cannot be used, as a sentence for people.

In: row → why, and how many rows each part of the data has. Out: text. It must not know what the rows hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hfft.errors import counted
from hfft.recipe import Data

SHOWN = 5
DEALING = {  # columns that say how rows are dealt, and are no input → what is wrong with a value that is not there
    "group": "missing",
    "time": "missing or no date or number (see data.split.time_format)",
}


def undealt(rows: Any) -> dict[int, str]:
    """Row → why, of those whose group or time is not there. rows: a `datasets.Dataset` that may have these columns."""
    out: dict[int, str] = {}
    for role in (role for role in DEALING if role in rows.column_names):
        for i, value in enumerate(rows[role][:]):
            if value is None or (role == "time" and math.isnan(value)):
                out.setdefault(i, f"the {role} is {DEALING[role]}")
    return out


def sentence(bad: Mapping[int, str], sizes: Mapping[str, int], what: str, named: bool = False) -> str:
    """The first few unusable rows, by number, and by split where there are several; not by number where they are
    `named`: files that their reasons name."""
    first = "; ".join(why if named else f"{place(index, sizes)}: {why}" for index, why in list(bad.items())[:SHOWN])
    more = f"; and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    return f"{what}: {counted(len(bad), 'row')} cannot be used ({first}{more})"


def place(index: int, sizes: Mapping[str, int]) -> str:
    """A row as a person finds it: "row 3", or "test row 3" where there are several splits.

    >>> place(12, {"train": 10, "test": 5})
    'test row 3'
    """
    if len(sizes) < 2:
        return f"row {index + 1}"
    for name, size in sizes.items():
        if index < size:
            return f"{name} row {index + 1}"
        index -= size
    raise IndexError(index)


def refusal(dropped: str, data: Data, named: bool = False) -> str:
    """What to do about the rows that `dropped` tells of, where `data.on_bad_rows` is fail."""
    files = data.data_files.values() if isinstance(data.data_files, dict) else [data.data_files]
    many = any(isinstance(names, list) and len(names) > 1 for names in files)
    count = "" if named else f"Rows count from 1{' on through the files in their order' * many}, a header not counted. "
    return f"{dropped}. {count}Mend them, or leave them out with data.on_bad_rows=drop"
