"""Open rooms: folders in which one file is one name.

In: a room ("metrics") and a name ("f1"). Out: the module `hfft.metrics.f1`. Adding a file to a room is the whole
registration; nothing here knows what a room is for.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from hfft.errors import InputError, listed, meant

HOUSE = Path(__file__).parent


def names(room: str) -> list[str]:
    """The names a room holds, sorted.

    >>> names("losses")
    ['binary_cross_entropy', 'cross_entropy']
    """
    return sorted(path.stem for path in (HOUSE / room).glob("*.py") if not path.stem.startswith("_"))


def find(room: str, name: str) -> ModuleType:
    """Import `hfft/<room>/<name>.py`; raises InputError that lists the room when there is no such file."""
    known = names(room)
    if name not in known:
        raise InputError(f"{room}: no {name!r}{meant(name, known)}; known: {listed(known, limit=40)}")
    return importlib.import_module(f"hfft.{room}.{name}")
