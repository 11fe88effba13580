"""Columns of the data that scores are told by, such as region: carried beside each row, never shown to a model.

In: a table as `datasets` reads it, and `Data`. Out: the same rows with a column of text for each of `data.slices`. It
must not know what is concluded from them.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

import datasets

from hfft.errors import InputError, brief, listed, meant
from hfft.recipe import Data
from hfft.records import SLICE


def added(
    rows: datasets.Dataset, part: datasets.Dataset, data: Data, roles: Mapping[str, str], shown: str
) -> datasets.Dataset:
    """The rows with a column "slice:NAME" of text, None where it is missing, for each NAME of `data.slices`.

    part: the table as read, row by row. roles: role → its column. shown: the data. Raises InputError for a column that
    is missing, named twice, has a role already, or holds no plain values.
    """
    for place, column in enumerate(data.slices):
        _check(column, part.column_names, data, roles, shown, data.slices[:place])
        feature = part.features[column]
        names = feature.names if isinstance(feature, datasets.ClassLabel) else None
        where = f"{shown}: column {column!r}"
        values = [_text(value, names, row, where) for row, value in enumerate(part[column][:], 1)]
        rows = rows.add_column(SLICE + column, values, feature=datasets.Value("string"))
    return rows


def refuse_folder(data: Data, shown: str) -> None:
    """Raise InputError where there are no columns at all."""
    if data.slices:
        raise InputError(
            f"{shown}: data.slices names {listed(map(repr, data.slices))}, but a folder of pictures has no columns; "
            "write a table of paths, classes and these columns (CSV, JSON or Parquet) and name it in data.path"
        )


def _check(
    column: str, columns: list[str], data: Data, roles: Mapping[str, str], shown: str, before: list[str]
) -> None:
    if column not in columns:
        raise InputError(
            f"{shown}: no column {column!r}{meant(column, columns)} for data.slices; it has {listed(columns)}"
        )
    if column in before:
        raise InputError(f"data.slices names {column!r} twice")
    if column in (data.label_columns or ()):
        raise InputError(f"data.slices: column {column!r} is a class already; scores are told by class anyway")
    for role, taken in roles.items():
        if taken == column:
            told = "; scores are told by class anyway" if role == "label" else ""
            raise InputError(f"data.slices: column {column!r} is the {role} already{told}; leave it out of data.slices")


def _text(value: Any, names: list[str] | None, row: int, where: str) -> str | None:
    """A cell as text: whole floats are the integers they came from, an empty cell is missing."""
    if isinstance(value, (list, dict, bytes)):
        raise InputError(f"{where} holds {brief(value)} in row {row:,}: expected a text or a number for data.slices")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if names is not None:
        return names[value] if value >= 0 else None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value).strip() or None
