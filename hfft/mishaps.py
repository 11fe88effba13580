"""What the machine does to a work under way, as one sentence: a full disk, no memory, a dead process, a closed disk.

In: an error, whatever library wrapped it. Out: what happened and what helps, or None where it is none of these: then
it is a fault of the program, whose traceback somebody needs. It must not know which verb is at work.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hfft.errors import InputError, MachineError, brief, causes, full

OUT_OF_MEMORY = ("OutOfMemoryError", "MemoryError", "_ArrayMemoryError", "ArrowMemoryError")
NO_MEMORY = re.compile("not enough memory|can't allocate memory|out of memory|CUBLAS_STATUS_ALLOC", re.IGNORECASE)
WANTED = re.compile(r"(?:[Tt]ried|Unable) to allocate ([\d.,]+ ?\w+)")
WORKER = re.compile(r"DataLoader worker \(pid[^)]*\)|subprocesses has abruptly died|terminated abruptly")
SHARED = re.compile("shared memory|</torch_|/dev/shm")
INSIDE = re.compile(r"Caught InputError in DataLoader worker .*?InputError: (.*)", re.DOTALL)
CLOSED = {errno.EROFS: "Read-only file system", errno.EACCES: "Permission denied", errno.EPERM: "Not permitted"}
SCARCE = 32e6  # bytes; a disk with less is the one that is full
LESS = (
    "; or begin anew with less: half of train.per_device_train_batch_size with twice the "
    "train.gradient_accumulation_steps makes the same steps, train.per_device_eval_batch_size=1 is enough to answer"
)


@dataclass(frozen=True)
class Mishap:
    """what: happened, for a sentence. cure: what to do before going on. instead: another way out, or "" """

    what: str
    cure: str
    instead: str = ""


def of(error: BaseException, root: Path | None = None) -> Mishap | None:
    """What an error comes from, if it is the machine. root: the folder that is written to."""
    chain = list(causes(error))
    text = " ".join(str(one) for one in chain)
    worker = WORKER.search(text)
    if (full(error) or worker) and SHARED.search(text):
        return Mishap("/dev/shm is full, where data workers put rows", "make it larger (docker: --shm-size=8g)")
    if full(error):
        place = _fullest(root)
        what = f"{place}: no space is left on this disk" if place else "no space is left on the disk"
        return Mishap(what, "make room")
    if any(out_of_memory(one) for one in chain):
        found = WANTED.search(text)
        where = " on the GPU" if "CUDA" in text or "HIP" in text else ""
        asked = f" ({found[1]} more were asked for)" if found else ""
        return Mishap(f"memory ran out{where}{asked}", "make memory free", LESS)
    if worker:
        told = " ".join(line for one in chain for line in str(one).splitlines() if WORKER.search(line))
        what = f"a process that loads rows was ended from outside ({told[:160]}), most often for want of memory"
        return Mishap(what, "make memory free, of which each of train.dataloader_num_workers takes a share")
    return next((made for one in chain if isinstance(one, OSError) and (made := _of_disk(one, root))), None)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, and not what caused it, is that there is no memory: of a GPU, or of the machine."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    known = type(error).__name__ in OUT_OF_MEMORY
    return known or (isinstance(error, RuntimeError) and bool(NO_MEMORY.search(str(error))))


@contextlib.contextmanager
def told(root: Path | None = None, again: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Around work: such an error becomes a MachineError. again: the command that goes on then, asked when it happened.

    Of verbs within verbs the outermost says what goes on.
    """
    try:
        yield
    except MachineError as error:
        if not (command := again()):
            raise
        raise MachineError(error.mishap, command) from error
    except InputError as error:
        if found := INSIDE.search(str(error)):  # its worker has put the whole stack of calls into the sentence
            raise InputError(found[1].strip()) from error
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{brief(str(error.filename))} is longer than names of files may be") from error
        if (mishap := of(error, root)) is None:
            raise
        raise MachineError(mishap, again()) from error


def _of_disk(error: OSError, root: Path | None) -> Mishap | None:
    name = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    place = name or root or Path.cwd()
    if error.errno == errno.EFBIG:
        return Mishap(f"{place}: a file would be larger than this system allows", "raise the limit (ulimit -f)")
    if error.errno in (errno.EIO, errno.ESTALE):
        return Mishap(f"{place}: the disk fails ({error.strerror})", "check it")
    # Of other files than those of the folder it is not known that somebody wanted to write them.
    ours = error.errno == errno.EROFS or (name and root and root.absolute() in name.absolute().parents)
    if error.errno in CLOSED and ours:
        may_not = "cannot be written to" if error.errno == errno.EROFS else "may not be used"
        return Mishap(f"{place} {may_not} ({CLOSED[error.errno]})", "make it writable")
    return None


def _fullest(root: Path | None) -> Path | None:
    """The folder whose disk is full: that of the run, unless another has no room: temporary files, rows kept."""
    cache = getattr(getattr(sys.modules.get("datasets"), "config", None), "HF_DATASETS_CACHE", None)
    places = [root or Path.cwd(), Path(tempfile.gettempdir()), *([Path(cache)] if cache else [])]
    least, number = min((_free(place), number) for number, place in enumerate(places))
    return places[number] if least < SCARCE else root


def _free(place: Path) -> int:
    there = next((path for path in (place, *place.absolute().parents) if path.exists()), Path.cwd())
    return shutil.disk_usage(there).free
