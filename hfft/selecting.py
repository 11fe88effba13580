"""What `hfft explain` is about: inputs that were typed, rows of validation, and test mistakes that are already kept.

In: a run, and inputs, ids or a number. Out: rows of inputs with their ids and labels. The test split stays sealed: of
its rows only those are taken whose text or thumbnail `hfft eval` has kept, and the ledger gets no line. Like verbs.py,
this is a place where stages meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq

from hfft import erring, gathering, labelsets, loading, splitting, streaming
from hfft.errors import InputError
from hfft.recipe import Recipe
from hfft.records import Predictions, read_json
from hfft.run_folder import RunFolder

SHORTEST = 6  # signs of a row's id that name it
THUMBNAIL = "Explained is the thumbnail that was kept of a test row, not the picture itself."


@dataclass(frozen=True)
class Subject:
    """What is to be explained: one row of inputs, its id, its label where it is known, and what limits it."""

    id: str
    row: dict[str, Any]
    label: str | None = None
    note: str = ""


def subjects(
    folder: RunFolder, wanted: Recipe, modality: ModuleType, inputs: Sequence[Any], ids: Sequence[str], mistakes: int
) -> list[Subject]:
    """Inputs, then rows by the beginnings of their ids, then the surest mistakes on validation.

    Raises InputError where that is nothing, a row is not known, or an input cannot be read.
    """
    gathering.quiet()
    found = _given(list(inputs), modality) + _rows(folder, wanted, modality, ids, mistakes)
    if not found:
        raise InputError("what is to be explained? type texts or picture files, --row ID, or --mistakes 5")
    return found


def _given(inputs: list[Any], modality: ModuleType) -> list[Subject]:
    """Texts, pairs of texts, or pictures; their id is a digest of what they are."""
    if not inputs:
        return []
    rows = modality.as_rows(inputs)
    contents = modality.inspect(rows[:])
    if problem := next((told for told in contents["problem"] if told), None):
        raise InputError(str(problem))
    digests = [hashlib.blake2b(content.encode(), digest_size=6).hexdigest() for content in contents["content"]]
    return [Subject(digest, row) for digest, row in zip(digests, rows, strict=True)]


def _rows(folder: RunFolder, wanted: Recipe, modality: ModuleType, ids: Sequence[str], mistakes: int) -> list[Subject]:
    """Rows by the beginnings of their ids, then the surest mistakes on validation."""
    kept = pq.read_table(folder.mistakes("test")).to_pylist() if folder.mistakes("test").is_file() else []
    stored = {row["id"]: row for row in kept}
    split = pq.read_table(folder.root / "split.parquet", columns=["id", "split"]).to_pylist() if ids else []
    places = {row["id"]: row["split"] for row in split}
    full = [_meant(short, places, stored) for short in ids]
    surest = _surest(folder, mistakes) if mistakes > 0 else []
    needed = [row for row in full if row not in stored] + surest
    found = _validation(folder, wanted, modality, needed) if needed else {}
    return [found.get(row) or _stored(stored[row], modality) for row in [*full, *surest]]


def _surest(folder: RunFolder, most: int) -> list[str]:
    """Ids of the surest mistakes on validation."""
    held = Predictions.read(folder.predictions("validation"))
    wrong = erring.mistakes(held)[0][:most]
    if not len(wrong):
        raise InputError(f"{folder.root}: no mistake on {held.n:,} validation rows; type a text, a file or --row ID")
    return [str(held.ids[i]) for i in wrong]


def _meant(short: str, places: dict[str, str], stored: dict[str, Any]) -> str:
    """The one row whose id begins so, if it may be shown."""
    fitting = [row for row in places if row == short] or [row for row in places if row.startswith(short)]
    if len(short) < SHORTEST or len(fitting) != 1:
        found = f"{len(fitting):,} rows" if fitting else "no row"
        raise InputError(
            f"--row {short}: {found} of this run with such an id; expected at least {SHORTEST} signs of one row's id"
        )
    if places[fitting[0]] != "validation" and fitting[0] not in stored:
        raise InputError(
            f"--row {short} is a row of {places[fitting[0]]}: only validation rows are explained, and test rows whose "
            "text `hfft eval` kept as mistakes; for another, type its text or file"
        )
    return fitting[0]


def _stored(row: dict[str, Any], modality: ModuleType) -> Subject:
    if "text" in modality.ROLES:
        shown = {role: row[role] for role in modality.ROLES if row[role] is not None}
        return Subject(row["id"], shown, row["label"])
    return Subject(row["id"], modality.as_rows([row["image"]])[0], row["label"], THUMBNAIL)


def _validation(folder: RunFolder, wanted: Recipe, modality: ModuleType, ids: Sequence[str]) -> dict[str, Subject]:
    """Validation rows of these ids; InputError when the data has changed since the run."""
    if wanted.data.streaming:
        prints = read_json(folder.split)["fingerprints"]
        survey = streaming.reopened(wanted.data, modality, wanted.split_seed, "validation", prints["validation"])
        rows = survey.splits.parts["validation"]
    else:
        rows = splitting.reopen(loading.read(wanted.data, modality), folder, "validation")
    places = {row: place for place, row in enumerate(rows["id"][:])}
    found = rows.select([places[row] for row in ids])
    named = labelsets.shown if wanted.data.multi_label else str
    roles = [role for role in modality.ROLES if role in rows.column_names]
    return {row["id"]: Subject(row["id"], {role: row[role] for role in roles}, named(row["label"])) for row in found}
