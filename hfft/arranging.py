"""Memory arranged for convolutions: channels last, and freed memory that stays with the process.

In: a model and its modality. Out: the same model, faster. It must not know what it is used for.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hfft import environment

MMAP_MAX, TRIM_THRESHOLD = -4, -1  # mallopt(3)
FEWEST, EACH, MOST = 32, 16, 1024  # kernels that are kept: at least, for each core, and by oneDNN's own choice
_before: list[tuple[int, int, int]] = []  # the collector's thresholds, while a command imports


def arranged(model: Any, modality: ModuleType) -> Any:
    """The model with channels last in memory, where its modality has convolutions: up to twice as fast."""
    if not modality.CONVOLUTIONAL:
        return model
    import torch

    return model.to(memory_format=torch.channels_last)


def importing() -> None:
    """The process is a command that is about to import what it needs: a million objects and no garbage, half a second
    of searching. In a program of the user's own, whose objects these are not, nothing is changed.
    """
    _before.append(gc.get_threshold())
    gc.set_threshold(20_000, 20, 20)


def imported() -> None:
    """All that a command needs is there: no later search looks through it again. The Trainer searches before it trains,
    another half a second. Ends what `importing` began, once.
    """
    if _before:
        gc.freeze()
        gc.set_threshold(*_before.pop())


def few_kernels(folder: str) -> None:
    """Call it before torch is imported, in a process that answers texts by the runs of a folder.

    oneDNN and ideep keep a kernel for each shape of a batch, 1,024 of them, and shapes of texts never end: 300 MB more
    at the end of `hfft eval`. Texts are sorted, so that one shape follows itself, and few are enough. Training and
    pictures come back to their shapes: there all are kept.
    """
    try:
        recipes = (Path(folder) / "recipe.yaml", *sorted(Path(folder).glob("*/recipe.yaml")))
        said = next((path.read_text(encoding="utf-8", errors="replace") for path in recipes if path.is_file()), "")
    except (OSError, ValueError):  # the verb itself says what is wrong with the folder
        return
    if re.search(r"^task: text", said, re.MULTILINE):
        for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
            os.environ.setdefault(cache, str(min(max(FEWEST, EACH * environment.own_cores()), MOST)))


@functools.cache
def keep_memory() -> bool:
    """Tell glibc to keep what is freed, and whether it will.

    Large activations would be given back after each step, and their pages cleared and mapped again in the next. It
    works from the call on: what was allocated before is freed as it was to be. It holds for the rest of the process.
    """
    if sys.platform != "linux":
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        return bool(libc.mallopt(MMAP_MAX, 0) and libc.mallopt(TRIM_THRESHOLD, 2**31 - 1))
    except (OSError, AttributeError):  # another C library: only speed is lost
        return False


def give_back(unused: bool = False) -> None:
    """Let the system have what is free, once: where kept memory would stand beside what another kind of work needs.

    unused: look for objects that hold one another and nothing else, such as a Trainer and its callbacks.
    """
    if unused:
        gc.collect()
    if memory() == "kept":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def memory() -> str:
    """What becomes of memory that this process frees, for environment.json: kept or system."""
    asked = keep_memory.cache_info().currsize > 0
    return "kept" if asked and keep_memory() else "system"
