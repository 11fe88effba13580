"""Which checkpoint is whole.

A checkpoint counts once its list of digests, written last, is there and agrees with every file. A torn or damaged one
is passed over for the one before it, and said so: `Trainer` would end in a traceback, or train on without optimizer.
"""

from __future__ import annotations

from pathlib import Path

from hfft.errors import InputError
from hfft.records import read_json, write_json
from hfft.references import sha256

SEAL = "sha256.json"


def seal(folder: Path) -> None:
    """Record the digest of every file in a finished checkpoint folder."""
    digests = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SEAL}
    write_json(folder / SEAL, digests)


def whole(folder: Path) -> bool:
    """Whether every file of the checkpoint is there and as it was written."""
    try:
        digests = read_json(folder / SEAL)
    except InputError:
        return False
    if not isinstance(digests, dict) or not digests:
        return False
    return all((folder / n).is_file() and sha256(folder / n) == d for n, d in digests.items())


def newest(root: Path) -> tuple[Path | None, list[Path]]:
    """(the newest whole checkpoint under `root` or None, newer ones that are damaged)."""
    found = [path for path in root.glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()]
    damaged: list[Path] = []
    for folder in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        if whole(folder):
            return folder, damaged
        damaged.append(folder)
    return None, damaged
