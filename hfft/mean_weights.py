"""The mean of the last checkpoints' weights, kept if validation finds it no worse than the best single checkpoint.

In: a Trainer that has finished and holds its best weights. Out: the weights that are kept, in its model, and a
sentence. Izmailov et al. 2018 (arXiv:1803.05407); here the checkpoints are those that training writes anyway.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import Trainer

from hfft import checkpoints
from hfft.errors import listed

WEIGHTS = "model.safetensors"


def settle(trainer: Trainer, many: int) -> tuple[str, dict[str, Any]]:
    """Put the mean of the last `many` whole checkpoints into the model, unless the best one alone is better.

    Returns a sentence and, where the mean is kept, its validation value and its steps.
    """
    model: Any = trainer.model
    args: Any = trainer.args
    state = trainer.state
    folders = _last(Path(args.output_dir), many)
    if not folders or state.best_metric is None:
        return "checkpoints are not averaged: there is no whole one", {}
    steps = [int(folder.name.rpartition("-")[2]) for folder in folders]
    if len(folders) < 2:
        return "checkpoints are not averaged: there is only one", {}
    mean = average(folders)
    own = model.state_dict()
    if foreign := sorted(set(mean) - set(own)):
        named = listed(foreign, 3)
        return f"checkpoints are not averaged: they call weights by other names than the model ({named})", {}
    best = {name: own[name].detach().clone() for name in mean}
    model.load_state_dict(mean, strict=False)
    name = str(args.metric_for_best_model).removeprefix("eval_")
    rows: Any = trainer.eval_dataset
    whole = (args.fp16_full_eval, args.bf16_full_eval)
    args.fp16_full_eval = args.bf16_full_eval = False  # outside of training they would cast the model itself
    found: Any = trainer.predict(rows, metric_key_prefix="eval").metrics
    args.fp16_full_eval, args.bf16_full_eval = whole
    value, single = float(found[f"eval_{name}"]), float(state.best_metric)
    kept = value >= single if args.greater_is_better else value <= single
    if not kept:
        model.load_state_dict(best, strict=False)
    told = f"the mean of the weights at steps {listed(steps, 12)} has validation {name} {value:.4f}"
    other = f"the best checkpoint, at step {state.best_global_step:,}, {single:.4f}"
    sentence = f"{told}, {other}: {'the mean is kept' if kept else 'the single checkpoint is kept'}"
    return sentence, {"value": value, "step": steps[-1], "averaged": steps} if kept else {}


def average(folders: list[Path]) -> dict[str, torch.Tensor]:
    """The mean of every tensor over checkpoints, summed in float64. BatchNorm's running statistics are averaged like
    weights; whole numbers, such as counts of batches, are those of the newest, which comes last.
    """
    total: dict[str, torch.Tensor] = {}
    for folder in folders:
        for name, tensor in load_file(folder / WEIGHTS).items():
            if not tensor.is_floating_point():
                total[name] = tensor
            else:
                total[name] = tensor.double() + total.get(name, 0.0)
    kinds = {name: tensor.dtype for name, tensor in load_file(folders[-1] / WEIGHTS).items()}
    means = {name: t / len(folders) if t.is_floating_point() else t for name, t in total.items()}
    return {name: tensor.to(kinds[name]) for name, tensor in means.items()}


def _last(root: Path, many: int) -> list[Path]:
    """The newest whole checkpoints that the recipe asks for, the oldest first; those whose weights are in one file."""
    found = [path for path in reversed(checkpoints.every(root)) if checkpoints.planned(path)]
    whole = [path for path in found if (path / WEIGHTS).is_file() and checkpoints.whole(path)]
    return whole[:many][::-1]
