"""Whether the pictures of a training are kept from epoch to epoch, and where.

In: rows as a modality prepared them, the recipe, training arguments. Out: the same rows, which keep their pictures in
a hidden file of the run folder where it pays. Training sees the same numbers either way, bit for bit.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import torch
from transformers import TrainingArguments

from hfft import agreeing, kept_pixels
from hfft.errors import InputError
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder

ROOM = ".pixels"


def kept(
    wanted: Recipe,
    args: TrainingArguments,
    modality: ModuleType,
    run: RunFolder,
    say: Callable[[str], None],
    prepared: Any,
    name: str,
) -> Any:
    """`prepared`, whose pictures are read from a file after the first epoch where `speed.cache_images` says so.

    name: of the split. Raises InputError where pictures must be kept and cannot be.
    """
    asked = wanted.speed.cache_images
    change: Any = prepared.format["format_kwargs"].get("transform") if isinstance(prepared, datasets.Dataset) else None
    if asked is False or not hasattr(change, "keeps"):
        return prepared
    if not change.keeps or (asked == "auto" and not _again(args, len(prepared))):
        return prepared
    folder, shape = run.root / ROOM, change.shape
    if not _fits(folder, len(prepared), shape, args):
        told = f"{name}: {len(prepared):,} pictures are not kept for the next epoch: the disk has no room to spare"
        if asked is True:
            raise InputError(f"speed.cache_images: {told}; leave the key out")
        say(told)
        return prepared
    # Machines that share a disk keep a file each: only within one machine is what was written seen at once.
    file = f"{name}-{args.process_index - args.local_process_index}"
    if args.local_process_index == 0:
        kept_pixels.begin(folder / file, len(prepared), shape)
    if args.world_size > 1:
        torch.distributed.barrier()
    return modality.keep(prepared, kept_pixels.Kept(folder / file, len(prepared), shape))


@contextlib.contextmanager
def room(run: RunFolder, args: TrainingArguments) -> Iterator[None]:
    """Remove what was kept, however it ends; at a good end, once all processes are done with it."""
    try:
        yield
        if args.world_size > 1:
            torch.distributed.barrier()
    finally:
        if args.local_process_index == 0:
            shutil.rmtree(run.root / ROOM, ignore_errors=True)


def _fits(folder: Path, count: int, shape: kept_pixels.Shape, args: TrainingArguments) -> bool:
    """Whether the disk has room, on every machine: all processes go the same way."""
    return all(agreeing.gathered([kept_pixels.fits(folder, count, shape)], args.world_size))


def _again(args: TrainingArguments, rows: int) -> bool:
    """Whether rows are read more than once."""
    if args.max_steps > 0:
        batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        return args.max_steps * batch > rows
    return args.num_train_epochs > 1
