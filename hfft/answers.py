"""A model's answers to changed rows, and to the same rows as they are: cells of `Predictions` in one file.

In: (probe, severity) → predictions. Out: a parquet file, and back. numpy and pyarrow only; it must not know how rows
were changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hfft import mask_records
from hfft.errors import InputError
from hfft.mask_records import MaskPredictions
from hfft.perturbing import DIRECTION
from hfft.records import Predictions, write_whole

Cell = tuple[str, int]
Answers = Any  # Predictions, or MaskPredictions
AS_IT_IS: Cell = ("", 0)
MINIMUM = "minimum functionality"
TEMPLATES = "templates"  # whose severities are the numbers of the templates, from 1


def write(path: Path, cells: Mapping[Cell, Answers]) -> None:
    """Columns: probe, severity, and those of a predictions file."""
    tables = []
    for (probe, severity), predictions in cells.items():
        table, n = predictions.table(), predictions.n
        if "group" not in table.column_names:  # one file, one set of columns: each row is its own group
            table = table.append_column("group", pa.array(predictions.ids.tolist(), pa.string()))
        table = table.append_column("probe", pa.array([probe] * n, pa.string()))
        tables.append(table.append_column("severity", pa.array([severity] * n, pa.int64())))
    write_whole(path, lambda target: pq.write_table(pa.concat_tables(tables, promote_options="default"), target))


def read(path: Path) -> dict[Cell, Answers]:
    """(probe, severity) → answers; raises InputError for a file that is damaged."""
    try:
        table = pq.read_table(path)
        pairs = dict.fromkeys(zip(table["probe"].to_pylist(), table["severity"].to_pylist(), strict=True))
        return {pair: _cell(table, *pair) for pair in pairs}
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        run = path.parent.parent
        raise InputError(
            f"{path} is damaged: delete it, or type `hfft probe {run}` to make it again "
            f"({type(error).__name__}: {error})"
        ) from error


def _cell(table: pa.Table, probe: str, severity: int) -> Answers:
    found = mask_records.of(
        table.filter(pc.and_(pc.equal(table["probe"], probe), pc.equal(table["severity"], severity)))
    )
    alone = found.groups is not None and bool((found.groups == found.ids).all())
    return replace(found, groups=None) if alone else found


def merged(old: Mapping[Cell, Answers], new: Mapping[Cell, Answers], asked: set[str]) -> dict[Cell, Answers]:
    """The new cells, and the old ones of probes that were not `asked` now; of rows as they are, those of both."""
    kept = {cell: part for cell, part in old.items() if cell[0] not in asked and cell != AS_IT_IS}
    if AS_IT_IS not in old or AS_IT_IS not in new:
        first = {AS_IT_IS: old[AS_IT_IS]} if AS_IT_IS in old else {}
        return first | dict(new) | kept
    known = set(new[AS_IT_IS].ids.tolist())
    others = old[AS_IT_IS].where(np.array([row not in known for row in old[AS_IT_IS].ids], dtype=bool))
    return dict(new) | {AS_IT_IS: new[AS_IT_IS].joined(others)} | kept


def beside(reference: Answers, answers: Answers) -> Answers:
    """The rows of `reference` that `answers` are about, in their order."""
    place = {identity: row for row, identity in enumerate(reference.ids)}
    return reference.where(np.array([place[identity] for identity in answers.ids], dtype=np.int64))


def failed(kind: str, before: Answers, after: Answers) -> np.ndarray:
    """Rows on which the model fails a probe, bool (n,): another answer; of a direction, confidence that did not fall.

    before, after: answers to the same rows, as they are and changed. Of minimum functionality: another class than the
    row has; `before` is not asked. Of masks, the share of pixels with another answer, float (n,).
    """
    if kind == MINIMUM:
        return np.asarray((after.predicted != after.labels).reshape(after.n, -1).any(axis=1))
    if isinstance(after, MaskPredictions):
        return after.flipped if after.flipped is not None else np.zeros(after.n)
    if kind == DIRECTION:
        return np.asarray(confidence(before, after) >= confidence(before, before))
    return np.asarray((before.predicted != after.predicted).reshape(before.n, -1).any(axis=1))


def confidence(before: Predictions, after: Predictions) -> np.ndarray:
    """How sure `after` is of what `before` answers, float (n,); where several classes may apply, of its surest one."""
    chosen = before.scores.argmax(axis=1) if before.multi_label else before.predicted
    return np.asarray(after.scores[np.arange(after.n), chosen])
