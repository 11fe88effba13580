"""Fine-tuning: a backbone, training rows and validation rows become a model folder.

The loop is the stock `transformers.Trainer`; hfft hands it callables: a loss that is right on every layout, parameter
groups without decay on norms and biases, metrics, and callbacks. There is no parameter here that could hold test rows.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import torch
import transformers
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.integrations import get_available_reporting_integrations, get_reporting_integration_callbacks

from hfft import checkpoints, evaluate_modules, scoring
from hfft.backbones import Backbone, class_order
from hfft.errors import InputError, listed, meant
from hfft.objectives import check_loss, loss_function
from hfft.progress import ProgressLine, StopOnNaN
from hfft.recipe import Augment, Recipe
from hfft.records import less_is_better
from hfft.run_folder import RunFolder

DEFAULTS: dict[str, Any] = {
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 64,
    "weight_decay": 0.01,
    "warmup_steps": 0.06,  # below 1: share of all steps
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 2,
    "load_best_model_at_end": True,
    "logging_steps": 10,
    "dataloader_num_workers": 0,
    "report_to": "none",
}
# A NaN loss would be logged as 0.0 otherwise; image columns would be dropped before they are decoded.
FIXED: dict[str, Any] = {
    "disable_tqdm": True,
    "logging_nan_inf_filter": False,
    "remove_unused_columns": False,
    "log_level": "error",
    "label_names": ["labels"],
}


@dataclass(frozen=True)
class Fit:
    """seconds: of training. speed: examples per second. history: the trainer's log. best: what the choice was by."""

    seconds: float
    speed: float
    history: list[dict[str, Any]]
    best: dict[str, Any]


def arguments(recipe: Recipe, run: RunFolder, fitting: bool = True) -> TrainingArguments:
    """The checked `TrainingArguments`; starts the process group. Call it before anything else touches accelerate.

    fitting: False for prediction alone. Raises InputError for values the class refuses, and when the launcher's
    processes did not find each other.
    """
    check_loss(recipe.loss, recipe.data.multi_label)
    chosen = DEFAULTS | recipe.train | FIXED
    chosen |= {"output_dir": str(run.checkpoints), "seed": recipe.seed, "data_seed": recipe.seed}
    if recipe.data.streaming:
        # Else the first process collates for all, and joins their batches, which are padded to different lengths.
        own = recipe.train.get("accelerator_config") or {}
        chosen["accelerator_config"] = {"dispatch_batches": False} | own if isinstance(own, dict) else own
    chosen |= {"use_cpu": not torch.accelerator.is_available()}
    if not fitting:
        chosen |= {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    try:
        args = TrainingArguments(**chosen)
    except (ValueError, TypeError, ImportError) as error:
        raise InputError(f"train: {' '.join(str(error).split())}") from error
    expected = int(os.environ.get("WORLD_SIZE", "1"))
    if args.world_size != expected:
        raise InputError(f"{expected} processes were launched, but {args.world_size} found each other; use torchrun")
    # One process, one device: DataParallel, which Trainer would take for a second GPU, multiplies the loss.
    args._n_gpu = min(args.n_gpu, 1)
    _check_sense(args)
    if args.device.type == "cpu":
        # accelerate and torchrun start workers with one thread each, whatever the machine has.
        torch.set_num_threads(max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", str(args.world_size)))))
    return args


def _check_sense(args: TrainingArguments) -> None:
    """Raise InputError for values that would end in a traceback after the data has been read."""
    rows = {"per_device_train_batch_size": args.per_device_train_batch_size}
    rows |= {"per_device_eval_batch_size": args.per_device_eval_batch_size}
    rows |= {"gradient_accumulation_steps": args.gradient_accumulation_steps}
    for name, value in rows.items():
        if value < 1:
            raise InputError(f"train.{name}: expected at least 1, got {value}")
    if args.num_train_epochs <= 0 and args.max_steps <= 0:
        raise InputError(f"train.num_train_epochs: expected more than 0, got {args.num_train_epochs:g}")
    if not 0 <= args.label_smoothing_factor < 1:
        raise InputError(f"train.label_smoothing_factor: expected 0 to below 1, got {args.label_smoothing_factor:g}")
    try:
        kind, options = Trainer.get_optimizer_cls_and_kwargs(args)
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer):
            trial: Any = kind
            made = trial([torch.nn.Parameter(torch.zeros(1))], **options, weight_decay=args.weight_decay)
            further: dict[str, Any] = args.lr_scheduler_kwargs or {}  # type: ignore[assignment]
            transformers.get_scheduler(args.lr_scheduler_type, made, 0, 2, scheduler_specific_kwargs=further)
        get_reporting_integration_callbacks(args.report_to)
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        raise InputError(f"train: {' '.join(str(error).split())}") from error
    # The list of what is there leaves these two out.
    if gone := sorted({*(args.report_to or [])} - {*get_available_reporting_integrations(), "azure_ml", "flyte"}):
        raise InputError(f"train.report_to: {listed(gone)} is not installed; install it, or leave the key out")


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
) -> Fit:
    """Train, keep the best checkpoint by the validation metric, and write `model/`.

    train, validation: rows with inputs and `labels` (class ids, or a 0.0 or 1.0 per class); train may be an iterable of
    known length that gives what the model takes. watch: a callback with a `speed`, in the place of the progress line.
    Raises InputError when the loss diverges.
    """
    names = class_order(backbone.model)
    if recipe.augment != Augment() and args.dataloader_persistent_workers:
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
        prepared = modality.prepare(train, backbone.processor, recipe.model, recipe.augment, recipe.seed)
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=prepared,
        eval_dataset=modality.prepare(validation, backbone.processor, recipe.model),
        data_collator=modality.collator(backbone.processor),
        compute_loss_func=loss_function(recipe.loss, smoothing, several),
        compute_metrics=evaluate_modules.together(recipe.metrics, names, several),
        preprocess_logits_for_metrics=first_output,
        optimizer_cls_and_kwargs=optimizer(args, model),
        callbacks=[StopOnNaN(), Seal(), Epochs(prepared), line],
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


def optimizer(args: TrainingArguments, model: Any) -> tuple[Any, dict[str, Any]]:
    """The optimizer `Trainer` would build, with weight decay on matrices and kernels only.

    Its own rule goes by names, and lets BatchNorm weights decay.
    """
    kind, options = Trainer.get_optimizer_cls_and_kwargs(args, model)
    if not {"params", "model", "optimizer_dict"} & set(options):
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        options["params"] = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": args.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
    return kind, options


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


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Seal(TrainerCallback):
    """Marks each checkpoint whole once every process has written its part."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if args.world_size > 1:
            torch.distributed.barrier()
        if args.should_save:
            checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")


class Epochs(TrainerCallback):
    """Tells rows that are changed at random which epoch it is, also after a resume. An iterable is told by Trainer."""

    def __init__(self, rows: Any) -> None:
        kwargs = rows.format["format_kwargs"] if isinstance(rows, datasets.Dataset) else None
        self.change: Any = (kwargs or {}).get("transform")

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if hasattr(self.change, "epoch"):
            self.change.epoch = int((state.epoch or 0) + 1e-6)
