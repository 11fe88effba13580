"""What a run will cost: steps, time, memory and disk, from a few measured steps.

In: the training arguments, row counts and what a rehearsal measured. Out: a `Plan` and a `Quote`. Arithmetic only: it
must not know how anything was measured. No torch, no transformers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import t as student

# A machine is never twice the same: clocks, caches and neighbours move a run by this share although no sample shows it.
DRIFT = 0.10
# AdamW keeps two float32 moments per trained weight; other optimizers keep less, and are not counted before measuring.
MOMENTS = {"adamw_torch": 2, "adamw_torch_fused": 2}
FLOAT = 4


@dataclass(frozen=True)
class Plan:
    """steps: optimizer steps. evaluations, checkpoints: how many of each. kept, most: checkpoints at the end and
    on disk at any one time, where the best is not the newest.
    """

    steps: int
    evaluations: int
    checkpoints: int
    kept: int
    most: int


@dataclass(frozen=True)
class Measured:
    """steps: seconds each, warm-up left out. rows_per_second: of evaluation. checkpoint: seconds for one.

    before, after: seconds until training begins, and from its last step to the report without prediction. memory_gb,
    accelerator_gb: largest so far (None: no accelerator). model_bytes, checkpoint_bytes: on disk.
    """

    steps: Sequence[float]
    rows_per_second: float
    checkpoint: float
    before: float
    after: float
    memory_gb: float
    accelerator_gb: float | None
    model_bytes: int
    checkpoint_bytes: int


@dataclass(frozen=True)
class Quote:
    """low, high: seconds of `hfft run` from its first line, as a range. disk_kept_mb stays, disk_peak_mb passes by."""

    low: float
    high: float
    steps: int
    steps_measured: int
    seconds_per_step: float
    evaluations: int
    memory_gb: float
    accelerator_gb: float | None
    disk_kept_mb: float
    disk_peak_mb: float


def plan(args: Any, rows: int) -> Plan:
    """How often `Trainer` steps, evaluates and saves for `args` and training `rows`, on all processes together."""
    batches = math.ceil(rows / (args.per_device_train_batch_size * args.world_size))
    epoch = max(1, math.ceil(batches / args.gradient_accumulation_steps))
    steps = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * epoch)
    evaluations = _times(args.eval_strategy, args.eval_steps, steps, epoch)
    # "best" saves after an evaluation that was better than all before: at most each time.
    best = args.save_strategy == "best"
    checkpoints = evaluations if best else _times(args.save_strategy, args.save_steps, steps, epoch)
    limit = args.save_total_limit or checkpoints
    # The best one is kept beside the newest while training goes on, and each is written before another one is removed.
    most = max(limit, 2 if args.load_best_model_at_end else 1) + 1
    return Plan(steps, evaluations, checkpoints, min(limit, checkpoints), min(most, checkpoints))


def quote(planned: Plan, found: Measured, validation_rows: int, minutes: float | None = None) -> Quote:
    """Time as a range: the 95 % t interval of the mean step, and DRIFT of the whole on top.

    The sum is what happens: reading and loading, every step, every evaluation and checkpoint, one more prediction of
    the validation rows by the saved model, scoring and the report. minutes: after which training ends (train.minutes).
    """
    steps = np.asarray(found.steps, dtype=float)
    mean, n = float(steps.mean()), len(steps)
    planned = _cut(planned, 60 * minutes / mean) if minutes else planned
    passes = (planned.evaluations + 1) * validation_rows / found.rows_per_second
    total = found.before + planned.steps * mean + passes + planned.checkpoints * found.checkpoint + found.after
    half = planned.steps * float(student.ppf(0.975, n - 1) * steps.std(ddof=1) / math.sqrt(n)) if n > 1 else total
    spread = half + DRIFT * total
    kept, peak = disk(planned, found.model_bytes, found.checkpoint_bytes)
    return Quote(
        low=max(total - spread, total / 2),
        high=total + spread,
        steps=planned.steps,
        steps_measured=n,
        seconds_per_step=mean,
        evaluations=planned.evaluations,
        memory_gb=found.memory_gb,
        accelerator_gb=found.accelerator_gb,
        disk_kept_mb=kept / 1e6,
        disk_peak_mb=peak / 1e6,
    )


def _cut(planned: Plan, steps: float) -> Plan:
    """The plan of a run that ends after so many steps."""
    share = min(1.0, steps / planned.steps)
    evaluations, checkpoints = (math.ceil(count * share) for count in (planned.evaluations, planned.checkpoints))
    return replace(planned, steps=math.ceil(planned.steps * share), evaluations=evaluations, checkpoints=checkpoints)


def disk(planned: Plan, model_bytes: int, checkpoint_bytes: int) -> tuple[int, int]:
    """(bytes that stay, bytes needed at once) by the model and its checkpoints."""
    return model_bytes + planned.kept * checkpoint_bytes, model_bytes + planned.most * checkpoint_bytes


def sizes(parameters: int, args: Any, kept: int | None = None, trained: int | None = None) -> tuple[int, int]:
    """(bytes of the saved model, bytes of one checkpoint) from the number of parameters: the least they can be.

    kept, trained: of the parameters, those that a checkpoint holds and those that are trained (default: all).
    """
    kept, trained = parameters if kept is None else kept, parameters if trained is None else trained
    moments = 0 if args.save_only_model else MOMENTS.get(str(getattr(args.optim, "value", args.optim)), 0)
    return parameters * FLOAT, (kept + trained * moments) * FLOAT


def _times(strategy: str, every: float | None, steps: int, epoch: int) -> int:
    """How often something happens that happens every epoch, or every so many steps (below 1: a share of all)."""
    if strategy == "epoch":
        return math.ceil(steps / epoch)
    if strategy == "steps" and every:
        return math.ceil(steps / (every if every >= 1 else math.ceil(steps * every)))
    return 0
