"""Rows of a run that a page may show: those to try it with, and the training rows nearest to what is asked.

In: a finished run; the data that its recipe names, where that is still there. Out: a `Shelf`. Test rows come from the
file of mistakes that `hfft eval` kept: reading the test split again would be another look. Like verbs.py, this is a
place where stages meet.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq

from hfft import (
    backbones,
    features,
    gallery,
    gathering,
    likening,
    loading,
    mask_records,
    picture_rows,
    pictures,
    predicting,
    splitting,
    trainer_arguments,
)
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.recipe import Recipe
from hfft.records import Predictions
from hfft.run_folder import RunFolder

ROWS = 1000  # training rows looked at: pictures take a core some minutes
TRIED, WRONG = 5, 3  # validation rows, and kept mistakes, to try
LATER = "The nearest training rows come with a later answer: they are still being read."
NONE = "There are no nearest training rows: "


@dataclass(frozen=True)
class Example:
    """inputs: as the page takes them: texts, or the file of a picture. label: "" of masks."""

    inputs: tuple[str, ...]
    label: str
    origin: str


@dataclass
class Shelf:
    """sentence: where the training rows stand, for people. find: input → its nearest, nearest first, once it is known.

    Written by the one who reads, read by the page: each field is set whole.
    """

    sentence: str = ""
    find: Callable[[Any], list[dict[str, Any]]] | None = None
    examples: list[Example] = field(default_factory=list)
    ready: bool = True


def mistakes(folder: RunFolder, place: Path) -> list[Example]:
    """The surest mistakes on test rows, as the run folder keeps them: of pictures small copies, put at `place`."""
    path = folder.mistakes("test")
    if not path.is_file() or "prediction" not in (table := pq.read_table(path)).column_names:
        return []
    found = []
    for number, row in enumerate(table.slice(0, WRONG).to_pylist()):
        inputs = _texts(row)
        if row["image"]:
            inputs = (
                _file(place / f"mistake-{number}.png", picture_rows.decoded({"bytes": row["image"], "path": None})),
            )
        origin = "test row it got wrong" + ", a small copy" * bool(row["image"])
        found.append(Example(inputs, row["label"], origin))
    return found


def begun(folder: RunFolder, wanted: Recipe, place: Path, rows: int) -> Shelf:
    """A shelf before the data is read: kept mistakes to try. rows: training rows to look at; 0: none is to be read."""
    never = _unread(folder, wanted, rows)
    return Shelf(never or ("" if wanted.masks else LATER), None, mistakes(folder, place), ready=bool(never))


def fill(
    shelf: Shelf, folder: RunFolder, wanted: Recipe, modality: ModuleType, names: tuple[str, ...],
    place: Path, rows: int = ROWS, say: Say = print,
) -> None:  # fmt: skip
    """Read the data once: validation rows to try, and features of up to `rows` training rows. Never raises InputError.

    place: a folder for pictures. Why there are none is said in the shelf's sentence.
    """
    try:
        _fill(shelf, folder, wanted, modality, names, place, rows, say)
    except InputError as error:
        shelf.sentence = f"{NONE}{error}"
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        # A body that is built in another way than `features` knows: as in yardsticks.py, no reason to end.
        shelf.sentence = f"{NONE}this model's body is not understood ({type(error).__name__}: {error})."
    shelf.ready = True
    if shelf.sentence.startswith(NONE):
        say(f"note: {shelf.sentence}")


def held(folder: RunFolder, wanted: Recipe, modality: ModuleType, place: Path) -> list[Example]:
    """A few validation rows, read from the data. Raises InputError where it is not what the run was made with."""
    if why := _unread(folder, wanted, TRIED):
        raise InputError(f"{folder.root}: there are no validation rows to show: {why.removeprefix(NONE)}")
    gathering.quiet()
    names = mask_records.read(folder.predictions("validation")).names
    return _held(gathering.table(wanted, modality), folder, wanted, names, place)


def _unread(folder: RunFolder, wanted: Recipe, rows: int) -> str:
    """Why the data is not read at all; "" where it is."""
    if folder.members:
        return f"{NONE}every row was a training row of some folds, and held out by others."
    if wanted.data.streaming:
        return f"{NONE}they were streamed, and none is kept."
    return f"{NONE}--neighbours 0 was asked for." if not rows else ""


def _fill(
    shelf: Shelf, folder: RunFolder, wanted: Recipe, modality: ModuleType, names: tuple[str, ...],
    place: Path, rows: int, say: Say,
) -> None:  # fmt: skip
    gathering.quiet()
    table = gathering.table(wanted, modality)
    shelf.examples = [*_held(table, folder, wanted, names, place), *shelf.examples]
    if modality.MASKS:  # a pixel has no features of its own before the head
        shelf.sentence = ""
        return
    train = splitting.reopen(table, folder, "train")
    chosen = _drawn(train, rows, wanted.seed)
    args = trainer_arguments.arguments(wanted, folder, fitting=False)
    backbone, eyes = _eyes(folder, wanted, modality, names)
    say(f"nearest training rows: reading {len(chosen):,} of {len(train):,}, as {eyes}")
    known = features.extract(backbone, modality, chosen, wanted.model, args)
    labels, lock = _labels(chosen, names, wanted), threading.Lock()

    def find(item: Any) -> list[dict[str, Any]]:
        with lock:
            asked = features.extract(backbone, modality, modality.as_rows([item]), wanted.model, args)
        near, similarity = likening.nearest(asked, known)
        return [
            _shown(modality.preview(chosen[place]), labels[place], alike)
            for place, alike in zip(near[0].tolist(), similarity[0].tolist(), strict=True)
        ]

    shelf.find = find
    some_of = f"a random {len(chosen):,} of" if len(chosen) < len(train) else "all"
    shelf.sentence = f"Among {some_of} {len(train):,} training rows, as {eyes}."


def _eyes(
    folder: RunFolder, wanted: Recipe, modality: ModuleType, names: tuple[str, ...]
) -> tuple[backbones.Backbone, str]:
    """(the model whose features are compared, who that is): the pretrained one, which was never fitted to the labels.

    Where it cannot be had, or was random, the run's own model.
    """
    why = "and the pretrained one is not here"
    if wanted.model.pretrained:
        try:
            return backbones.load(wanted.model, modality, names), "the pretrained model sees them"
        except InputError:
            pass
    else:
        why = "and what it began with knew nothing"
    own = "this model sees them: it draws rows of one class together"
    return backbones.reload(folder.model, modality), f"{own}, {why}"


def _held(
    table: loading.Table, folder: RunFolder, wanted: Recipe, names: tuple[str, ...], place: Path
) -> list[Example]:
    """A few validation rows, the same each time."""
    rows = _drawn(splitting.reopen(table, folder, "validation"), TRIED, wanted.seed)
    labels = [""] * len(rows) if wanted.masks else _labels(rows, names, wanted)
    found = []
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        inputs = _texts(row)
        if "image" in row:
            inputs = (_file(place / f"validation-{number}.png", picture_rows.decoded(row["image"])),)
        found.append(Example(inputs, label, "validation row"))
    return found


def _drawn(rows: datasets.Dataset, n: int, seed: int) -> datasets.Dataset:
    return rows.select(np.sort(np.random.default_rng(seed).permutation(len(rows))[:n]))


def _labels(rows: datasets.Dataset, names: tuple[str, ...], wanted: Recipe) -> list[str]:
    given = predicting.label_ids(rows["label"][:], names, wanted.data.multi_label)
    if given.ndim == 1:
        return [names[row] for row in given]
    blank = Predictions(np.array([]), given, given, np.zeros(given.shape), names)
    return [blank.shown(row) for row in given]


def _texts(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[role] for role in ("text", "text_pair") if row.get(role) is not None)


def _file(path: Path, image: Any) -> str:
    path.write_bytes(pictures.png(image))
    return str(path)


def _shown(preview: dict[str, Any], label: str, similarity: float) -> dict[str, Any]:
    shown = {role: readable(preview[role]) for role in ("text", "text_pair")}
    return shown | {"src": gallery.data_uri(preview["image"]), "label": label, "similarity": similarity}


def readable(text: str | None) -> str | None:
    """A text for people, cut. Data taken from web pages has "&amp;" for "&"; the model reads it as it is."""
    return gallery.cut(text and html.unescape(text))
