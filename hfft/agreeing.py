"""One process decides, all processes of a launch do the same.

In: a decision. Out: the first process's answer, everywhere. On a single process nothing happens at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hfft.errors import InputError


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
