"""Pictures at the size a model takes, kept from epoch to epoch: each is decoded once in a training.

In: the number of rows and a way to make the pixels of one. Out: the same pixels, from a file from the second time on.
The file belongs to one training: it is begun anew by each and removed at its end, so that nothing in it can be of
other rows or settings. Processes and workers of a machine share it. It is read and written, not mapped: the system
holds as much of it in memory as it has to spare, and none of it counts as the process's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import torch

LEFT = 0.5  # share of the free disk that the file may take
READY = b"\1"
Shape = tuple[int, int, int]


class Kept:
    """Room for `count` pictures (3, height, width), uint8, in the file `path`, which `begin` made.

    A byte behind the pictures says of each that it is whole: it is written last. Two processes that make the same
    picture at the same time write the same bytes.
    """

    def __init__(self, path: Path, count: int, shape: Shape) -> None:
        self.path, self.count, self.shape = path, count, shape
        self.size = shape[0] * shape[1] * shape[2]
        self._opened: tuple[int, int] | None = None

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_opened": None}  # a copy opens the file itself, as a worker that is spawned has to

    def get(self, place: int, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The picture of a row, by `make` where it is not there yet; in memory (height, width, 3)."""
        file, (channels, high, wide) = self._file(), self.shape
        if os.pread(file, 1, self.count * self.size + place) == READY:
            data = bytearray(os.pread(file, self.size, place * self.size))
            return torch.frombuffer(data, dtype=torch.uint8).view(high, wide, channels).permute(2, 0, 1)
        made = make()
        with contextlib.suppress(OSError):  # a full disk: the picture is made again in the next epoch
            if os.pwrite(file, made.permute(1, 2, 0).contiguous().numpy().tobytes(), place * self.size) == self.size:
                os.pwrite(file, READY, self.count * self.size + place)
        return made

    def _file(self) -> int:
        """Opened once by each process: one that was forked has its own."""
        if self._opened is None or self._opened[0] != os.getpid():
            opened = (os.getpid(), os.open(self.path, os.O_RDWR))
            weakref.finalize(self, _close, *opened)
            self._opened = opened
        return self._opened[1]


def begin(path: Path, count: int, shape: Shape) -> None:
    """An empty file, made by one process of each machine before the others use it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(_bytes(count, shape))  # sparse: no disk is used yet


def fits(room: Path, count: int, shape: Shape) -> bool:
    """Whether so many pictures take no more than their share of the free disk, here where a file can be shared."""
    if not hasattr(os, "pread"):
        return False
    there = next(folder for folder in (room, *room.absolute().parents) if folder.is_dir())
    promised = sum(path.stat().st_size - path.stat().st_blocks * 512 for path in room.glob("*"))  # to sparse files
    return _bytes(count, shape) <= LEFT * (shutil.disk_usage(there).free - promised)


def _bytes(count: int, shape: Shape) -> int:
    return count * (shape[0] * shape[1] * shape[2] + 1)


def _close(process: int, file: int) -> None:
    if process == os.getpid():
        os.close(file)
