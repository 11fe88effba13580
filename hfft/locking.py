"""One run folder, one writer: a lock that the kernel takes back from a dead process.

In: a folder, and which verb writes into it. Out: the lock for as long as a block lasts, or a refusal that says who
holds it and since when. It must not know what is written.

The lock is flock(2) on a small file in the folder, which also tells pid, host, verb and time, and goes with the lock.
What a killed process left of it is no lock. A file and not the folder: NFS locks only what is open for writing. On
Windows, and where a file system has no locks, nobody is refused.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from hfft.errors import InputError, NoRoomError, full

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE = ".hfft.lock"
TRIES = 50  # at a folder that others make and remove at the same moment
# Of this thread of work: what it holds, a verb that it calls may write into. Another thread is refused like a stranger.
_held: ContextVar[frozenset[str]] = ContextVar("held", default=frozenset())
_open: set[int] = set()


def _let_go() -> None:
    """In a process that was forked, to load rows: what it inherits would keep the lock after its parent's death."""
    for descriptor in _open:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def alone(root: Path, verb: str, make: bool = False, shared: bool = False) -> Iterator[None]:
    """Hold the folder. Raises InputError where another process holds it, or where it cannot be written to.

    verb: for whom is refused. make: the folder, where it is not there yet; it goes again if nothing was put into it.
    shared: beside others that hold it so, too: workers that have agreed on who does what.
    """
    place = os.path.realpath(root)
    if fcntl is None or place in _held.get() or _new_inside(root) or (root.exists() and not root.is_dir()):
        yield
        return
    if make and not shared:
        free(root, inside=True)
    made: list[Path] = []
    try:
        descriptor = _taken(root, made if make else None, verb, shared)
        token = _held.set(_held.get() | {place})
        try:
            yield
        finally:
            _held.reset(token)
            _released(root / FILE, descriptor)
    finally:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # something is in it
                folder.rmdir()


def _new_inside(root: Path) -> bool:
    """Whether it is to be made in a folder that is held, as that of a fold: it comes into being when its run begins.

    Sooner, a second process of the launch that looks whether the outer folder is empty would find it there.
    """
    return not root.exists() and any(os.path.realpath(parent) in _held.get() for parent in root.absolute().parents)


def free(root: Path, inside: bool = False) -> None:
    """Raise InputError where another process writes into the folder, or into one that it is in: that may well be
    training here. Nothing is held afterwards. inside: ask about the latter alone.

    A fold's folder comes into being in the middle of the work, and has no lock of its own.
    """
    for place in (*([] if inside else [root]), *root.absolute().parents):
        if fcntl is None or os.path.realpath(place) in _held.get():
            continue
        try:
            descriptor = os.open(place / FILE, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free of those that share it, too
        except BlockingIOError:
            what = f"{root} is in use" if place == root else f"{root} is in {place}, which is in use"
            told = f"{what}: {_holder(descriptor)} writes into it; wait until that has ended"
            raise InputError(told) from None
        except OSError:  # no locks here
            continue
        finally:
            os.close(descriptor)


def _taken(root: Path, made: list[Path] | None, verb: str, shared: bool) -> int:
    """A descriptor that holds the folder. made: is given the folders that were made; None: none may be."""
    try:
        for _ in range(TRIES):
            if made is not None:
                _make(root, made)
            with contextlib.suppress(FileNotFoundError):  # removed since, by who made it
                descriptor = os.open(root / FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
                if _locked(descriptor, root, shared):
                    try:
                        _signed(descriptor, verb)
                    except OSError:
                        _released(root / FILE, descriptor)
                        raise
                    return descriptor
    except OSError as error:
        if full(error):
            raise NoRoomError(f"{root}: no space is left on this disk; make room, then type the same again") from error
        place = root if made is None else next(p for p in (root, *root.absolute().parents) if p.exists())
        ways = "make it writable, or copy the run" if made is None else "type --output-dir FOLDER for another place"
        raise InputError(f"{place} cannot be written to ({error.strerror or error}); {ways}") from error
    raise InputError(f"{root} comes and goes: another process makes it and removes it; type the same again")


def _make(root: Path, made: list[Path]) -> None:
    missing = [path for path in (root, *root.parents) if not path.exists()]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was quicker
            folder.mkdir()
            made.append(folder)


def _locked(descriptor: int, root: Path, shared: bool) -> bool:
    """Whether the lock is ours; False where its file was removed meanwhile. Raises InputError where others have it."""
    _open.add(descriptor)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        told = _holder(descriptor)
        _close(descriptor)
        raise InputError(f"{root} is in use: {told} writes into it; wait until that has ended") from None
    except OSError:  # no locks here
        return True
    try:
        if os.path.samestat(os.fstat(descriptor), (root / FILE).stat()):
            return True
    except FileNotFoundError:
        pass
    _close(descriptor)
    return False


def _signed(descriptor: int, verb: str) -> None:
    since = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    facts = {"verb": verb, "pid": os.getpid(), "host": platform.node(), "since": since}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{json.dumps(facts)}\n".encode(), 0)


def _holder(descriptor: int) -> str:
    """Who holds it, as the file tells; it is empty for a moment."""
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
        return f"`hfft {facts['verb']}` (process {facts['pid']} on {facts['host']}, since {facts['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _released(path: Path, descriptor: int) -> None:
    """Remove the file while it is still locked: who opens it afterwards sees that it is another one."""
    with contextlib.suppress(FileNotFoundError):
        if _last(descriptor) and os.path.samestat(os.fstat(descriptor), path.stat()):
            path.unlink()
    _close(descriptor)


def _last(descriptor: int) -> bool:
    """Whether no other process holds what several may share."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here
        pass
    return True


def _close(descriptor: int) -> None:
    _open.discard(descriptor)
    os.close(descriptor)
