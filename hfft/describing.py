"""What each test row is like, beside what the model said of it: the attributes that slices are made by.

In: rows, their modality, a processor. Out: predictions/<split>_attributes.parquet, one column per attribute, text or
numbers. It must not know predictions or labels: an attribute that knew them would find whatever it likes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft.records import SLICE, write_whole

FEW = 12  # different numbers that are still taken for names, such as stars or a year


def write(rows: datasets.Dataset, modality: ModuleType, processor: Any, path: Path) -> None:
    """Columns: id, what the modality sees in its inputs, and "slice:NAME" for each column of `data.slices`."""
    columns: dict[str, Any] = {"id": pa.array(rows["id"][:], pa.string())}
    columns |= {name: pa.array(values) for name, values in modality.attributes(rows, processor).items()}
    for name in rows.column_names:
        if name.startswith(SLICE):
            columns[name] = column(rows[name][:])
    write_whole(path, lambda target: pq.write_table(pa.table(columns), target))


def column(values: Sequence[str | None]) -> pa.Array:
    """Text (n,) as numbers where all of it is, and there are more than a few; else as it is.

    >>> column(["1.5", None, *map(str, range(20))]).type, column(["1", "2", "2"]).type
    (DataType(double), DataType(string))
    """
    known = {value: _number(value) for value in set(values) if value is not None}
    if len(known) <= FEW or any(math.isnan(number) for number in known.values()):
        return pa.array(values, pa.string())
    return pa.array(np.array([math.nan if value is None else known[value] for value in values]))


def _number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan
