"""What happens beside the loop while the Trainer trains: callbacks, one for each purpose."""

from __future__ import annotations

from typing import Any

import datasets
from transformers import TrainerCallback

from hfft import timeline

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
