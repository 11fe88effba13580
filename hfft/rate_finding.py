"""The verb `lr`: which learning rate to try first, measured on the recipe's own model and training rows.

In: a recipe's name and overrides. Out: plain facts. It trains for a hundred steps in a folder that is removed, opens
neither validation nor test for a score, and writes nothing.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
import transformers

from hfft import (
    backbones,
    gathering,
    predicting,
    rates,
    recipe,
    scratch,
    spreading,
    sweeping,
    trainer_arguments,
    training,
)
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder
from hfft.trainer_options import OWN

STEPS = 100
SPARE = 8  # validation rows that the Trainer wants to see and does not ask for
STILL: dict[str, Any] = {
    "learning_rate": 1.0, "lr_scheduler_type": "constant", "warmup_steps": 0, "eval_strategy": "no",
    "save_strategy": "no", "load_best_model_at_end": False, "logging_strategy": "steps", "logging_steps": 1,
    "report_to": "none", "auto_find_batch_size": False,
}  # fmt: skip


def find(name: str, overrides: tuple[str, ...] = (), steps: int = STEPS, say: Say = print) -> dict[str, Any]:
    """Sweep the learning rate over `steps` steps of training and read off a rate to start from.

    Raises InputError under a launcher of several processes, and for fewer steps than a curve needs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("a learning-rate sweep runs in one process; type `hfft lr` without the launcher")
    if steps < (least := 3 * sweeping.LEAST):
        raise InputError(f"--steps {steps}: expected at least {least}; fewer make no curve")
    wanted, _ = spreading.alone(recipe.load(name, overrides))
    found = gathering.read(wanted, say, steps * wanted.train.get("per_device_train_batch_size", 16))
    parts = gathering.shown_parts(found)
    with scratch.folder("lr") as place:
        small, folder = _small(wanted, steps), RunFolder(place / "run")
        args = trainer_arguments.arguments(small, folder)
        transformers.set_seed(wanted.seed)
        backbone = backbones.load(wanted.model, found.modality, found.splits.labels, wanted.data.multi_label)
        usual = rates.rate(backbone.model, wanted, args)
        train = predicting.labelled(parts["train"], backbone)
        seen = predicting.labelled(parts["validation"].select(range(min(SPARE, len(parts["validation"])))), backbone)
        sweep = sweeping.Sweep(steps)
        say(f"sweeping the learning rate over {steps} steps of {args.per_device_train_batch_size} training rows …")
        try:
            training.fit(small, args, backbone, found.modality, train, seen, folder, watch=sweep)
        except InputError:
            if len(sweep.losses) < sweeping.LEAST:  # else it ended as a sweep may: with a loss that is not a number
                raise
    read = sweeping.read(np.array(sweep.rates), np.array(sweep.losses))
    facts = {"recipe": name, "steps": len(sweep.rates), "suggested": read.suggested, "begins": read.begins}
    facts |= {"lowest": read.lowest, "default": usual[0] if usual else None}
    return facts | {"rates": sweep.rates, "losses": sweep.losses, "smooth": read.smooth.tolist()}


def _small(wanted: Recipe, steps: int) -> Recipe:
    """The recipe for a sweep: its own batches, loss and optimizer, and nothing that happens between steps."""
    kept = {key: value for key, value in wanted.train.items() if key not in OWN}
    adapt = dataclasses.replace(wanted.adapt, average=None)  # of checkpoints, which a sweep has not
    return dataclasses.replace(wanted, adapt=adapt, train=kept | STILL | {"max_steps": steps})
