"""The `train:` section as `TrainingArguments`: hfft's defaults below it, what hfft decides itself above it.

In: a recipe and a run folder. Out: checked arguments, and the process group that the launcher asked for. Whatever
would end in a traceback after the data has been read is told here.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import transformers
from transformers import Trainer, TrainingArguments
from transformers.integrations import get_available_reporting_integrations, get_reporting_integration_callbacks

from hfft import arranging, compiling, environment, launches, low_rank, precisions, rooms, spreading
from hfft.errors import InputError, listed
from hfft.objectives import check_loss
from hfft.recipe import Recipe
from hfft.resampling import check_sampler
from hfft.run_folder import RunFolder
from hfft.trainer_options import OWN, PUSH, resolved

WORKERS = 8  # at the most, for each process
# A NaN loss would be logged as 0.0 otherwise; image columns would be dropped before they are decoded.
FIXED: dict[str, Any] = {
    "disable_tqdm": True,
    "logging_nan_inf_filter": False,
    "remove_unused_columns": False,
    "log_level": "error",
    "label_names": ["labels"],
}


def arguments(recipe: Recipe, run: RunFolder, fitting: bool = True) -> TrainingArguments:
    """The checked `TrainingArguments`; starts the process group. Call it before anything else touches accelerate.

    fitting: False for prediction alone. Raises InputError for values the class refuses, and when the launcher's
    processes did not find each other.
    """
    check_loss(recipe.loss.name, recipe.data.multi_label, recipe.masks)
    check_sampler(recipe.sampler, recipe.data.multi_label)
    if fitting:
        _check_adapt(recipe)
    given = resolved(recipe.train, recipe.adapt.average)
    chosen = {key: value for key, value in given.items() if key not in OWN and key not in PUSH} | FIXED
    chosen |= {"output_dir": str(run.checkpoints), "seed": recipe.seed, "data_seed": recipe.seed}
    if recipe.data.streaming:
        # Else the first process collates for all, and joins their batches, which are padded to different lengths.
        own = recipe.train.get("accelerator_config") or {}
        chosen["accelerator_config"] = {"dispatch_batches": False} | own if isinstance(own, dict) else own
    chosen |= {"use_cpu": not torch.accelerator.is_available()}
    if "dataloader_num_workers" not in recipe.train:
        chosen["dataloader_num_workers"] = _workers(recipe, not chosen["use_cpu"])
    if recipe.masks:
        chosen |= {"batch_eval_metrics": True}  # masks of all images would be gathered otherwise
    if not fitting:
        chosen |= {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
        chosen = {key: value for key, value in chosen.items() if key not in spreading.KEYS}
    if chosen["use_cpu"] and not chosen.get("ddp_backend"):
        launches.meet(chosen.get("ddp_timeout") or transformers.TrainingArguments.ddp_timeout)
    try:
        args = TrainingArguments(**chosen)
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise InputError(f"train: {' '.join(str(error).split())}") from error
    expected = int(os.environ.get("WORLD_SIZE", "1"))
    if args.world_size != expected:
        raise InputError(f"{expected} processes were launched, but {args.world_size} found each other; use torchrun")
    # One process, one device: DataParallel, which Trainer would take for a second GPU, multiplies the loss.
    args._n_gpu = min(args.n_gpu, 1)
    _check_sense(args)
    if fitting:
        _check_patience(recipe, args)
        precisions.given(recipe, args)
        compiling.check(recipe, args)
        spreading.check(recipe, args)
    if args.device.type == "cpu":
        # accelerate and torchrun start workers with one thread each, whatever the machine has.
        beside = int(os.environ.get("LOCAL_WORLD_SIZE", str(args.world_size)))
        torch.set_num_threads(max(1, environment.cores() // beside))
        if recipe.speed.allocator:
            arranging.keep_memory()
    return args


def _workers(recipe: Recipe, accelerated: bool) -> int:
    """Processes that read beside training: on CPU they would take the cores that the model computes on."""
    if not accelerated or recipe.data.streaming or not rooms.find("modalities", recipe.task).CONVOLUTIONAL:
        return 0
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(WORKERS, max(0, environment.cores() // beside - 1))


def _check_adapt(recipe: Recipe) -> None:
    """Raise InputError for what `adapt:` needs and cannot have, and for packages that are not there."""
    spreading.installed(recipe.train)
    adapt = recipe.adapt
    if adapt.lora is not None:
        low_rank.installed()
    if adapt.average is None:
        return
    needed, chosen = adapt.average + 1, resolved(recipe.train, adapt.average)
    for key in ("eval_strategy", "save_strategy"):
        if chosen[key] not in ("epoch", "steps"):
            raise InputError(f"adapt.average: there have to be checkpoints; type train.{key}=epoch")
    if not chosen["load_best_model_at_end"]:
        raise InputError("adapt.average is judged beside the best checkpoint; leave train.load_best_model_at_end out")
    if (limit := chosen["save_total_limit"]) is not None and limit < needed:
        raise InputError(
            f"adapt.average: {adapt.average} checkpoints and the best one make {needed}, but "
            f"train.save_total_limit is {limit}; type train.save_total_limit={needed}, or leave it out"
        )


def _check_sense(args: TrainingArguments) -> None:
    """Raise InputError for values that would end in a traceback after the data has been read."""
    rows = {"per_device_train_batch_size": args.per_device_train_batch_size}
    rows |= {"per_device_eval_batch_size": args.per_device_eval_batch_size}
    rows |= {"gradient_accumulation_steps": args.gradient_accumulation_steps}
    for name, value in rows.items():
        if value < 1:
            raise InputError(f"train.{name}: expected at least 1, got {value}")
    if args.auto_find_batch_size and args.world_size > 1:
        raise InputError(
            "train.auto_find_batch_size: of several processes only the one that ran out of memory would begin again, "
            "and the others would wait for ever; type train.per_device_train_batch_size=N"
        )
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


def _check_patience(recipe: Recipe, args: TrainingArguments) -> None:
    """Raise InputError for patience without anything to be patient about."""
    if recipe.train.get("patience") and args.eval_strategy == "no":
        raise InputError("train.patience: nothing is evaluated while training; type train.eval_strategy=epoch")
