"""The whole run in small, its end first of all: what would stop it after hours is found in a minute, all of it at once.

In: a recipe, class names, train and validation rows, the run folder. Out: a `Rehearsal`: problems with their fixes,
notes and a quote. It trains, validates, saves, reloads, predicts, scores and reports through the functions of the real
run, in a temporary folder that is always removed. Test rows have no place here: validation rows stand in for them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from hfft import (
    adapting,
    answering,
    backbones,
    claiming,
    ending,
    environment,
    excerpts,
    gathering,
    gating,
    hub_access,
    mixing,
    predicting,
    quoting,
    rates,
    robustness,
    rooms,
    scoring,
    scratch,
    spreading,
    trainer_arguments,
    training,
)
from hfft.backbones import Backbone
from hfft.errors import InputError
from hfft.problems import Problem, Trial
from hfft.recipe import Adapt, Recipe, Sampler
from hfft.records import SplitReport
from hfft.run_folder import RunFolder
from hfft.stopwatch import LEAST_STEPS, Stopwatch
from hfft.trainer_options import OWN, resolved

SECONDS = 15.0  # after which no further step is taken
MAKES_NO_SENSE = 1.5  # times the loss of guessing

Stream = Callable[[Backbone], Iterable[dict[str, Any]]]

KEYS = "mend the recipe; `hfft show --keys` lists every key"
MODEL = "choose a model.name that fits the task, or mend model: in the recipe"
INPUTS = "mend the data, or choose a model whose tokenizer or image processor fits it"
TRAIN = "the run would stop here, too; type a lower train.learning_rate, or mend train: in the recipe"


@dataclass(frozen=True)
class Rehearsal:
    """quote: None when too little could be measured. seconds: what the rehearsal took."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    quote: quoting.Quote | None
    seconds: float


def alone() -> None:
    """Raise InputError under a launcher of several processes: a rehearsal is one process's work."""
    if (count := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise InputError(
            f"a rehearsal runs in one process, but {count} were launched; type `hfft check` without the launcher, or "
            "add --fast to read the data only"
        )


def rehearse(
    wanted: Recipe,
    labels: tuple[str, ...],
    train: datasets.Dataset,
    validation: datasets.Dataset,
    run: RunFolder,
    hub: str | None = None,
    before: float = 0.0,
    split: SplitReport | None = None,
    stream: Stream | None = None,
) -> Rehearsal:
    """Play the run through in small; what the run would stumble over is told, not raised.

    labels: class names from train. train, validation: rows with inputs, `label` and `id`. run: where the run will be;
    nothing is left there. hub: OWNER/NAME to ask the Hub about. before: seconds that reading the data took. split:
    what was dealt where, which may be more than `train` holds. stream: makes the run's own training rows, where
    they are one; its first batch is read, while the steps are taken on `train`. Raises InputError under a launcher of
    several processes.
    """
    alone()
    wanted, spread = spreading.alone(wanted)
    clock = time.perf_counter()
    with scratch.folder("rehearsal", claiming.scratch(run)) as place:
        folder = RunFolder(place / run.root.absolute().name)
        folder.root.mkdir()
        chosen = resolved(wanted.train, wanted.adapt.average)
        trial = Trial(wanted, chosen, labels, rooms.find("modalities", wanted.task), folder, split)
        if spread:
            trial.notes.append(spread)
            trial.attempt("spread model", KEYS, lambda: spreading.fits(wanted, "a spread model"))
        args = _names(trial, run, train)
        try:
            claiming.fresh(run)
        except InputError as error:  # nothing is wrong with the recipe: the next run only needs another folder
            trial.notes.append(str(error))
        trial.attempt("run folder", "give the run a folder that can be written to", lambda: claiming.writable(run))
        if to := hub or (chosen.get("push_to_hub") and chosen["hub_model_id"]):
            option = "--hub" if hub else "train.hub_model_id"
            fix = f"mend it before training, or leave {'--hub' if hub else 'train.push_to_hub'} out"
            said = trial.attempt("Hub", fix, lambda: hub_access.check(str(to), option))
            trial.notes.extend([said] if said else [])
        quote = _acts(trial, args, train, validation, before, stream)
    if quote is not None:
        need = int(quote.disk_peak_mb * 1e6)
        trial.attempt("disk", "make room before training", lambda: claiming.room_for(run, need))
    return Rehearsal(tuple(trial.problems), tuple(trial.notes), quote, time.perf_counter() - clock)


def _names(trial: Trial, run: RunFolder, train: datasets.Dataset) -> Any:
    """The arguments of the real run, or None; every name that would only be looked up later is looked up now."""
    known = scoring.keys(trial.wanted.metrics, trial.labels, trial.wanted.data.multi_label, trial.wanted.masks)
    of_probes = robustness.known(trial.wanted.gates, len(trial.wanted.probes.templates))
    several = trial.wanted.data.multi_label
    trial.attempt(
        "gates", KEYS, lambda: gating.check(trial.wanted.gates, [*known, *of_probes], several or trial.wanted.masks)
    )
    trial.attempt(
        "best metric", KEYS, lambda: training.best_metric(trial.wanted, training.watched(trial.wanted, trial.labels))
    )
    trial.attempt("decide", KEYS, lambda: answering.check(trial.wanted, trial.labels))
    balance = partial(gathering.check_balance, trial.wanted, trial.labels, train)
    trial.notes.extend(trial.attempt("unequal classes", KEYS, balance) or [])
    return trial.attempt("training arguments", KEYS, lambda: trainer_arguments.arguments(trial.wanted, run))


def _acts(
    trial: Trial,
    args: Any,
    train: datasets.Dataset,
    validation: datasets.Dataset,
    before: float,
    stream: Stream | None,
) -> quoting.Quote | None:
    """Model, inputs, training, and what follows; the quote, when enough could be measured."""
    clock = time.perf_counter()
    backbone = _model(trial)
    loading = time.perf_counter() - clock
    if backbone is None:
        trial.notes.append("not rehearsed, because there is no model: inputs, training, saving, prediction and report")
        return None
    size = trial.split.size("train") if trial.split else len(train)
    epoch = gathering.epoch_rows(trial.wanted, trial.labels, train, size)
    planned = None if args is None else quoting.plan(args, epoch)
    trial = _adapted(trial, backbone, planned)
    if args is not None:
        trial = dataclasses.replace(trial, wanted=rates.settled(trial.wanted, args, backbone.model, trial.notes.append))
    rows, seen = excerpts.training_rows(trial, train), excerpts.validation_rows(trial, validation)
    preparing = trial.attempt("inputs", INPUTS, lambda: _inputs(trial, backbone, rows, stream))
    if preparing is None:
        trial.notes.append("not rehearsed, because there are no inputs: training, saving, prediction and report")
        return None
    watch = Stopwatch(SECONDS)
    if args is None:
        trial.notes.append("not rehearsed, because the recipe's train: is wrong: training")
        trial = dataclasses.replace(
            trial, wanted=dataclasses.replace(trial.wanted, train={})
        )  # the end needs none of it
    trained = None if args is None else _train(trial, backbone, rows, seen, watch)
    left = backbone if trained else _model(trial)  # after a failure its weights may be worthless
    finished = None if left is None else ending.rehearse(trial, left, seen)
    if args is None or finished is None or len(watch.steps) < LEAST_STEPS or not watch.batches:
        return None
    reading = before + loading + preparing * (size + len(validation)) / len(rows)
    if trained is not None:  # and once more at the end, when the whole model predicts validation rows
        reading += trained.features * (size + 2 * len(validation)) / (len(rows) + len(seen))
    minutes = trial.wanted.train.get("minutes")
    found = _measured(trial, args, watch, _asked(trial, backbone, seen), reading, finished)
    return quoting.quote(quoting.plan(args, epoch), found, _asked(trial, backbone, validation), minutes)


def _asked(trial: Trial, backbone: Backbone, rows: datasets.Dataset) -> int:
    """How many inputs the model gets for rows that are held back: more than one for a text that is cut into windows."""
    if trial.wanted.model.truncation != "windows":
        return len(rows)
    inputs = rows.select_columns([name for name in trial.modality.ROLES if name in rows.column_names])
    return len(trial.modality.prepare(inputs, backbone.processor, trial.wanted.model))


def _model(trial: Trial) -> Backbone | None:
    transformers.set_seed(trial.wanted.seed)
    return trial.attempt(
        "model",
        MODEL,
        lambda: backbones.load(trial.wanted.model, trial.modality, trial.labels, trial.wanted.data.multi_label),
    )


def _inputs(trial: Trial, backbone: Backbone, rows: datasets.Dataset, stream: Stream | None) -> float:
    """Seconds that preparing `rows` takes; then reads a batch as training does, from a stream where there is one."""
    wanted, labelled = trial.wanted, predicting.labelled(rows, backbone)
    clock = time.perf_counter()
    prepared = trial.modality.prepare(labelled, backbone.processor, wanted.model, wanted.augment, wanted.seed)
    seconds = time.perf_counter() - clock
    first = [prepared[i] for i in range(min(4, len(prepared)))]
    if stream is not None:
        first = list(itertools.islice(stream(backbone), 4))
    mixing.collator(trial.modality.collator(backbone.processor), wanted.augment, len(trial.labels))(first)
    return seconds


def _adapted(trial: Trial, backbone: Backbone, planned: quoting.Plan | None) -> Trial:
    """The trial with what `adapt:` costs at most; without it, and one more problem, where it does not fit the model."""
    adapt = trial.wanted.adapt
    if planned is not None:
        trial.attempt("adapt", KEYS, lambda: adapting.check_average(adapt, planned.checkpoints))
    fits = trial.attempt("adapt", KEYS, lambda: adapting.trained(adapt, backbone)) is not None
    if fits and adapt.unfreeze:
        trial.notes.append("adapt.unfreeze: rehearsed with all blocks trained, which is what its last epochs cost")
    small = adapting.costliest(adapt) if fits else Adapt()
    return dataclasses.replace(trial, wanted=dataclasses.replace(trial.wanted, adapt=small))


def _train(
    trial: Trial, backbone: Backbone, rows: datasets.Dataset, seen: datasets.Dataset, watch: Stopwatch
) -> training.Fit | None:
    """A few real steps, validation, checkpoint and the choice of the best one, as `training.fit` does it."""
    small = _small(trial)
    known = len(trial.problems)

    def fit() -> training.Fit:
        args = trainer_arguments.arguments(small, trial.folder)
        first, second = (predicting.labelled(part, backbone) for part in (rows, seen))
        return training.fit(small, args, backbone, trial.modality, first, second, trial.folder, watch=watch, say=say)

    def say(told: str) -> None:
        trial.notes.extend([told] if told.startswith(adapting.FALL_BACK) else [])

    done = trial.attempt("", TRAIN, fit)
    trial.problems[known:] = [dataclasses.replace(p, step=watch.place) for p in trial.problems[known:]]
    plain = small.loss.name if small.loss.weights is None else ""
    answers = {"cross_entropy": len(trial.labels), "binary_cross_entropy": 2}.get(plain)
    guess = math.log(answers) if answers else math.inf
    if watch.losses and watch.losses[0] > MAKES_NO_SENSE * guess:
        trial.notes.append(
            f"the first loss is {watch.losses[0]:.2f}, and that of guessing is {guess:.2f} (ln {answers}): "
            "the inputs may not be what this model expects, such as pixels scaled another way"
        )
    return done


def _small(trial: Trial) -> Recipe:
    """The same recipe for a few steps, one evaluation and one checkpoint; whatever it leaves out stays left out."""
    small: dict[str, Any] = {"max_steps": excerpts.STEPS, "logging_strategy": "steps", "logging_steps": 1}
    # In the order of the rows, because the largest come first.
    small |= {"train_sampling_strategy": "sequential", "eval_delay": 0, "eval_on_start": False, "report_to": "none"}
    for name in ("eval", "save"):
        if trial.chosen[f"{name}_strategy"] in ("epoch", "steps"):
            small |= {f"{name}_strategy": "steps", f"{name}_steps": excerpts.STEPS}
    if any(problem.step == "best metric" for problem in trial.problems):
        small["metric_for_best_model"] = None  # told already; training goes on with the usual one
    kept = {key: value for key, value in trial.wanted.train.items() if key not in OWN}
    # Pictures would be kept after the first step and not the first epoch; a sampler would leave the largest rows out.
    speed = dataclasses.replace(trial.wanted.speed, cache_images=trial.wanted.speed.cache_images is True)
    return dataclasses.replace(trial.wanted, sampler=Sampler(), train=kept | small, speed=speed)


def _measured(trial: Trial, args: Any, watch: Stopwatch, seen: int, before: float, after: float) -> quoting.Measured:
    points = [_bytes(path) for path in trial.folder.checkpoints.glob("checkpoint-*")]
    card = torch.cuda.max_memory_allocated() / 1e9 if args.device.type == "cuda" else None
    return quoting.Measured(
        steps=watch.steps[1:],
        rows_per_second=watch.rows_per_second(seen, trial.chosen["per_device_eval_batch_size"]),
        checkpoint=watch.checkpoint or 0.0,
        before=before,
        after=after,
        memory_gb=environment.peak_memory_gb(),
        accelerator_gb=card,
        model_bytes=_bytes(trial.folder.model),
        checkpoint_bytes=max(points, default=0),
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
