"""A label column, or one column per class, as class names.

In: a table as `datasets` reads it, and `Data`. Out: a name per row or, with `data.multi_label`, the text of a set of
names (see labelsets.py); None where the label is missing. What could be meant in two ways is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import datasets

from hfft import labelsets
from hfft.errors import InputError, brief, listed, meant
from hfft.recipe import Data

EXACT = 2.0**53  # whole numbers from here on are no longer told apart
SEPARATORS = ("|", ";", ",")
LIST = re.compile(r"\s*\[[^\[\]]*\]\s*")  # a list written as text; names such as [UNK]|[OOV] are none
FLAGS = {"0": False, "1": True, "false": False, "true": True}


def read(
    part: datasets.Dataset, column: str | None, data: Data, shown: str
) -> tuple[list[str | None], tuple[str, ...]]:
    """(label of each row, the class order that the data declares or ()).

    column: of the label, None with `data.label_columns`. shown: the data. Raises InputError for what is no label.
    """
    if column is None:
        return _of_columns(part, data.label_columns or [], shown)
    feature, values, where = part.features[column], part[column][:], f"{shown}: column {column!r}"
    inner = getattr(feature, "feature", feature) if data.multi_label else feature
    declared = tuple(inner.names) if isinstance(inner, datasets.ClassLabel) else ()
    if data.multi_label:
        return _sets(values, declared, data.label_separator, where), declared
    return names_of(values, declared, where), declared


def names_of(values: list[Any], declared: tuple[str, ...], where: str) -> list[str | None]:
    """Labels as class names, None where missing. Whole floats are the integers they came from."""
    out: list[str | None] = []
    for row, value in enumerate(values, 1):
        if isinstance(value, (list, dict, bytes)):
            several = "; where several may apply, type data.multi_label=true" * isinstance(value, list)
            raise InputError(
                f"{where} holds {type(value).__name__} in row {row:,}: expected one class per row{several}"
            )
        out.append(_name(value, declared, where, row))
    return out


def plural(labels: Sequence[str | None], data: Data) -> bool:
    """Whether some row has more than one class, as `data.multi_label` says."""
    return data.multi_label and any(label and len(labelsets.names(label)) > 1 for label in set(labels))


def check(several: bool, data: Data, shown: str) -> tuple[str, ...]:
    """Sentences on labels that look like one class per row. several: whether any row has more, see `plural`.

    Raises InputError where the separator separates nothing.
    """
    if several or not data.multi_label:
        return ()
    if data.label_separator is not None:
        raise InputError(
            f"{shown}: no row has two classes: {data.label_separator!r} stands in no label. Type another "
            "data.label_separator, or leave it and data.multi_label out"
        )
    return ("no row has two classes: data.multi_label may not be what this data needs",)


def renamed(labels: Sequence[str | None], mapping: Mapping[str, str | None]) -> tuple[list[str | None], int]:
    """(sets with their classes as `mapping` names them, rows that lose a class because it gets no name)."""
    out: list[str | None] = []
    lost = 0
    for label in labels:
        names = [mapping.get(name, name) for name in labelsets.names(label)] if label is not None else []
        lost += None in names
        out.append(None if label is None else labelsets.text(name for name in names if name is not None))
    return out, lost


def _name(value: Any, declared: tuple[str, ...], where: str, row: int) -> str | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if declared:
        return declared[value] if value >= 0 else None
    if isinstance(value, float) and not (value.is_integer() and abs(value) < EXACT):
        raise InputError(f"{where} holds {value:g} in row {row:,}: expected classes, not measurements")
    return str(int(value)) if isinstance(value, float) else str(value).strip() or None


def _sets(values: list[Any], declared: tuple[str, ...], separator: str | None, where: str) -> list[str | None]:
    """The text of each row's set, None where it is missing."""
    if not declared:
        _refuse_vectors(values, where)
    out: list[str | None] = []
    for row, value in enumerate(values, 1):
        if value is None:  # a table of texts has no other way to write that no class applies; one of lists has []
            out.append(None if separator is None else labelsets.text(()))
            continue
        members = value if isinstance(value, list) else _members(value, separator, where, row)
        found = [None if isinstance(one, (list, dict, bytes)) else _name(one, declared, where, row) for one in members]
        if None in found:
            what = f"{where} holds {brief(value)} in row {row:,}"
            raise InputError(f"{what}: expected class names, or an empty list where none applies")
        out.append(labelsets.text(name for name in found if name))
    return out


def _members(value: Any, separator: str | None, where: str, row: int) -> list[Any]:
    """The classes within a cell."""
    if isinstance(value, str) and separator is not None and not LIST.fullmatch(value):
        return [one.strip() for one in value.split(separator) if one.strip()]
    what = f"{where} holds {brief(value)} in row {row:,}"
    if isinstance(value, (dict, bytes)):
        raise InputError(f"{what}: expected a list of classes")
    if not isinstance(value, str) and separator is None:
        raise InputError(
            f"{what}: expected a list of classes; type data.label_columns=[NAME, NAME] where each class has a column "
            "of 0 and 1, or leave data.multi_label out where a row has one class"
        )
    cell = str(value).strip()
    if LIST.fullmatch(cell):
        raise InputError(f"{what}, a list written as text; save the data as JSON or Parquet, which hold lists")
    if separator is None:
        guess = next((sign for sign in SEPARATORS if sign in cell), "|")
        raise InputError(
            f"{what}: expected a list of classes; where a sign stands between them, type data.label_separator={guess!r}"
        )
    return [one.strip() for one in cell.split(separator) if one.strip()]


def _refuse_vectors(values: list[Any], where: str) -> None:
    """Raise InputError for vectors of 0 and 1: read as numbers of classes they would mean something else."""
    rows = [value for value in values if value is not None]
    if not rows or not all(isinstance(row, list) and all(one in (0, 1) for one in row) for row in rows):
        return
    if not any(isinstance(one, (bool, int, float)) for row in rows for one in row):
        return
    lengths = {len(row) for row in rows}
    if any(len(set(row)) < len(row) for row in rows) or (len(lengths) == 1 and max(lengths) > 1):
        raise InputError(
            f"{where} holds lists of 0 and 1, {max(lengths)} long: is it one place per class, or the numbers of the "
            "classes? Write the classes' names, or give each class a column and type data.label_columns=[NAME, NAME]"
        )


def _of_columns(part: datasets.Dataset, columns: list[str], shown: str) -> tuple[list[str | None], tuple[str, ...]]:
    have = part.column_names
    for column in columns:
        if column not in have:
            raise InputError(
                f"{shown}: no column {column!r}{meant(column, have)}, which data.label_columns names; it has "
                f"{listed(have)}"
            )
    flags = [_flags(part[column][:], f"{shown}: column {column!r}") for column in columns]
    out: list[str | None] = []
    for row in zip(*flags, strict=True):
        whole = None not in row
        out.append(labelsets.text(n for n, applies in zip(columns, row, strict=True) if applies) if whole else None)
    return out, tuple(columns)


def _flags(values: list[Any], where: str) -> list[bool | None]:
    """Whether a class applies, None where that is missing."""
    out: list[bool | None] = []
    for row, value in enumerate(values, 1):
        plain = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip().casefold()
        if value is None or plain in ("", "nan"):
            out.append(None)
        elif plain in FLAGS:
            out.append(FLAGS[plain])
        else:
            raise InputError(f"{where} holds {brief(value)} in row {row:,}: expected 0 or 1, or true or false")
    return out
