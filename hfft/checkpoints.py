"""Which checkpoint is whole, and how one comes to be: nothing of a save that was cut short is ever taken.

In: folders. Out: a checkpoint in its place, sealed and on the disk; the newest that is whole, with a reason for every
newer one that is not. A checkpoint counts once its list of digests agrees with every file: `Trainer` would end in a
traceback, or train on without optimizer. Must not know what is in a checkpoint, but for the step of the best one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from hfft.errors import InputError
from hfft.records import flush, read_json, write_json
from hfft.references import sha256

SEAL = "sha256.json"
STATE = "trainer_state.json"
RUNNING = "running.json"  # what Trainer does not write down, see saving.py
NAME = "checkpoint-"
HIDDEN = f".{NAME}"


def hidden(root: Path, step: int) -> Path:
    """Where the checkpoint of `step` is written before it has its place: the same for all processes of a launch."""
    return root / f"{HIDDEN}{step}"


def settle(root: Path, step: int) -> Path:
    """Seal what was written below `hidden`, flush it to the disk, and move it into its place, where it then is.

    What is in that place is of an earlier try. So is everything newer, which goes, too: rotation would take it for the
    newest, and remove the one that training went on from.
    """
    made, final = hidden(root, step) / f"{NAME}{step}", root / f"{NAME}{step}"
    seal(made)
    for path in (*made.rglob("*"), made):
        flush(path)
    if final.exists():
        shutil.rmtree(final)
    made.replace(final)
    flush(root)
    shutil.rmtree(hidden(root, step))
    for later in every(root):
        if _step(later) > step:
            shutil.rmtree(later)
    return final


def sweep(root: Path) -> None:
    """Remove what saves left that were cut short, but for one that only had to be moved. No process may be saving."""
    for left in root.glob(f"{HIDDEN}*"):
        made, final = left / left.name.removeprefix("."), root / left.name.removeprefix(".")
        if whole(made):  # and what is in its place was being removed
            if final.exists():
                shutil.rmtree(final)
            made.replace(final)
        shutil.rmtree(left)


def planned(folder: Path) -> bool:
    """Whether the checkpoint is one of those that the recipe asks for, and not of a stop by a signal."""
    path = folder / RUNNING
    return not path.is_file() or bool(read_json(path).get("planned", True))


def seal(folder: Path) -> None:
    """Record the digest of every file in a finished checkpoint folder, and that of the record itself."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SEAL]
    digests = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    write_json(folder / SEAL, digests | {SEAL: _digest(digests)})


def whole(folder: Path) -> bool:
    """Whether every file of the checkpoint is there and as it was written."""
    return not flaw(folder)


def flaw(folder: Path) -> str:
    """What is wrong with a checkpoint; "" where every file is there and as it was written."""
    if not (folder / SEAL).is_file():
        return f"{SEAL} is missing"
    try:
        digests = read_json(folder / SEAL)
    except InputError:
        digests = None
    if not isinstance(digests, dict) or not digests:
        return f"{SEAL} is damaged"
    own = digests.pop(SEAL, None)  # older ones have none
    if own not in (None, _digest(digests)):
        return f"{SEAL} is not as it was written"
    return next((why for name, digest in digests.items() if (why := _wrong(folder / name, name, digest))), "")


def _digest(digests: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _wrong(path: Path, name: str, digest: object) -> str:
    if not path.is_file():
        return f"{name} is missing"
    try:
        return "" if sha256(path) == digest else f"{name} is not as it was written"
    except OSError as error:  # of a disk that fails
        return f"{name} cannot be read ({error.strerror})"


def newest(root: Path, best: bool = False) -> tuple[Path | None, dict[Path, str]]:
    """(the newest whole checkpoint under `root` or None, newer ones with the reason why they cannot be taken).

    best: the best checkpoint so far is loaded at the end, and so the one before has to be whole, too.
    """
    flaws: dict[Path, str] = {}
    passed: dict[Path, str] = {}

    def wrong(folder: Path) -> str:
        if folder not in flaws:
            flaws[folder] = flaw(folder)
        return flaws[folder]

    for folder in reversed(every(root)):
        why = wrong(folder)
        other = _best(folder) if best and not why else None
        if other is not None and wrong(other):
            why = f"its best one so far, {other.name}, cannot be used: {wrong(other)}"
        if not why:
            return folder, passed
        passed[folder] = why
    return None, passed


def _best(folder: Path) -> Path | None:
    """The best checkpoint when this one was saved; None where there was none yet, or it was this one."""
    path = folder / STATE
    kept = read_json(path).get("best_model_checkpoint") if path.is_file() else None
    other = folder.parent / Path(kept).name if kept else folder  # the run may lie elsewhere now
    return other if other != folder else None


def every(root: Path) -> list[Path]:
    """The checkpoints under `root`, the oldest first."""
    found = [path for path in root.glob(f"{NAME}*") if path.is_dir() and path.name.removeprefix(NAME).isdecimal()]
    return sorted(found, key=_step)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix(NAME))
