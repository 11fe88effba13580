"""Open rooms: folders in which one file is one name.

In: a room ("metrics") and a name ("f1"). Out: the module `hfft.metrics.f1`. Adding a file to a room is the whole
registration; nothing here knows what a room is for.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from hfft.errors import InputError, listed, meant

HOUSE = Path(__file__).parent


def names(room: str) -> list[str]:
    """The names a room holds, sorted.

    >>> names("losses")[:4]
    ['binary_cross_entropy', 'binary_focal', 'binary_logit_adjusted', 'cross_entropy']
    """
    return sorted(path.stem for path in (HOUSE / room).glob("*.py") if not path.stem.startswith("_"))


def find(room: str, name: str) -> ModuleType:
    """Import `hfft/<room>/<name>.py`; raises InputError that lists the room when there is no such file."""
    known = names(room)
    if name not in known:
        raise InputError(f"{room}: no {name!r}{meant(name, known)}; known: {listed(known, limit=40)}")
    return importlib.import_module(f"hfft.{room}.{name}")


def options(room: str, name: str, function: str) -> dict[str, Any]:
    """Parameters with a plain default that a file's function takes; read as source, because rooms may be heavy.

    >>> options("losses", "focal", "rows")
    {'smoothing': 0.0, 'gamma': 2.0}
    """
    tree = ast.parse((HOUSE / room / f"{name}.py").read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    taken, last = found.args, len(found.args.defaults)
    pairs = [*zip(taken.args[len(taken.args) - last :], taken.defaults, strict=True)]
    pairs += [(arg, given) for arg, given in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if given]
    return {arg.arg: ast.literal_eval(given) for arg, given in pairs}
