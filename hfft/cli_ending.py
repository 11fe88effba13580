"""How a command ends that could not do its work: a sentence on stderr and exit code 2, or a traceback without secrets.

In: what was raised. Out: the end of the process. Of a launch one process of each machine speaks.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import time
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn

from hfft import lost_peers
from hfft.errors import InputError, MachineError
from hfft.phrases import safe


@contextlib.contextmanager
def told(process: bool, resumes: bool) -> Iterator[None]:
    """Around a command. process: whether it is the whole process, and not called from Python.

    resumes: whether the verb that was typed takes --resume.
    """
    try:
        yield
    except (InputError, pickle.UnpicklingError) as error:
        told = str(error) if isinstance(error, InputError) else _not_run(error)
        _stop(told, isinstance(error, MachineError))
    except Exception as error:
        if sentence := lost_peers.told(error, resumes):
            _stop(sentence)
        if process:
            sys.excepthook = _told_safely  # not sooner: typer puts its own there
        raise


def _told_safely(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of hfft ends as a traceback; what libraries write into theirs may hold an address with its password."""
    print(safe("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr, flush=True)


def _not_run(error: pickle.UnpicklingError) -> str:
    """torch opens tensors alone, and says neither in which file it met something else nor what to do about it."""
    held = [frame.f_locals.get("f") for frame, _ in traceback.walk_tb(error.__traceback__)]
    named = next((path for path in held if isinstance(path, (str, os.PathLike))), "a file of torch")
    return (
        f"{named}: it is damaged, or asks for code to be run when it is opened; nothing of it was run. Where it is a "
        "part of a checkpoint, delete that checkpoint's folder and type --resume again"
    )


def _stop(sentence: str, alone: bool = False) -> NoReturn:
    """Exit with code 2, and with a sentence that one process of each machine says.

    All of a launch come to the same end, and the others wait for it: launchers kill what is left as soon as one process
    is gone. alone: what happened is of this process, and no other will say it.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0" or alone:
        print(f"hfft: {safe(sentence)}", file=sys.stderr, flush=True)
    else:
        time.sleep(2)
    sys.exit(2)
