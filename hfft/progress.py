"""What a person watches while a model trains: one line, redrawn on a terminal and sparse when piped.

In: the callbacks of `Trainer`. Out: stderr. Nothing here changes training.
"""

from __future__ import annotations

import math
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from hfft.milestones import HEAD

PIPED_SECONDS = 20  # between lines when nobody watches live
ONE_OF_MANY = 120  # the same of a training among many, whose ends say enough


class ProgressLine(TrainerCallback):
    """Epoch, loss, examples per second and time left. Evaluation time does not count into the speed."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.bar: Progress | None = None
        self.loss = math.nan
        self.seconds = 0.0
        self.examples = 0
        self.mark = 0.0
        self.printed = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.first = state.global_step
        self.mark = self.printed = time.perf_counter()
        if not state.is_world_process_zero or not self.console.is_terminal:
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self.task = self.bar.add_task(
            HEAD.get() or "training", total=state.max_steps, completed=state.global_step, facts=""
        )
        self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.perf_counter()
        self.seconds, self.mark = self.seconds + now - self.mark, now
        size = state.train_batch_size or args.train_batch_size  # the first, where memory was short of the second
        self.examples += size * args.gradient_accumulation_steps * args.world_size
        if not state.is_world_process_zero:
            return
        loss = "" if math.isnan(self.loss) else f"loss {self.loss:.3f}  "
        facts = f"epoch {state.epoch:.1f}  {loss}{self.speed:.0f} examples/s"
        if self.bar is not None:
            self.bar.update(self.task, completed=state.global_step, facts=facts)
        elif now - self.printed > (ONE_OF_MANY if HEAD.get() else PIPED_SECONDS):
            self.printed = now
            left = self.seconds / (state.global_step - self.first) * (state.max_steps - state.global_step)
            self.console.print(f"  step {state.global_step:,}/{state.max_steps:,}  {facts}  {left:.0f} s left")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.loss = (logs or {}).get("loss", self.loss)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        self.mark = time.perf_counter()
        if state.is_world_process_zero and metrics and not HEAD.get():  # of many runs each one's end says enough
            shown = "  ".join(f"{k} {metrics[f'eval_{k}']:.4f}" for k in dict.fromkeys((self.metric, "loss")))
            self.console.print(f"  epoch {state.epoch:.1f}  validation {shown}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.bar is not None:
            self.bar.stop()

    @property
    def speed(self) -> float:
        """Training examples per second; 0 before the first step."""
        return self.examples / self.seconds if self.seconds else 0.0


class StopOnNaN(TrainerCallback):
    """Ends training at the first loss or gradient that is not a number; weights after it are worthless."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        # A loss scaler for float16 probes for overflow: its infinite gradients are skipped, not taken.
        for name in ("loss", "eval_loss") if args.fp16 else ("loss", "eval_loss", "grad_norm"):
            value = (logs or {}).get(name)
            if value is not None and not math.isfinite(float(value)):
                raise FloatingPointError(
                    f"{name} became {float(value)} at step {state.global_step} of {state.max_steps}"
                )
