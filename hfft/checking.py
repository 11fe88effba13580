"""The verb `check`: everything that can be said before training, in small steps.

In: a recipe's name and overrides. Out: plain facts. It trains nothing, reads no weights and writes nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hfft import backbones, profiling, reading, recipe, rooms, sizing, training
from hfft.errors import InputError
from hfft.reading import Say
from hfft.recipe import Recipe
from hfft.records import RunFolder
from hfft.splitting import Splits


def check(name: str, overrides: tuple[str, ...] = (), say: Say = print) -> dict[str, Any]:
    """Read a recipe and its data as training would, and report what is there, and what its test split can tell."""
    wanted = recipe.load(name, overrides)
    splits = reading.splits(wanted, say)
    facts = {"recipe": name, "task": wanted.task, **dataclasses.asdict(splits.report)}
    return facts | {
        "profile": _profile(wanted, splits, say),
        "examples": profiling.examples(splits.parts["train"], rooms.find("modalities", wanted.task), wanted.seed),
        "sizing": dataclasses.asdict(sizing.assess(splits.report.counts, _validated(name))),
    }


def _profile(wanted: Recipe, splits: Splits, say: Say) -> dict[str, Any]:
    modality = rooms.find("modalities", wanted.task)
    batch = wanted.train.get("per_device_train_batch_size", training.DEFAULTS["per_device_train_batch_size"])
    processor = None
    try:
        processor = backbones.processor(wanted.model, modality)
    except InputError as error:  # the data can be looked at all the same, and the sentence tells what a run would say
        say(f"  note: inputs are not measured as the model gets them: {error}")
    return profiling.profile(splits.parts, modality, processor, wanted.model, batch, wanted.seed)


def _validated(name: str) -> float | None:
    """The validation accuracy, where `name` is a finished run."""
    if not Path(name).is_dir():
        return None
    score = RunFolder(Path(name)).read_scores().get("validation", {}).get("accuracy")
    return score.value if score else None
