"""One process decides, all processes of a launch do the same.

In: a decision, or parts of one. Out: the first process's answer, or all parts, everywhere. On a single process nothing
happens at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hfft.errors import InputError


def first() -> bool:
    """Whether this is the first process of a launch: the one that writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


def only(say: Callable[[str], None]) -> Callable[[str], None]:
    """`say` on the first process, and silence on the others."""
    return say if first() else lambda sentence: None


def gathered(mine: list[Any], world: int) -> list[Any]:
    """The parts of all processes, one after the other, everywhere. world: how many there are."""
    if world == 1:
        return mine
    import torch

    box: list[Any] = [None] * world
    torch.distributed.all_gather_object(box, mine)
    return [one for part in box for one in part]


def anywhere(value: bool, args: Any, group: Any = None) -> bool:
    """Whether it is so on any process: all must stop at the same step.

    args: of the training. group: of processes that speak by way of the CPU, so that no step on a GPU is waited for.
    """
    if args.world_size == 1:
        return value
    import torch

    flag = torch.tensor([float(value)], device=args.device if group is None else "cpu")
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX, group=group)
    return bool(flag.item())


def agreed(decide: Callable[[], Any]) -> Any:
    """What `decide` returns on the first process, which alone calls it; InputError there is raised on all."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return decide()
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    first = PartialState(cpu=not torch.accelerator.is_available()).is_main_process  # as TrainingArguments has it
    told: list[Any] = [None, None]
    if first:
        try:
            told[0] = decide()
        except InputError as error:
            told[1] = str(error)
    broadcast_object_list(told)
    if told[1] is not None:
        raise InputError(told[1])
    return told[0]
