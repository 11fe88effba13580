"""Fine-tuning: a backbone, training rows and validation rows become a model folder.

The loop is the stock `transformers.Trainer`; hfft hands it callables: a loss that is right on every layout, parameter
groups without decay on norms and biases, metrics, and callbacks. There is no parameter here that could hold test rows.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from transformers import Trainer, TrainingArguments

from hfft import callbacks, evaluate_modules, optimizing, scoring
from hfft.backbones import Backbone, class_order
from hfft.class_weights import Frequencies
from hfft.errors import InputError, listed, meant
from hfft.objectives import loss_function
from hfft.progress import ProgressLine, StopOnNaN
from hfft.recipe import Augment, Recipe
from hfft.records import less_is_better
from hfft.resampling import Resampled
from hfft.run_folder import RunFolder


@dataclass(frozen=True)
class Fit:
    """seconds: of training. speed: examples per second. history: the trainer's log. best: what the choice was by."""

    seconds: float
    speed: float
    history: list[dict[str, Any]]
    best: dict[str, Any]


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
) -> Fit:
    """Train, keep the best checkpoint by the validation metric, and write `model/`.

    train, validation: rows with inputs and `labels` (class ids, or a 0.0 or 1.0 per class); train may be an iterable of
    known length that gives what the model takes. watch: a callback with a `speed`, in the place of the progress line.
    found: classes of the training rows, counted here unless train is an iterable.
    Raises InputError when the loss diverges.
    """
    names = class_order(backbone.model)
    if (recipe.augment != Augment() or recipe.sampler.name) and args.dataloader_persistent_workers:
        raise InputError(
            "train.dataloader_persistent_workers: workers that live on would draw each epoch alike; leave it out"
        )
    args.metric_for_best_model = best_metric(recipe, scoring.keys(recipe.metrics, names, recipe.data.multi_label))
    args.greater_is_better = not (args.metric_for_best_model == "loss" or less_is_better(args.metric_for_best_model))
    line = watch or ProgressLine(args.metric_for_best_model)
    several, smoothing = recipe.data.multi_label, args.label_smoothing_factor
    if several:
        args.label_smoothing_factor = 0.0  # the loss smooths; Trainer only warns that its own smoother could not
    model = arranged(backbone.model, modality, args)
    prepared = train
    if isinstance(train, datasets.Dataset):
        labels = np.asarray(train["labels"][:])
        found = Frequencies.of(labels, names)
        prepared = modality.prepare(train, backbone.processor, recipe.model, recipe.augment, recipe.seed)
        if recipe.sampler.name:
            prepared = Resampled(prepared, labels, recipe.sampler, recipe.seed)
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=prepared,
        eval_dataset=modality.prepare(validation, backbone.processor, recipe.model),
        data_collator=modality.collator(backbone.processor),
        compute_loss_func=loss_function(recipe.loss, smoothing, several, found),
        compute_metrics=evaluate_modules.together(recipe.metrics, names, several),
        preprocess_logits_for_metrics=first_output,
        optimizer_cls_and_kwargs=optimizing.optimizer(args, model),
        callbacks=[StopOnNaN(), callbacks.Seal(), callbacks.Epochs(prepared), line],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    start = time.perf_counter()
    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except FloatingPointError as error:
        raise InputError(
            f"training stopped: {error}; the weights are worthless from there. Type a lower train.learning_rate "
            f"(now {args.learning_rate:g}), or a lower train.max_grad_norm (now {args.max_grad_norm:g})"
        ) from error
    seconds = time.perf_counter() - start
    if not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise InputError("training ended with weights that are not numbers; type a lower train.learning_rate")
    save(trainer, backbone, run)
    state = trainer.state
    value = state.best_metric if args.load_best_model_at_end else None
    best = {"metric": args.metric_for_best_model, "value": value, "step": state.best_global_step}
    history = [{k: float(v) for k, v in row.items()} for row in trainer.state.log_history]
    return Fit(seconds, line.speed, history, best)


def first_output(logits: Any, labels: Any) -> torch.Tensor:
    """Logits alone, where a model returns more."""
    return logits[0] if isinstance(logits, tuple) else logits


def arranged(model: Any, modality: ModuleType, args: TrainingArguments) -> Any:
    """Convolutions run up to twice as fast with channels last, and on CPU with an allocator that keeps its memory."""
    if not modality.CONVOLUTIONAL:
        return model
    if args.device.type == "cpu" and sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library: only speed is lost
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-4, 0)  # M_MMAP_MAX: large activations come from the heap …
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: … which is not given back between steps
    return model.to(memory_format=torch.channels_last)


def save(trainer: Trainer, backbone: Backbone, run: RunFolder) -> None:
    """`model/` as transformers reads it, on the main process; moved into place when complete."""
    partial = run.root / ".model"
    trainer.save_model(str(partial))
    if trainer.args.should_save:
        # A pickle of all arguments: nobody needs it, and it must never be pushed.
        (partial / "training_args.bin").unlink(missing_ok=True)
        if not hasattr(backbone.processor, "val_transforms"):  # timm's lives in config.json
            backbone.processor.save_pretrained(str(partial))
        shutil.rmtree(run.model, ignore_errors=True)
        partial.rename(run.model)
    trainer.accelerator.wait_for_everyone()
