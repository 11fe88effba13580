"""Folders for work under way: each goes when the work ends, fails, or is stopped by Ctrl-C or SIGTERM.

In: what a folder is for. Out: its path. What a process left that was killed outright goes when the next folder is made
beside it. Must not know what is put into a folder.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import platform
import shutil
import signal
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there, what a killed process left stays
    fcntl = None  # type: ignore[assignment]

# Locks of another machine may not be seen where a disk is shared, so that a name tells the machine, too.
MARK = f"hfft-tmp-{zlib.crc32(platform.node().encode()):08x}-"
YOUNG = 60.0  # seconds in which a folder may be there and not yet locked


@contextlib.contextmanager
def folder(kind: str, beside: Path | None = None) -> Iterator[Path]:
    """A new folder, gone after the block. kind: what it is for, a part of its name.

    beside: the folder it is made in, hidden; None: the system's place for temporary files.
    """
    place = Path(tempfile.gettempdir()) if beside is None else beside
    sweep(place)
    made = tempfile.TemporaryDirectory(prefix=f"{'' if beside is None else '.'}{MARK}{kind}-", dir=place)
    lock = _locked(made.name)  # by the kernel, which takes it from a dead process and from no other
    try:
        yield Path(made.name)
    finally:
        made.cleanup()
        if lock is not None:
            os.close(lock)


def lasting(kind: str) -> Path:
    """A new folder that goes when the program ends."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(folder(kind))


def sweep(place: Path) -> None:
    """Remove the folders in `place` that processes of this machine and user left when they were killed."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith((MARK, f".{MARK}")) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):  # another process sweeps, too
                    _left(entry)


def _left(entry: os.DirEntry[str]) -> None:
    found = entry.stat(follow_symlinks=False)
    if found.st_uid != os.getuid() or time.time() - found.st_mtime < YOUNG:
        return
    lock = _locked(entry.path)
    if lock is not None:
        shutil.rmtree(entry.path, ignore_errors=True)
        os.close(lock)


def _locked(path: str) -> int | None:
    """A descriptor that holds the folder; None where another process holds it, or nobody can."""
    if fcntl is None:
        return None
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Within it SIGTERM stops the work as Ctrl-C does: Python's own way runs nothing that cleans up.

    A second one ends the process at once. Not for processes of a launch: they wait for one another inside libraries,
    where no signal is looked at, and the launcher would wait for them.
    """
    alone = os.environ.get("WORLD_SIZE", "1") == "1" and threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    owner = os.getpid()

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != owner:  # forked from it, to load rows
            os.kill(os.getpid(), signal.SIGTERM)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
