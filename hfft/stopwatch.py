"""Measures a short training: seconds per step, per validation row and per checkpoint, and the losses.

In: the callbacks of `Trainer`. Out: numbers. It stands where a progress line would, prints nothing, and ends the
training early when its time is used up. Nothing is written down here.
"""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback

LEAST_STEPS = 4  # the first is warm-up; three say something of the spread


class Stopwatch(TrainerCallback):
    """limit: seconds after which no further step is taken.

    steps: seconds of each step, data loading included, warm-up first. batches: seconds of each evaluation batch, and
    rows: of each. checkpoint: seconds of writing one, None when none was written. losses: of each step. place: what is
    being done.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.steps: list[float] = []
        self.batches: list[float] = []
        self.rows: list[int] = []
        self.checkpoint: float | None = None
        self.losses: list[float] = []
        self.place = "first step"
        self.started = self.mark = time.perf_counter()

    @property
    def speed(self) -> float:
        """Unused by a rehearsal; `training.fit` asks whatever watches for it."""
        return 0.0

    def rows_per_second(self, seen: int, largest: int) -> float:
        """Of an evaluation of `seen` rows. The `largest` of them come first, and with them the warm-up: those
        after them are like the rows of the real run, and alone count where there are any.
        """
        done = 0
        for number, rows in enumerate(self.rows, 1):
            done += rows
            if largest <= done < seen:
                return (seen - done) / sum(self.batches[number:])
        return seen / sum(self.batches)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.started = self.mark = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.steps.append(self._lap())
        self.place = "training steps"
        if len(self.steps) >= LEAST_STEPS and self.mark - self.started > self.limit:
            control.should_training_stop = True
            control.should_evaluate = args.eval_strategy != "no"
            control.should_save = args.save_strategy != "no"
        if control.should_evaluate:
            self.place = "validation"

    def on_prediction_step(self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **_: Any) -> None:
        self.batches.append(self._lap())
        # See evaluation_loop.py; the Trainer's own loop has batches of one size.
        self.rows.append(eval_dataloader[-1] if isinstance(eval_dataloader, list) else args.per_device_eval_batch_size)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" in (logs or {}):
            self.losses.append(float(logs["loss"]))
            # What was logged was waited for: with accelerators only now the step is over.
            self.steps[-1] += self._lap()

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.place = "checkpoint"
        self._lap()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.checkpoint = self._lap()
        self.place = "end of training"

    def _lap(self) -> float:
        now = time.perf_counter()
        lap, self.mark = now - self.mark, now
        return lap
