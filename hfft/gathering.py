"""Rows for the verbs: read, dealt and guarded, from memory or from a stream.

In: a recipe, or the folder of a run. Out: splits before training, training rows once there is a model, test rows when
`hfft eval` opens them. Like verbs.py, this is a place where stages meet.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, cast

import datasets
import numpy as np

from hfft import (
    answering,
    class_texts,
    class_weights,
    gating,
    labelsets,
    loading,
    perturbing,
    precisions,
    predicting,
    remedies,
    resampling,
    robustness,
    rooms,
    scoring,
    splitting,
    streaming,
    timeline,
    training,
)
from hfft.backbones import Backbone, class_order
from hfft.class_weights import Frequencies
from hfft.errors import InputError, listed, meant
from hfft.recipe import Data, Recipe, Split
from hfft.records import SplitReport, read_json
from hfft.run_folder import RunFolder

Say = Callable[[str], None]
SAMPLE = 20_000  # training rows of a stream that the baselines see
PICTURES = 5_000  # the same of pictures, of which a linear probe sees no more
SHOWN = 5_000  # and that `hfft check` describes


@dataclass(frozen=True)
class Inputs:
    """splits: what was dealt; of a stream, train is not among its parts. survey: of a stream, else None."""

    splits: splitting.Splits
    modality: ModuleType
    survey: streaming.Survey | None = None

    @property
    def report(self) -> SplitReport:
        return self.splits.report


class Searching:
    """A modality that keeps what its last search for look-alikes found, within `shared`: the folds of a table begin
    with the same search, and each goes on with one of its own.
    """

    def __init__(self, modality: ModuleType) -> None:
        self.modality = modality

    def __getattr__(self, name: str) -> Any:
        return getattr(self.modality, name)

    def near(self, rows: datasets.Dataset, part: np.ndarray, seed: int, least: float) -> Any:
        known = _searches.get()
        asked = "\n".join([self.modality.__name__, str(seed), str(least), part.tobytes().hex(), *rows["id"][:]])
        key = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
        if known is not None and key in known:
            return known[key]
        found = self.modality.near(rows, part, seed, least)
        if known is not None and not known:  # the first is the one that comes again
            known[key] = found
        return found


_searches: ContextVar[dict[str, Any] | None] = ContextVar("searches", default=None)
_tables: ContextVar[dict[str, loading.Table] | None] = ContextVar("tables", default=None)


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Within it, runs on the same data read them once: for verbs that train many. The data must not change then."""
    known = _tables.get()
    token = _tables.set({} if known is None else known)
    other = _searches.set({} if known is None else _searches.get())
    try:
        with precisions.shared():  # which is measured once, too
            yield
    finally:
        _tables.reset(token)
        _searches.reset(other)


@timeline.phase("load")
def table(wanted: Recipe, modality: ModuleType) -> loading.Table:
    """All rows that can be used, from the file or, within `shared`, from an earlier look at it."""
    known = _tables.get()
    if known is None:
        return loading.read(wanted.dealt, modality)
    key = repr((wanted.task, undealt(wanted.dealt)))
    if key not in known:
        known.clear()  # one table at a time
        (_searches.get() or {}).clear()
        known[key] = loading.read(wanted.dealt, modality)
    return known[key]


def undealt(data: Data) -> Data:
    """What a table depends on: how many rows are used and where they go is dealt out later, from the same table."""
    by = Split(by=data.split.by, time_format=data.split.time_format)
    plain = replace(data, split=by, limit=None, shots=None, class_text=None, on_leak="drop", copy_at=None)
    return replace(plain, train_share=1.0)


def read(wanted: Recipe, say: Say, sample: int = 0) -> Inputs:
    """Read the data, deal it into splits, and say what was found.

    sample: training rows to draw from a stream, for `shown_parts`.
    """
    quiet()
    modality = rooms.find("modalities", wanted.task)
    if wanted.data.streaming:
        with timeline.phase("load"):
            survey = streaming.survey(wanted.data, modality, wanted.split_seed, sample=sample)
        found = Inputs(survey.splits, modality, survey)
    else:
        whole = table(wanted, modality)
        with timeline.phase("split"):
            splits = splitting.split(whole, wanted.dealt, wanted.split_seed, cast(ModuleType, Searching(modality)))
        found = Inputs(splits, modality)
    labels = found.splits.labels
    if wanted.masks:
        found.report.pixels.update({name: _pixels(part, labels) for name, part in found.splits.parts.items()})
    sizes = ", ".join(f"{name} {found.report.size(name):,}" for name in found.report.counts)
    say(f"data: {loading.shown(wanted.data)}: {sizes} {wanted.unit}s; {len(labels)} classes: {listed(labels)}")
    told = [class_texts.told(wanted.data, labels)] if wanted.data.class_text else []
    for finding in [*found.report.findings, *told]:
        say(f"  note: {finding}")
    return found


def check_names(wanted: Recipe, labels: tuple[str, ...]) -> None:
    """Metric and gate names, as soon as the classes are known: before any model is opened."""
    several = wanted.data.multi_label
    known = scoring.keys(wanted.metrics, labels, several, wanted.masks)
    gating.check(
        wanted.gates, [*known, *robustness.known(wanted.gates, len(wanted.probes.templates))], several or wanted.masks
    )
    training.best_metric(wanted, training.watched(wanted, labels))
    answering.check(wanted, labels)
    class_texts.check(wanted.data, rooms.find("modalities", wanted.task))
    _check_probes(wanted, labels)


def check_balance(wanted: Recipe, labels: tuple[str, ...], train: datasets.Dataset | None) -> list[str]:
    """What the loss and the sampler make of the classes, as sentences. train: rows with `label`; None of a stream.

    Raises InputError where they make no sense of them.
    """
    class_weights.check(wanted.loss.weights or {}, labels)
    notes = remedies.notes(wanted)
    if train is None or wanted.sampler.name is None:
        return notes
    return notes + resampling.check(wanted.sampler, _targets(wanted, labels, train), labels)


def epoch_rows(wanted: Recipe, labels: tuple[str, ...], train: datasets.Dataset | None, size: int) -> int:
    """Rows that an epoch shows: `size`, those of train, unless a sampler draws another number."""
    if train is None or wanted.sampler.name is None:
        return size
    return len(resampling.rows_of(wanted.sampler, _targets(wanted, labels, train), wanted.seed, 0))


def balance(wanted: Recipe, found: Inputs, say: Say) -> int:
    """Say what the loss and the sampler make of the classes; rows that an epoch shows."""
    labels, train = found.splits.labels, found.splits.parts.get("train")
    for note in check_balance(wanted, labels, train):
        say(f"  note: {note}")
    return epoch_rows(wanted, labels, train, found.report.size("train"))


def _pixels(part: datasets.Dataset, labels: tuple[str, ...]) -> dict[str, int]:
    """Class → pixels of its masks."""
    counts = np.array(part["pixels"][:], dtype=np.int64).reshape(-1, len(labels)).sum(axis=0)
    return dict(zip(labels, counts.tolist(), strict=True))


def frequencies(found: Inputs, backbone: Backbone) -> Frequencies:
    """Training rows of each class, in the order of the model's outputs; of masks, pixels."""
    names = class_order(backbone.model)
    if found.modality.MASKS:
        pixels = np.array(found.splits.parts["train"]["pixels"][:], dtype=np.int64).sum(axis=0)
        return Frequencies(names, pixels, int(pixels.sum()))
    counts = [found.report.counts["train"].get(name, 0) for name in names]
    return Frequencies(names, np.array(counts), found.report.size("train"))


def _targets(wanted: Recipe, labels: tuple[str, ...], train: datasets.Dataset) -> np.ndarray:
    return np.array(labelsets.targets(train["label"][:], labels, wanted.data.multi_label))


def _check_probes(wanted: Recipe, labels: tuple[str, ...]) -> None:
    modality = rooms.find("modalities", wanted.task)
    perturbing.chosen(wanted.probes.names, modality.INPUT)
    perturbing.chosen(robustness.asked(wanted.gates), modality.INPUT, "gates: ")
    for number, template in enumerate(wanted.probes.templates, 1):
        if modality.INPUT != "text":
            raise InputError("probes.templates makes sentences, and the rows are images; leave it out")
        if template.label not in labels:
            hint = meant(template.label, labels)
            raise InputError(
                f"probes.templates, number {number}: no class {template.label!r}{hint}; known: {listed(labels)}"
            )


def shown_parts(found: Inputs) -> dict[str, datasets.Dataset]:
    """Rows to describe the data by: the splits, or what is kept of a stream and the training rows drawn from it."""
    if found.survey is None:
        return found.splits.parts
    return {"train": found.survey.sample, **found.splits.parts}


def training_rows(found: Inputs, wanted: Recipe, backbone: Backbone) -> Any:
    """Training rows with `labels` as the model counts them: a `Dataset` of inputs, or a stream of what it takes."""
    if found.survey is None:
        rows = predicting.labelled(found.splits.parts["train"], backbone)
        return class_texts.added(rows, wanted.data, class_order(backbone.model))
    encoder = found.modality.encoder(backbone.processor, wanted.model, wanted.augment, wanted.seed)
    names = class_order(backbone.model)
    return streaming.train_rows(wanted.data, found.modality, found.survey, encoder, names, wanted.seed)


def opened(wanted: Recipe, folder: RunFolder) -> tuple[datasets.Dataset, datasets.Dataset]:
    """(test rows, training rows for baselines) of a run; InputError when the data has changed since.

    Of a stream, the second holds 20,000 training rows at most, or 5,000 pictures, drawn at random.
    """
    quiet()
    modality = rooms.find("modalities", wanted.task)
    if wanted.data.streaming:
        prints = read_json(folder.split)["fingerprints"]
        sample = SAMPLE if "text" in modality.ROLES else PICTURES
        survey = streaming.reopened(wanted.data, modality, wanted.split_seed, "test", prints["test"], sample)
        return survey.splits.parts["test"], survey.sample
    rows = table(wanted, modality)
    with timeline.phase("split"):
        return splitting.reopen(rows, folder, "test"), splitting.reopen(rows, folder, "train")


def held_back(wanted: Recipe, folder: RunFolder, split: str) -> datasets.Dataset:
    """Rows of validation or test of a run; InputError when the data has changed since."""
    quiet()
    modality = rooms.find("modalities", wanted.task)
    if wanted.data.streaming:
        prints = read_json(folder.split)["fingerprints"]
        survey = streaming.reopened(wanted.data, modality, wanted.split_seed, split, prints[split])
        return survey.splits.parts[split]
    return splitting.reopen(table(wanted, modality), folder, split)


def quiet() -> None:
    """`datasets` draws a bar per step and logs what it also raises; hfft says the same once."""
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
