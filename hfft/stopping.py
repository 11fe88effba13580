"""When training ends before its last epoch: patience, a time budget, and a batch that did not fit into memory.

Callbacks for the Trainer. Each keeps a sentence, `said`, on what it did and what may be typed instead; None if nothing.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from hfft.agreeing import anywhere
from hfft.errors import counted


class Patience(TrainerCallback):
    """Ends training when the metric that chooses the checkpoint has not risen for so many evaluations.

    It counts in the log, which a checkpoint carries, and so goes on counting after a resume; the callback of
    transformers starts again from 0.
    """

    def __init__(self, evaluations: int) -> None:
        self.evaluations = evaluations
        self.said: str | None = None

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        name = f"eval_{args.metric_for_best_model.removeprefix('eval_')}"
        values = [row[name] for row in state.log_history if name in row]
        if not args.greater_is_better:
            values = [-value for value in values]
        since = len(values) - 1 - values.index(max(values))
        if since >= self.evaluations and state.global_step < state.max_steps:
            control.should_training_stop = True
            self.said = (
                f"stopped at step {state.global_step:,} of {state.max_steps:,}: {args.metric_for_best_model} was not "
                f"better for {counted(since, 'evaluation')} (train.patience)"
            )


class TimeBudget(TrainerCallback):
    """Ends training in time for one more evaluation within `minutes`; of several processes the slowest decides.

    The clock starts with the first step of a launch: what was trained before a resume does not count. used: seconds
    that features took before.
    """

    def __init__(self, minutes: float, used: float = 0.0) -> None:
        self.minutes, self.used = minutes, used
        self.ending = 0.0  # seconds that an evaluation and a checkpoint took, the longest of them
        self.begun = self.mark = 0.0
        self.said: str | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.begun = self.mark = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.mark = time.perf_counter()
        over = self.used + self.mark - self.begun + self.ending >= 60 * self.minutes
        if not anywhere(over, args) or state.global_step >= state.max_steps:
            return
        control.should_training_stop = True
        # By epochs, the Trainer evaluates and saves at the end of the epoch, which is now.
        control.should_evaluate |= args.eval_strategy == "steps"
        control.should_save |= args.save_strategy == "steps"
        share = state.global_step / state.max_steps
        epochs = state.num_train_epochs * share
        self.said = (
            f"stopped at step {state.global_step:,} of {state.max_steps:,} by train.minutes={self.minutes:g}; the "
            f"learning rate was planned for all steps: train.num_train_epochs={max(epochs, 0.1):.1f} lets it fall to "
            "its end in that time"
        )

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ending = max(self.ending, time.perf_counter() - self.mark)

    on_save = on_evaluate


class BatchSize(TrainerCallback):
    """Says when `train.auto_find_batch_size` took smaller batches, and gives the model its weights from before.

    Trainer begins again with a smaller batch, but on weights and with moments of the optimizer that may have been
    trained for some steps already, and beside the checkpoints of the failed try.
    """

    def __init__(self) -> None:
        self.before: dict[str, torch.Tensor] | None = None
        self.size = 0
        self.steps: list[int] = []
        self.said: str | None = None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.steps.append(state.global_step)

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any
    ) -> None:
        size = state.train_batch_size
        if self.before is None:
            self.size = size
            self.before = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        elif size != self.size:
            model.load_state_dict(self.before)
            getattr(optimizer, "optimizer", optimizer).state.clear()
            for step in self.steps:
                shutil.rmtree(Path(args.output_dir) / f"checkpoint-{step}", ignore_errors=True)
            self.steps.clear()
            asked = args.per_device_train_batch_size
            times = math.ceil(asked / size)
            rows, steps = math.ceil(asked / times), args.gradient_accumulation_steps * times
            self.said = (
                f"batches of {asked} did not fit into memory: trained with {size} (train.auto_find_batch_size); to "
                f"keep steps of {asked * args.gradient_accumulation_steps} rows, or nearly, type "
                f"train.per_device_train_batch_size={rows} train.gradient_accumulation_steps={steps}"
            )
