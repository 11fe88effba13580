"""The verb `check`: everything that can be said before training, in small steps.

In: a recipe's name and overrides. Out: plain facts. It leaves nothing behind.
"""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any

import datasets

from hfft import backbones, claiming, gathering, mask_profile, profiling, recipe, rehearsing, sizing
from hfft.errors import InputError
from hfft.gathering import Inputs, Say
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder
from hfft.trainer_options import DEFAULTS


def check(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    hub: str | None = None,
    fast: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Read a recipe and its data as training would, say what is there, and rehearse the run in small.

    fast: read only; opens no model. hub: OWNER/NAME that a push would go to. The facts' "rehearsal" holds problems,
    notes and the quote. Leaves nothing behind.
    """
    clock = time.perf_counter()
    if not fast:
        rehearsing.alone()
    wanted = recipe.load(name, overrides)
    found = gathering.read(wanted, say, gathering.SHOWN)
    if fast:
        gathering.check_names(wanted, found.splits.labels)
        gathering.balance(wanted, found, say)
    parts = gathering.shown_parts(found)
    facts = {"recipe": name, "task": wanted.task, **found.report.facts()}
    profile = _profile(wanted, parts, found, say)
    facts |= {
        "profile": profile,
        "examples": profiling.examples(parts["train"], found.modality, wanted.seed, wanted.dealt.multi_label),
        "sizing": mask_profile.sized(profile["masks"], found.report.size("test"), _groups(parts.get("test")))
        if wanted.masks
        else dataclasses.asdict(sizing.assess(found.report.counts, _validated(name), found.report.rows or None)),
    }
    if fast:
        return facts
    say("rehearsing the run in small …")
    read, folder = time.perf_counter() - clock, claiming.folder(name, output_dir)
    stream = None if found.survey is None else partial(gathering.training_rows, found, wanted)
    played = rehearsing.rehearse(
        wanted, found.splits.labels, parts["train"], parts["validation"], folder, hub, read, found.report, stream
    )
    return facts | {"rehearsal": dataclasses.asdict(played)}


def _profile(wanted: Recipe, parts: dict[str, datasets.Dataset], found: Inputs, say: Say) -> dict[str, Any]:
    batch = wanted.train.get("per_device_train_batch_size", DEFAULTS["per_device_train_batch_size"])
    processor = None
    try:
        processor = backbones.processor(wanted.model, found.modality)
    except InputError as error:  # the data can be looked at all the same, and the sentence tells what a run would say
        say(f"  note: inputs are not measured as the model gets them: {error}")
    counts = found.report.counts["train"]
    made = profiling.profile(
        parts, found.modality, processor, wanted.model, batch, wanted.seed, counts, found.report.rows
    )
    if (drawn := len(parts["train"])) < (whole := found.report.size("train")):
        first = f"Inputs were measured on a random {drawn:,} of {whole:,} training rows and all validation rows."
        made["sentences"].insert(0, first)
    return made


def _validated(name: str) -> float | None:
    """The validation accuracy, where `name` is a finished run."""
    if not Path(name).is_dir():
        return None
    score = RunFolder(Path(name)).read_scores().get("validation", {}).get("accuracy")
    return score.value if score else None


def _groups(rows: datasets.Dataset | None) -> int | None:
    """Groups that the rows belong to; None where they belong to none."""
    return len(set(rows["group"][:])) if rows is not None and "group" in rows.column_names else None
