"""Ctrl-C and SIGTERM while a model trains: a step is finished, a checkpoint saved, and it is said how to go on.

In: the callbacks of `Trainer`. Out: `Interrupted`, on all processes of a launch at the same step. A second signal ends
at once. It must not know how a checkpoint is made.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from hfft.agreeing import anywhere, first
from hfft.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A launcher passes on what the terminal has sent to its processes already: for so many seconds that is one signal.
ECHO = 2.0


class Interruption(TrainerCallback):
    """run: its folder, as it is typed. After all callbacks that end training by themselves.

    It also moves a save that falls on the last step of an epoch behind what is evaluated and logged at the epoch's
    end: a run that went on from there would never do that.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.heard: signal.Signals | None = None
        self.when = 0.0
        self.stopping = self.later = False
        self.args: Any = None
        self.group: Any = None  # of processes that agree without waiting for a GPU
        self.before: dict[signal.Signals, Any] = {}
        self.owner = os.getpid()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within it a signal is noted, and looked at when a step ends. At the end of training as well."""
        self.owner = os.getpid()
        if threading.current_thread() is threading.main_thread():
            known = {number: signal.getsignal(number) for number in SIGNALS}
            self.before = {n: was for n, was in known.items() if was not in (signal.SIG_IGN, None)}
        for number in self.before:
            signal.signal(number, self._hear)
        try:
            yield
        except Exception:  # a trial that is not worth its time, or an error: no step will look at the signal any more
            self._deaf()
            if self.heard is not None:
                signal.raise_signal(self.heard)
            raise
        finally:
            self._deaf()
        heard = self.heard is not None
        if anywhere(heard, self.args, self.group) if self.args is not None else heard:
            raise Interrupted(f"{self._said}: the training is over, but not yet told; {self._again}")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.args = args
        if args.world_size > 1 and self.group is None and "gloo" not in str(torch.distributed.get_backend()):
            self.group = torch.distributed.new_group(backend="gloo")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # What comes at the end of an epoch, also of one that is cut short, comes next.
        ends = float(state.epoch).is_integer() or control.should_training_stop
        self.stopping = self.stopping or anywhere(self.heard is not None, args, self.group)
        if self.stopping and args.save_strategy == "no":
            raise Interrupted(f"{self._said}; nothing is saved, as train.save_strategy=no asks for")
        control.should_save |= self.stopping and not ends
        if ends and control.should_save and "epoch" in (args.eval_strategy, args.logging_strategy):
            control.should_save, self.later = False, True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_save |= self.later or self.stopping
        self.later = False

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not self.stopping:
            return
        many = f", with {args.world_size} processes as now" if args.world_size > 1 else ""
        place = f"step {state.global_step:,} of {state.max_steps:,}"
        raise Interrupted(f"{self._said} at {place}, which is saved; {self._again}{many}")

    @property
    def _said(self) -> str:
        # In a launch another process may have been told, and not this one.
        return {signal.SIGINT: "stopped by Ctrl-C", signal.SIGTERM: "stopped by SIGTERM"}.get(self.heard, "stopped")  # type: ignore[arg-type]

    @property
    def _again(self) -> str:
        return f"type `hfft run {self.run} --resume` to go on"

    def _hear(self, number: int, frame: object) -> None:
        if os.getpid() != self.owner:  # forked from it, to load rows, which the step may still need
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        launched = os.environ.get("WORLD_SIZE", "1") != "1"
        if self.heard is None:
            self.heard, self.when = signal.Signals(number), time.monotonic()
            if first():  # print may be in the middle of a line, and is not to be entered twice
                os.write(2, b"\nhfft: stopping when this step is done and saved; once more to stop at once\n")
        elif not launched or time.monotonic() - self.when > ECHO:
            self._deaf()
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            raise KeyboardInterrupt

    def _deaf(self) -> None:
        for number, was in self.before.items():
            signal.signal(number, was)
        self.before = {}
