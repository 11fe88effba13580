"""The processes of a launch: how long they wait for one another, and whether all machines have the same before them.

In: a timeout; what each process has read. Out: a process group, or InputError on all of them. It must not know what is
trained.
"""

from __future__ import annotations

import datetime
import os
import platform
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from hfft.agreeing import agreed, gathered
from hfft.errors import InputError, listed

WAIT = 10.0  # seconds in which a file of one machine is seen by the others, where they share a disk
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def meet(seconds: float) -> None:
    """Begin the process group on CPUs: TrainingArguments hands its `ddp_timeout` on to groups of GPUs alone.

    seconds: after which a process gives up on another one that does not answer.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or any(name not in os.environ for name in NEEDED) or torch.distributed.is_initialized():
        return
    torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=seconds))


def machines(world: int) -> int:
    """How many machines the launch of so many processes is on.

    >>> machines(1)
    1
    """
    return max(1, world // int(os.environ.get("LOCAL_WORLD_SIZE", str(world))))


def same(what: str, mine: Any, fix: str, world: int) -> None:
    """Raise InputError on all processes unless all have the same. what: has come to differ. mine: plain data."""
    if world == 1:
        return
    every = gathered([(_machine(), mine)], world)
    others = list(dict.fromkeys(machine for machine, theirs in every if theirs != every[0][1]))
    if others:
        raise InputError(f"{what} of {listed(others)} differs from that of {every[0][0]}; {fix}")


def shared(place: Callable[[], Path], world: int) -> None:
    """Raise InputError on all processes unless all machines see what the first one writes where the run folder is.

    place: the nearest folder that is there already, as this process sees it.
    """
    if machines(world) == 1:
        return
    mark = agreed(lambda: _written(place()))
    try:
        seen = gathered([(_machine(), str(place()), _seen(place, mark))], world)
    finally:  # also where a machine is gone: with something in it the folder is refused to who starts again
        if os.environ.get("RANK", "0") == "0":
            (place() / mark).unlink(missing_ok=True)
    if blind := list(dict.fromkeys(f"{machine} (in {where})" for machine, where, sees in seen if not sees)):
        raise InputError(
            f"the machines do not share the disk of the run folder: what {seen[0][0]} writes in {seen[0][1]} is not "
            f"seen by {listed(blind)}; type --output-dir FOLDER with the path of a folder that all of them see"
        )


def _machine() -> str:
    """This machine in a sentence, counted as the launcher counts them."""
    return f"machine {os.environ.get('GROUP_RANK', '0')} ({platform.node()})"


def _written(folder: Path) -> str:
    """The name of a new, empty file in it, one that nobody looked for: disks remember what was not there."""
    name = f".hfft-{secrets.token_hex(8)}"
    try:
        (folder / name).touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error.strerror}); type --output-dir FOLDER") from error
    return name


def _seen(place: Callable[[], Path], name: str) -> bool:
    end = time.monotonic() + WAIT
    while not (place() / name).exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
