"""What happens beside the loop while the Trainer trains: callbacks, one for each purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import TrainerCallback

from hfft import checkpoints, timeline


class Seal(TrainerCallback):
    """Marks each checkpoint whole once every process has written its part."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if args.world_size > 1:
            torch.distributed.barrier()
        # Trainer looks for the best one before it is there, and some processes find it all the same: those would load
        # their part of a spread model from another checkpoint than the rest.
        best = Path(args.output_dir) / f"checkpoint-{state.best_global_step}"
        if best.is_dir():
            state.best_model_checkpoint = str(best)
        if args.should_save:
            checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")


FIRST_STEP = "first_step"  # seconds from the start of the process, or of the verb, to it


class Laps(TrainerCallback):
    """Tells the timeline what the Trainer has just done. Last of the callbacks: their time is part of it."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        timeline.lap("prepare")

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        timeline.first(FIRST_STEP)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        timeline.lap("train")

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        timeline.lap("evaluate")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        timeline.lap("save")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        timeline.lap("save")  # the best checkpoint was loaded


class Epochs(TrainerCallback):
    """Tells rows that are drawn or changed at random which epoch it is, also after a resume.

    An iterable is told by Trainer. Trainer's own iterator, and with it the workers, begins after this.
    """

    def __init__(self, rows: Any) -> None:
        kwargs = rows.format["format_kwargs"] if isinstance(rows, datasets.Dataset) else None
        self.change: Any = (kwargs or {}).get("transform", rows)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if hasattr(self.change, "epoch"):
            self.change.epoch = int((state.epoch or 0) + 1e-6)
