"""A run on two processes of which one is told to stop, and which then goes on: a program for tests/processes.py.

In: a folder. On stdout the first process prints exit codes and the step that was saved.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from benchmarks.survival import TASKS
from hfft import judging, progress
from tests.command import hfft

WORDS = (*TASKS["tiny_textcls"], "augment.typos=0.2", "train.save_steps=6", "train.eval_steps=6")
WORDS += ("train.per_device_train_batch_size=8",)
TOLD = 3  # the step at whose end the signal comes


def stop_at(step: int, number: int) -> None:
    """Send this process a signal when it has taken so many steps, once."""
    stepped = progress.ProgressLine.on_step_begin

    def step_begin(self, args, state, control, **more):
        if state.global_step == step - 1:
            progress.ProgressLine.on_step_begin = stepped
            os.kill(os.getpid(), number)
        return stepped(self, args, state, control, **more)

    progress.ProgressLine.on_step_begin = step_begin


if __name__ == "__main__":
    out, rank = Path(sys.argv[1]), os.environ["RANK"]
    judging.publish = lambda _: []
    codes = [hfft("run", "tiny_textcls", *WORDS, "--output-dir", str(out / "whole"))]
    if rank == "1":
        stop_at(TOLD, signal.SIGTERM)
    codes.append(hfft("run", "tiny_textcls", *WORDS, "--output-dir", str(out / "cut")))
    points = sorted(path.name for path in (out / "cut" / "checkpoints").glob("checkpoint-*"))
    codes.append(hfft("run", str(out / "cut"), "--resume"))
    if rank == "0":
        print(codes, points)
    assert codes == [0, 130, 0]
