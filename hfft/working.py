"""A verb at work on a run folder: alone in it, and what the machine does to it is told in one sentence.

In: a verb. Out: the same, which refuses a folder that another process writes into, and ends with a MachineError where
the disk is full, memory runs out, or a process dies, and with a LostPeerError where one of its launch is gone. It must
not know what the verb does.

Of several processes of a launch the first one holds the folder for all of them, and is refused for all of them: the
launcher ends the others. That is so on several machines, too, whether they share the disk or not: it alone writes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from hfft import locking, lost_peers, mishaps
from hfft.agreeing import first
from hfft.records import FOLDS, SEEDS, sweep

FOLDERS = ("predictions", "model", "figures", "explained", "exports")
P = ParamSpec("P")
R = TypeVar("R")


def on(
    verb: str, unless: Callable[..., bool] = lambda *args, **kwargs: False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a verb whose first argument is the folder of runs that are there.

    unless: of the same arguments; True where the verb writes nothing, and nobody is refused.
    """

    def decorated(work: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            root = Path(next(iter(_arguments(work, args, kwargs).values())))
            ours = any((root / name).is_file() for name in ("recipe.yaml", FOLDS, SEEDS))
            holds = first() and ours and not unless(*args, **kwargs)
            with locking.alone(root, verb) if holds else nullcontext(), mishaps.told(root):
                if holds:
                    sweep(root, FOLDERS)
                return work(*args, **kwargs)

        return run

    return decorated


def into(
    verb: str,
    home: Callable[[dict[str, Any]], Path],
    again: Callable[[Path, dict[str, Any]], str] | None = None,
    shared: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a verb that makes a folder, or goes on in one.

    home: of the verb's arguments by name. again: of the folder and the same, what to type once a mishap is mended;
    default: the verb with --resume. shared: several workers write into the folder together.
    """

    def decorated(work: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            known = _arguments(work, args, kwargs)
            root = home(known)
            tell = again or (lambda _, known: f"`hfft {verb} {known['name']} --resume` with the same words")
            holds = locking.alone(root, verb, True, shared) if first() else nullcontext()
            going_on = lost_peers.going_on(lambda: _begun(root))
            with going_on, holds, mishaps.told(root, lambda: tell(root, known)):
                if first() and not shared:
                    sweep(root, FOLDERS)
                return work(*args, **kwargs)

        return run

    return decorated


def _begun(root: Path) -> bool:
    """Whether there is something to go on with; hidden is what a verb has there before it begins."""
    return root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())


def _arguments(work: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    bound = inspect.signature(work).bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)
