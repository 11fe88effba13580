"""The numbers a training step computes in: fp32, tf32, bf16 or fp16, chosen by a short measurement on this machine.

In: a recipe, a model, a batch and its loss. Out: a `Choice`, put into the `TrainingArguments`. Weights and moments stay
float32 whatever is chosen (automatic mixed precision: Micikevicius et al. 2018). It must not know rows or tasks.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainingArguments

from hfft import arranging, spreading
from hfft.agreeing import agreed
from hfft.errors import InputError
from hfft.recipe import Recipe
from hfft.records import read_json, write_json
from hfft.schema_speed import AUTO
from hfft.trial_steps import BF16, FP16, FP32, HALVES, TF32, Gradients, Step, close, tf32

WINS = 1.15  # times as fast as what is chosen so far: closer ones would change places from run to run
SECONDS, ROUNDS, LEAST = 0.3, 20, 3  # of the measurement: at most, and rounds of one step of each
LEAST_WORK = 4e9  # floating point operations of a step; of smaller ones little is products, and chance would choose
# On a CPU, where more rows take more time and not more cores, a step is measured on the first few, of some 0.05 s.
FEW, WORK = 2, 8e9
GIVEN = "speed.precision"
# With these a step takes less memory, or another number of rows, than the one that would be measured.
NOT_MEASURED = ("activation_checkpointing", "auto_find_batch_size")
KEPT = "precision.json"  # beside the checkpoints, for a resume

_choices: ContextVar[dict[str, Choice] | None] = ContextVar("choices", default=None)

Run = Callable[[str], Any]  # one step, forward and backward, in a precision


@dataclass(frozen=True)
class Choice:
    """why: a sentence's second half. times: of those that were tried, the speed relative to fp32; 0: not safe."""

    precision: str
    why: str
    times: dict[str, float] = field(default_factory=dict)


def candidates(args: TrainingArguments) -> tuple[list[str], str]:
    """(what may be faster than fp32 here, in the order of preference; why there is nothing)."""
    device = args.device
    if device.type == "cuda":
        # Where train.tf32 or the compiler has set it, it is not ours to choose.
        free = args.tf32 is None and not args.torch_compile
        found = [TF32] if free and torch.cuda.get_device_capability()[0] >= 8 else []
        return [*found, *([BF16] if torch.cuda.is_bf16_supported(including_emulation=False) else []), FP16], ""
    if device.type == "cpu":
        # Whether it is faster depends on the CPU and on the network, by 0.5 to 2 times: see docs/speed.md.
        if torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported():
            return [BF16], ""
        return [], "this CPU has no products of bf16 (AMX or AVX512_BF16), without which it is slower"
    return [], f"nothing else is measured on {device.type}"


def given(recipe: Recipe, args: TrainingArguments) -> Choice | None:
    """What the recipe says; None where it leaves the choice. Raises InputError for what this machine cannot do."""
    for name in (BF16, FP16):
        if getattr(args, name):
            return Choice(name, f"train.{name}")
    wanted, launched = recipe.speed.precision, getattr(args, "mixed_precision", "no")
    if wanted == AUTO:
        return Choice(launched, "accelerate launch --mixed_precision") if launched in HALVES else None
    if wanted == FP16 and args.device.type == "cpu":
        raise InputError("speed.precision: fp16 trains on a GPU only; on CPU type speed.precision=bf16, fp32 or auto")
    if wanted == BF16 and args.device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise InputError("speed.precision: this GPU has no bf16; type speed.precision=fp16, fp32 or auto")
    return Choice(wanted, GIVEN)


def choose(names: Sequence[str], step: Step, now: Callable[[], float] = time.perf_counter) -> Choice:
    """The fastest of fp32 and `names` that is safe and wins clearly. The model comes out as it went in."""
    with step.untouched():
        work, known = _fitted(step)
        if work < LEAST_WORK or step.rows == 1:  # of one row BatchNorm has no variance
            return Choice(FP32, "a step is too small for anything else to pay")
        safe = [name for name in names if close(known, step.gradients(name))]
        del known
        step.model.train()
        spent = _times([FP32, *safe], step, now)
    chosen, times = FP32, {name: round(spent[FP32] / spent[name], 2) if name in safe else 0.0 for name in names}
    for name in safe:
        if spent[chosen] / spent[name] >= WINS:
            chosen = name
    told = ", ".join(f"{name} {times[name]:.2f} x" if name in safe else f"{name} not safe" for name in names)
    return Choice(chosen, f"measured beside fp32: {told}", times)


def _fitted(step: Step) -> tuple[float, Gradients]:
    """(floating point operations of a step of the whole batch; what it gives in float32, on the rows to measure on)."""
    whole = len(step.inputs["labels"])
    step.rows = min(FEW, whole) if step.device.type == "cpu" else whole
    with FlopCounterMode(display=False) as counter:
        known = step.gradients(FP32)
    of_row = counter.get_total_flops() / step.rows
    rows = min(max(math.ceil(WORK / of_row), FEW), whole) if of_row else whole
    if rows > step.rows and of_row * whole >= LEAST_WORK:
        step.rows = rows
        known = step.gradients(FP32)
    return of_row * whole, known


def settle(
    recipe: Recipe,
    args: TrainingArguments,
    step: Callable[[], Step] | None,
    place: Path,
    resumed: bool,
    say: Callable[[str], None],
) -> Choice:
    """The choice for a training that begins, or goes on, told to `args`; the same on all processes.

    step: None where nothing is worth it. place: of the checkpoints, where the choice is kept: a run goes on in the
    precision that it began with.
    """
    found = given(recipe, args)
    if found is None and resumed:
        found = _kept(place / KEPT)
    if found is None:
        known = {} if (held := _choices.get()) is None else held
        asked = repr((recipe.task, recipe.model, args.per_device_train_batch_size, step is None))
        found = known[asked] if asked in known else _best(args, step)
        known[asked] = found
        if found.times:  # what nothing was measured for is nobody's question; why is in environment.json
            say(f"precision: {found.precision} ({found.why})")
    if found.precision in HALVES:
        setattr(args, found.precision, True)
        args.mixed_precision = found.precision
        AcceleratorState._reset_state()  # it may hold another precision, of a model that predicted before
    elif found.why == GIVEN:
        args.mixed_precision = "no"  # whatever the launcher says
    if args.process_index == 0 and args.save_strategy != "no":
        write_json(place / KEPT, dataclasses.asdict(found))
    return found


def of_answers(args: TrainingArguments, choice: Choice) -> TrainingArguments:
    """What validation is asked with: on a CPU in float32, as whoever loads the model will, where `train.` does not say
    bf16 for answers, too. Layers that are laid out once are as fast there.
    """
    if args.device.type != "cpu" or choice.why.startswith("train."):
        return args
    whole = copy.copy(args)
    whole.bf16 = whole.fp16 = False
    return whole


def _best(args: TrainingArguments, step: Callable[[], Step] | None) -> Choice:
    if step is None:
        return Choice(FP32, "a head alone is trained")
    names, why = candidates(args)
    if names and (why_not := unmeasured(args)):
        names, why = [], why_not
    return agreed(lambda: _measured(names, step)) if names else Choice(FP32, why)  # type: ignore[no-any-return]


def unmeasured(args: TrainingArguments) -> str:
    """Why no step is taken before training begins; "" where one may be."""
    key = next((f"train.{key}" for key in NOT_MEASURED if getattr(args, key, None)), spreading.way(args))
    return f"not measured with {key}, without which the model may not fit" if key else ""


def _measured(names: Sequence[str], step: Callable[[], Step]) -> Choice:
    try:
        return choose(names, step())
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return Choice(FP32, "there was no memory to measure in")
    finally:
        arranging.give_back()


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Within it, trainings of the same model and batch are of one precision: those of folds or seeds are compared."""
    token = _choices.set({} if _choices.get() is None else _choices.get())
    try:
        yield
    finally:
        _choices.reset(token)


@contextlib.contextmanager
def applied(choice: Choice) -> Iterator[None]:
    """Around training: what no argument of the Trainer carries."""
    with tf32(choice.precision == TF32):
        yield


def _kept(path: Path) -> Choice:
    """What the run began with; runs of before it was kept had float32."""
    return Choice(**read_json(path)) if path.is_file() else Choice(FP32, "as the run began")


def _times(names: Sequence[str], run: Run, now: Callable[[], float]) -> dict[str, float]:
    """Median seconds of a step, in rounds of one step of each, so that a busy machine is busy for all."""
    laps: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        run(name)  # kernels are chosen and memory is taken
    began = now()
    for done in range(ROUNDS):
        if done >= LEAST and now() - began > SECONDS:
            break
        for name in names:
            mark = now()
            run(name)
            laps[name].append(now() - mark)
    return {name: median(found) for name, found in laps.items()}
