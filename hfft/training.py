"""Fine-tuning: a backbone, training rows and validation rows become a model folder.

The loop is the stock `transformers.Trainer`; hfft hands it callables: a loss that is right on every layout, parameter
groups without decay on norms and biases, metrics, and callbacks. There is no parameter here that could hold test rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from transformers import Trainer, TrainingArguments

from hfft import (
    adapting,
    arranging,
    compiling,
    evaluate_modules,
    evaluation_loop,
    growing,
    int8_linear,
    interrupting,
    keeping,
    mixing,
    optimizing,
    pixel_counting,
    pooling,
    precisions,
    quickening,
    quoting,
    saving,
    scoring,
    spreading,
    stopping,
    timeline,
    trial_steps,
    watching,
)
from hfft.backbones import Backbone, class_order
from hfft.callbacks import Epochs, Laps
from hfft.class_weights import Frequencies
from hfft.errors import InputError, listed, meant
from hfft.objectives import loss_function
from hfft.precomputing import Precomputed
from hfft.progress import ProgressLine, StopOnNaN
from hfft.recipe import Augment, Recipe
from hfft.records import less_is_better, put
from hfft.resampling import Resampled
from hfft.run_folder import RunFolder


@dataclass(frozen=True)
class Fit:
    """seconds: of training. speed: examples per second. history: the trainer's log. best: what the choice was by.

    notes: sentences on why it ended early, or went another way than the recipe said. features: of the seconds, what
    computing features once took. decided: what `speed:` left to the machine, and why it was decided so.
    """

    seconds: float
    speed: float
    history: list[dict[str, Any]]
    best: dict[str, Any]
    notes: tuple[str, ...] = ()
    features: float = 0.0
    decided: dict[str, Any] = field(default_factory=dict)


def best_metric(recipe: Recipe, keys: list[str]) -> str:
    """The validation metric that picks the checkpoint, checked by name before training.

    keys: what the recipe's metrics will be called.
    """
    known = [*keys, "loss"]
    default = "f1_macro" if "f1_macro" in known else known[0]
    name = str(recipe.train.get("metric_for_best_model") or default).removeprefix("eval_")
    if name not in known:
        raise InputError(f"train.metric_for_best_model: no {name!r}{meant(name, known)}; known: {listed(known, 24)}")
    return name


def fit(
    recipe: Recipe,
    args: TrainingArguments,
    backbone: Backbone,
    modality: ModuleType,
    train: datasets.Dataset | torch.utils.data.IterableDataset[Any],
    validation: datasets.Dataset,
    run: RunFolder,
    resume: Path | None = None,
    watch: Any = None,
    found: Frequencies | None = None,
    say: Callable[[str], None] = lambda _: None,
    changed: bool = False,
) -> Fit:
    """Train, keep the best checkpoint by the validation metric, and write `model/`.

    train, validation: rows with inputs and `labels` (class ids, or a 0.0 or 1.0 per class); train may be an iterable of
    known length that gives what the model takes. watch: a callback with a `speed`, in the place of the progress line.
    found: classes of the training rows; of a stream they cannot be counted here. say: is told what is decided on the
    way. changed: before `resume`, the recipe or the launch was another one. Raises InputError when the loss diverges,
    and for an `adapt:` that does not fit the model.
    """
    names = class_order(backbone.model)
    _choose_by(recipe, args, names)
    line = watch or ProgressLine(str(args.metric_for_best_model))
    several, smoothing = recipe.data.multi_label, args.label_smoothing_factor
    if several:
        args.label_smoothing_factor = 0.0  # the loss smooths; Trainer only warns that its own smoother could not
    arranging.arranged(backbone.model, modality)
    adapted = adapting.Adaptation(recipe, args, backbone, say)
    cached = adapted.features(modality, train, validation, run)
    model, watchers = adapted.model, [*_watchers(recipe, args, adapted.seconds), *growing.of(recipe, backbone, say)]
    if found is None and isinstance(train, datasets.Dataset) and not recipe.masks:
        found = Frequencies.of(np.asarray(train["labels"][:]), names)
    keep = partial(keeping.kept, recipe, args, modality, run, say)
    prepared = _prepared(recipe, backbone, modality, train, cached, keep)
    held_back, owners, collate = _held_back(recipe, backbone, modality, validation, cached, keep)
    loss = loss_function(recipe.loss, smoothing, several, found, recipe.masks)
    step = None if cached is not None else partial(_step, model, args, held_back, collate, loss)
    precision, decided = _decided(recipe, args, step, run, resume is not None, len(prepared), say)
    interruption = interrupting.Interruption(run.root)
    trainer = saving.SavingTrainer(
        model=model,
        args=args,
        train_dataset=prepared,
        eval_dataset=held_back,
        data_collator=collate,
        compute_loss_func=loss,
        compute_metrics=_measures(recipe, names, owners),
        preprocess_logits_for_metrics=pixel_counting.matrices if recipe.masks else first_output,
        optimizer_cls_and_kwargs=optimizing.optimizer(args, model, adapted.rates),
        callbacks=[StopOnNaN(), Epochs(prepared), *adapted.callbacks, *watchers, interruption, line, Laps()],
        changed=changed,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    spreading.cut(trainer)
    texts = modality.INPUT == "text" and cached is None
    eight = recipe.speed.int8 and not spreading.way(args)
    asked = precisions.of_answers(args, precision)
    layer, told = int8_linear.chosen("validation while training", model, asked, recipe.masks) if eight else (None, "")
    evaluation_loop.install(trainer, backbone.processor, asked, layer)
    with keeping.room(run, args):
        # Quick comes first: it compares the model with itself, to more digits than tf32 has.
        with quickening.quick(model, args, recipe.speed, texts, backbone.fresh, say), precisions.applied(precision):
            seconds = _trained(trainer, resume, interruption) + adapted.seconds
        mean = adapted.finish(trainer, run)
    save(trainer, backbone, run)
    state = trainer.state
    value = state.best_metric if args.load_best_model_at_end else None
    best = {"metric": args.metric_for_best_model, "value": value, "step": state.best_global_step} | mean
    history = [{k: float(v) for k, v in row.items()} for row in trainer.state.log_history]
    notes = [w.said for w in watchers if w.said] + [told] * bool(told)
    return Fit(seconds, line.speed, history, best, tuple(notes), adapted.seconds, decided)


def _choose_by(recipe: Recipe, args: TrainingArguments, names: tuple[str, ...]) -> None:
    """Tell `args` what the best checkpoint is. Raises InputError for a metric that is not known, and for workers that
    would draw every epoch alike.
    """
    anew = recipe.augment != Augment() or recipe.sampler.name or recipe.model.truncation == "windows"
    if anew and args.dataloader_persistent_workers:
        raise InputError(
            "train.dataloader_persistent_workers: workers that live on would draw each epoch alike; leave it out"
        )
    args.metric_for_best_model = best_metric(recipe, watched(recipe, names))
    args.greater_is_better = not (args.metric_for_best_model == "loss" or less_is_better(args.metric_for_best_model))


@timeline.phase("prepare")
def _held_back(
    recipe: Recipe, backbone: Backbone, modality: ModuleType, validation: Any, cached: Precomputed | None, keep: Any
) -> tuple[Any, np.ndarray | None, Any]:
    """(validation rows as the model, or its head alone, takes them, the text of each window or None, the collator)."""
    if cached is not None:
        return cached.validation, None, cached.collate
    rows, owners = pooling.apart(modality.prepare(validation, backbone.processor, recipe.model))
    collate = mixing.collator(modality.collator(backbone.processor), recipe.augment, len(class_order(backbone.model)))
    return keep(rows, "validation"), owners, collate


def watched(recipe: Recipe, names: tuple[str, ...]) -> list[str]:
    """What the metrics that are watched while training will be called."""
    metrics = pixel_counting.known(recipe.metrics) if recipe.masks else recipe.metrics
    if not metrics:  # boundaries alone, which nobody looks at before training is over
        return []
    return scoring.keys(metrics, names, recipe.data.multi_label, recipe.masks)


def _measures(recipe: Recipe, names: tuple[str, ...], owners: np.ndarray | None) -> Callable[..., dict[str, float]]:
    """What `Trainer` calls as compute_metrics."""
    if recipe.masks:
        return pixel_counting.Running(recipe.metrics, names)
    return pooling.by_text(evaluate_modules.together(recipe.metrics, names, recipe.data.multi_label), owners)


@timeline.phase("prepare")
def _prepared(
    recipe: Recipe,
    backbone: Backbone,
    modality: ModuleType,
    train: Any,
    cached: Precomputed | None,
    keep: Callable[[Any, str], Any],
) -> Any:
    """Training rows as the model, or its head alone, takes them, drawn by the sampler where there is one."""
    if not isinstance(train, datasets.Dataset):
        return train
    if cached is not None:
        rows: Any = cached.train
    else:
        rows = modality.prepare(train, backbone.processor, recipe.model, recipe.augment, recipe.seed)
        rows = keep(rows, "train")
    if not recipe.sampler.name:
        return rows
    return Resampled(rows, np.asarray(train["labels"][:]), recipe.sampler, recipe.seed)


def _decided(
    recipe: Recipe,
    args: TrainingArguments,
    step: Callable[[], trial_steps.Step] | None,
    run: RunFolder,
    resumed: bool,
    rows: int,
    say: Callable[[str], None],
) -> tuple[precisions.Choice, dict[str, Any]]:
    """What `speed:` leaves to the machine, told to `args`: (the precision, all of it for environment.json)."""
    precision = precisions.settle(recipe, args, step, run.checkpoints, resumed, say)
    plan = precision.precision, quoting.plan(args, rows).steps
    compiled = compiling.settle(recipe, args, step, *plan, run.checkpoints, resumed, say)
    return precision, {"precision": asdict(precision), "compile": asdict(compiled)}


def _step(model: Any, args: TrainingArguments, rows: Any, collate: Any, loss: Any) -> trial_steps.Step:
    """A training step on held-back rows, which are not changed when they are read and come from no stream."""
    batch = collate([rows[place] for place in range(min(args.per_device_train_batch_size, len(rows)))])
    inputs = {name: part.to(args.device) for name, part in batch.items()}
    return trial_steps.Step(model.to(args.device), inputs, loss, args.device)


@timeline.phase("train")
def _trained(trainer: Trainer, resume: Path | None, interruption: interrupting.Interruption) -> float:
    """Seconds of training. Raises InputError when it diverges, and Interrupted when it is stopped."""
    start, args = time.perf_counter(), trainer.args
    try:
        with interruption.listening():
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except KeyboardInterrupt:  # a terminal keeps the line, and hides its cursor, until it is told
        trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
        raise
    except FloatingPointError as error:
        raise InputError(
            f"training stopped: {error}; the weights are worthless from there. Type a lower train.learning_rate "
            f"(now {args.learning_rate:g}), or a lower train.max_grad_norm (now {args.max_grad_norm:g})"
        ) from error
    seconds, model = time.perf_counter() - start, trainer.model
    if model is None or not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise InputError("training ended with weights that are not numbers; type a lower train.learning_rate")
    return seconds


def _watchers(recipe: Recipe, args: TrainingArguments, used: float) -> list[Any]:
    """Callbacks that may end training early, or must see that it began again. used: seconds before training."""
    patience, minutes = recipe.train.get("patience"), recipe.train.get("minutes")
    found: list[Any] = [stopping.Patience(patience)] if patience else []
    found += [stopping.TimeBudget(minutes, used)] if minutes else []
    return [*found, *watching.OUTSIDE.get(), *([stopping.BatchSize()] if args.auto_find_batch_size else [])]


def first_output(logits: Any, labels: Any) -> torch.Tensor:
    """Logits alone, where a model returns more."""
    return logits[0] if isinstance(logits, tuple) else logits


@timeline.phase("save")
def save(trainer: Trainer, backbone: Backbone, run: RunFolder) -> None:
    """`model/` as transformers reads it, on the main process; moved into place when complete."""
    partial = run.root / ".model"
    spreading.gather(trainer)
    trainer.save_model(str(partial))
    spreading.check_saved(trainer, partial)
    if trainer.args.should_save:
        # A pickle of all arguments: nobody needs it, and it must never be pushed.
        (partial / "training_args.bin").unlink(missing_ok=True)
        if not hasattr(backbone.processor, "val_transforms"):  # timm's lives in config.json
            backbone.processor.save_pretrained(str(partial))
        put(partial, run.model)
    trainer.accelerator.wait_for_everyone()
