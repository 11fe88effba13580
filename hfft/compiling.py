"""Whether a training runs through torch.compile: where the recipe says so, or where it pays for the time it takes.

In: a recipe, its arguments, a training step and how many there will be. Out: a `Choice`, put into the arguments. It
must not know rows or tasks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from hfft.agreeing import agreed
from hfft.errors import InputError
from hfft.precisions import unmeasured
from hfft.recipe import Recipe
from hfft.records import read_json, write_json
from hfft.schema_speed import AUTO
from hfft.trial_steps import Step

LONG = 20 * 60.0  # seconds of training below which compiling is not even tried
WINS = 1.1  # times as fast as without
PAYS = 2.0  # times the seconds it takes: shapes that come later are compiled, too
LAPS = 5
BACKEND = "inductor"
KEPT = "compile.json"  # beside the checkpoints


@dataclass(frozen=True)
class Choice:
    """compiled: whether it is. why: a sentence's second half."""

    compiled: bool
    why: str


def check(recipe: Recipe, args: TrainingArguments) -> None:
    """Raise InputError where `speed.compile: true` cannot be had."""
    if recipe.speed.compile is not True:
        return
    if reason := unfit(recipe):
        raise InputError(f"speed.compile: {reason}; type speed.compile=false, or leave it out")
    if args.device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", ""), "g++", "clang++", "c++"))):
        raise InputError(
            "speed.compile: on CPU it needs a C++ compiler, and there is none; install g++, or leave it out"
        )


def unfit(recipe: Recipe) -> str:
    """Why compiling does not go with the rest of the recipe; "" where it does."""
    if recipe.adapt.unfreeze:
        return "adapt.unfreeze changes what is trained in each epoch, and each change would be compiled anew"
    if recipe.adapt.freeze == "backbone":
        return "adapt.freeze: backbone trains a head alone, of which there is nothing to compile"
    if recipe.train.get("auto_find_batch_size"):
        return "train.auto_find_batch_size begins anew where memory is short, and with it the compiling"
    return ""


def settle(
    recipe: Recipe,
    args: TrainingArguments,
    step: Callable[[], Step] | None,
    precision: str,
    steps: int,
    place: Path,
    resumed: bool,
    say: Callable[[str], None],
) -> Choice:
    """The choice for a training of so many steps in a precision, told to `args`; the same on all processes.

    step: None where there is nothing to compile. place: of the checkpoints, where a measured choice is kept: a run goes
    on as it began.
    """
    if args.torch_compile:
        return Choice(True, "train.torch_compile")
    wanted = recipe.speed.compile
    if wanted != AUTO:
        found = Choice(bool(wanted), "speed.compile")
    elif args.device.type == "cpu":
        found = Choice(False, "on CPU it took longer to compile than it saved")
    elif step is None or unfit(recipe) or unmeasured(args):
        found = Choice(False, unfit(recipe) or unmeasured(args) or "a head alone is trained")
    elif resumed and (place / KEPT).is_file():
        found = Choice(**read_json(place / KEPT))
    else:
        found = agreed(lambda: measured(step(), precision, steps))
        if args.process_index == 0 and args.save_strategy != "no":
            write_json(place / KEPT, dataclasses.asdict(found))
        say(f"compile: {'yes' if found.compiled else 'no'} ({found.why})")
    if found.compiled:
        args.torch_compile, args.torch_compile_backend = True, args.torch_compile_backend or BACKEND
    return found


def measured(
    step: Step, precision: str, steps: int, backend: str = BACKEND, now: Callable[[], float] = time.perf_counter
) -> Choice:
    """Whether compiling pays within so many steps; tried only where they take long. Nothing is left changed."""
    with step.untouched():
        step.model.train()
        plain = _each(step, precision, now)
        if steps * plain < LONG:
            return Choice(False, f"compiling is tried from {LONG / 60:.0f} minutes of training on")
        began = now()
        try:
            with _compiled(step, backend):
                step(precision)
                taken = now() - began
                fast = _each(step, precision, now)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return Choice(False, "there was no memory to measure in")
    pays = plain / fast >= WINS and steps * (plain - fast) > PAYS * taken
    return Choice(pays, f"a step {plain / fast:.2f} x as fast, compiled in {taken:.0f} s, for {steps:,} steps")


@contextlib.contextmanager
def _compiled(step: Step, backend: str) -> Iterator[None]:
    plain = step.model
    step.model = torch.compile(plain, backend=backend)
    try:
        yield
    finally:
        step.model = plain
        torch._dynamo.reset()


def _each(step: Step, precision: str, now: Callable[[], float]) -> float:
    """Seconds of a step, the least of a few."""
    laps: list[Any] = []
    for _ in range(LAPS + 1):
        mark = now()
        step(precision)
        laps.append(now() - mark)
    return float(min(laps[1:]))
