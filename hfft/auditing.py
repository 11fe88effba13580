"""The verb that doubts labels: beside `verbs`, where stages meet, and by the same rules.

It reads predictions a run has already made, and never opens the test split.
"""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import transformers

from hfft import (
    agreements,
    backbones,
    doubting,
    features,
    gathering,
    loading,
    predicting,
    recipe,
    rooms,
    scoring,
    splitting,
    trainer_arguments,
    working,
)
from hfft.doubting import Doubt
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.recipe import Recipe
from hfft.records import OUT_OF_FOLD, Predictions
from hfft.run_folder import RunFolder

HELD_OUT = ("validation", OUT_OF_FOLD, "test")


@working.on("labels")
def labels(name: str, train: bool = False, say: Say = print) -> dict[str, Any]:
    """Rows of a finished run whose label looks wrong; writes suspicious_labels.csv into the run folder.

    Judged are the validation rows and, where the test split has been opened before, the test rows, by the run's model.
    Of a folder of folds: instead of validation all rows that were held out, those of train and of validation. train:
    also the training rows, by logistic regression out of fold on features of the pretrained model. Returns
    {"run", "csv", "splits": split → counts, sentence and scores, "doubts": the CSV's rows, "notes"}.
    """
    folder = RunFolder.existing(name, folds=True)
    if train and folder.members:
        raise InputError(f"the folds of {name} judge the training rows already, as none saw its own; leave --train out")
    wanted = agreements.of_rows(recipe.load(str(folder.root)), "labels")
    if wanted.data.multi_label:
        raise InputError(
            f"{name} tells which of several classes apply, and labels are only doubted where a row has one class; read "
            f"the surest mistakes instead: predictions/test_mistakes.parquet, or the page (hfft report {name})"
        )
    args = trainer_arguments.arguments(wanted, folder, fitting=False)
    if args.process_index:
        say = _silent
    gathering.quiet()
    if train and wanted.data.streaming:
        raise InputError(f"--train needs all training rows at once, and {name} streamed them; leave --train out")
    modality = rooms.find("modalities", wanted.task)
    judged = {split: _once(Predictions.read(folder.predictions(split))) for split in HELD_OUT if _made(folder, split)}
    table, notes = _data(wanted, modality, needed=train)
    if train and table is not None:
        rows = splitting.reopen(table, folder, "train")
        judged["train"] = _out_of_fold(rows, wanted, modality, judged["validation"].names, args, say, notes)
    if args.process_index:
        return {"run": str(folder.root)}
    found = {split: doubting.suspicious(predictions, split) for split, predictions in judged.items()}
    doubts = doubting.ranked(doubt for part in found.values() for doubt in part)
    inputs = _inputs(table, modality, doubts, notes) if table else {}
    target = folder.root / "suspicious_labels.csv"
    doubting.write(target, doubts, inputs)
    for note in notes:
        say(f"  note: {note}")
    splits = {split: _facts(split, judged[split], part, wanted.metrics) for split, part in found.items()}
    listing = [{**vars(doubt), **inputs.get(doubt.id, {})} for doubt in doubts]
    return {"run": str(folder.root), "csv": str(target), "splits": splits, "doubts": listing, "notes": notes}


def _made(folder: RunFolder, split: str) -> bool:
    """Validation predictions every run has, or those of all folds; test predictions only after an opening."""
    first = OUT_OF_FOLD if folder.members else "validation"
    return split == first or (split == "test" and folder.predictions(split).is_file())


def _once(predictions: Predictions) -> Predictions:
    """Each row once: of answers to a row by several models, as where folds are dealt again, the mean."""
    ids, first, place = np.unique(predictions.ids.astype(str), return_index=True, return_inverse=True)
    if len(ids) == predictions.n:
        return predictions
    scores = np.zeros((len(ids), len(predictions.names)))
    np.add.at(scores, place, predictions.scores)
    mean = (scores / np.bincount(place)[:, None]).astype(np.float32)
    return dataclasses.replace(predictions.where(first), scores=mean, predicted=mean.argmax(axis=1))


def _data(wanted: Recipe, modality: ModuleType, needed: bool) -> tuple[loading.Table | None, list[str]]:
    """(the data, []), or (None, [why]) where it is gone and only its texts would have been shown."""
    try:
        return gathering.table(wanted, modality), []
    except InputError as error:
        if needed:
            raise
        return None, [f"the data cannot be read, so the rows are listed without their inputs ({error})"]


def _out_of_fold(
    rows: datasets.Dataset,
    wanted: Recipe,
    modality: ModuleType,
    names: tuple[str, ...],
    args: Any,
    say: Say,
    notes: list[str],
) -> Predictions:
    """Predictions for training rows by models not fitted to them; adds to `notes` what could not be judged."""
    transformers.set_seed(wanted.seed)
    backbone = backbones.load(wanted.model, modality, names)
    say(f"train: {len(rows):,} rows, logistic regression in {doubting.FOLDS} folds on features of {wanted.model.name}")
    if not wanted.model.pretrained:
        notes.append(
            "model.pretrained is false: features of random weights know little, so expect false alarms in train"
        )
    seen = features.extract(backbone, modality, rows, wanted.model, args)
    given = predicting.label_ids(rows["label"][:], names)
    together = doubting.together(rows["key"][:], rows["group"][:] if "group" in rows.column_names else None)
    scores, known = doubting.out_of_fold(seen, given, together, len(names), wanted.seed)
    if left := int((~known).sum()):
        notes.append(
            f"train: {left:,} rows are not judged: the rest of their class is in the same fold, or there is none"
        )
    ids = np.array(rows["id"][:], dtype=object)
    return Predictions(ids[known], given[known], scores[known].argmax(axis=1), scores[known], names)


def _inputs(
    table: loading.Table, modality: ModuleType, doubts: list[Doubt], notes: list[str]
) -> dict[str, dict[str, str]]:
    """Row id → {role: text, or the path of a picture}; a role without any value is left out."""
    place = {row: i for i, row in enumerate(table.rows["id"][:])}
    there = [doubt.id for doubt in doubts if doubt.id in place]
    if missing := len(doubts) - len(there):
        notes.append(f"{missing:,} of {len(doubts):,} rows are not in the data any more: listed without their inputs")
    roles = [role for role in modality.ROLES if role in table.rows.column_names]
    chosen = table.rows.select([place[row] for row in there]).select_columns(roles)
    shown = {row: {role: _shown(cells[role]) for role in roles} for row, cells in zip(there, chosen, strict=True)}
    kept = [role for role in roles if any(cells[role] for cells in shown.values())]
    return {row: {role: cells[role] for role in kept} for row, cells in shown.items()}


def _shown(value: Any) -> str:
    """A text, or the path of an undecoded picture; pictures that were never files have none."""
    return str((value["path"] if isinstance(value, dict) else value) or "")


def _facts(split: str, predictions: Predictions, doubts: list[Doubt], metrics: list[str]) -> dict[str, Any]:
    """Counts and the sentence; for held-out rows also the scores with and without the flagged ones."""
    share = doubting.share(predictions, doubts)
    facts = dataclasses.asdict(share) | {"sentence": doubting.ceiling(split, share)}
    if split not in HELD_OUT or not doubts:
        return facts
    pair = {"as_labelled": predictions, "without_flagged": doubting.without(predictions, doubts)}
    scores = {kind: scoring.score(rows, metrics) for kind, rows in pair.items()}
    return facts | {
        kind: {key: dataclasses.asdict(score) for key, score in part.items() if "[" not in key}
        for kind, part in scores.items()
    }


def _silent(_: str) -> None:
    """Processes other than the first say nothing."""
