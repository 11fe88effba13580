"""Which folder a run may write to, and where it goes on from: nothing of the user's is ever overwritten."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from hfft import locking, recipe
from hfft.errors import InputError, NoRoomError, listed
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder

RECIPE_UNDER_WAY = re.compile(r"\.recipe\.yaml\.\d+")  # the first file of a run, see `records.write_whole`


def folder(name: str, output_dir: str | None) -> RunFolder:
    """`output_dir`, or the run folder that `name` is, or runs/<recipe>."""
    if output_dir:
        return RunFolder(Path(output_dir))
    stem, path = recipe.locate(name)
    is_run = (Path(name) / "recipe.yaml").is_file()
    return RunFolder(path.parent if is_run else Path("runs") / stem)


def beside(name: str, output_dir: str | None, kind: str) -> Path:
    """The folder of a verb that trains many runs: `output_dir`, or runs/<recipe>_<kind>."""
    return Path(output_dir) if output_dir else Path("runs") / f"{recipe.locate(name)[0]}_{kind}"


def held(root: Path) -> list[str]:
    """Names of what a folder holds. Nothing to keep are the lock of who asks, or of who was killed, and the recipe that
    the latter was writing: who asks holds the lock, so that nobody is writing it now.
    """
    names = (path.name for path in root.iterdir()) if root.is_dir() else ()
    return sorted(name for name in names if name != locking.FILE and not RECIPE_UNDER_WAY.fullmatch(name))


def early(name: str, output_dir: str | None) -> None:
    """`fresh` and free of others, looked at by a command before it spends seconds on its imports."""
    if os.environ.get("RANK", "0") == "0":  # of a launch the first process answers for the folder
        run = folder(name, output_dir)
        locking.free(run.root)
        fresh(run)


def fresh(run: RunFolder) -> None:
    """Raise InputError, with what to type, unless the folder is new or empty."""
    root = run.root
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file; type --output-dir FOLDER")
    found = held(root)
    if not found:
        return
    other = f"or --output-dir {_free(root)} to train beside it"
    if run.model.is_dir():
        raise InputError(f"{root} already holds a run, which is kept; type `hfft eval {root}` to score it, {other}")
    if (root / "recipe.yaml").is_file():
        raise InputError(f"{root} already holds an unfinished run; type `hfft run {root} --resume` to go on, {other}")
    raise InputError(f"{root} is not empty ({listed(found, 4)}) and not a run; type --output-dir {_free(root)}")


def workspace(
    root: Path,
    what: str,
    ours: Collection[str],
    member: Callable[[str], bool],
    again: str,
    resume: bool,
    instead: str = "",
    joining: bool = False,
) -> list[str]:
    """Names in the folder of a verb that trains many runs; InputError unless it is new, or `resume` is meant.

    what: the folder holds, as a sentence says it. ours: names beside the runs. member: whether a name is that of a run.
    again: the command without --resume. instead: what else may be typed. joining: resuming a new folder is meant well.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file; type --output-dir FOLDER")
    found = held(root)
    if others := [entry for entry in found if entry not in ours and not member(entry)]:
        raise InputError(f"{root} holds something else than {what} ({listed(others, 4)}); type --output-dir FOLDER")
    if found and not resume:
        raise InputError(
            f"{root} already holds {listed([entry for entry in found if entry not in ours] or found, 6)}; type "
            f"`{again} --resume` with the same words and options to do what is missing and judge again, "
            f"{instead}or --output-dir FOLDER"
        )
    if resume and not found and not joining:
        raise InputError(f"{root}: there is nothing to resume; leave --resume out to start")
    writable(RunFolder(root))
    return found


def same(run: RunFolder, wanted: Recipe) -> None:
    """Raise InputError where the folder has been begun with another recipe."""
    if (run.root / "recipe.yaml").is_file() and recipe.load(str(run.root)) != wanted:
        raise InputError(f"{run.root} was made with another recipe; type --output-dir FOLDER to train anew")


def place(run: RunFolder) -> Path:
    """The nearest folder that exists already, at or above the run folder."""
    root = run.root.absolute()
    return next(path for path in (root, *root.parents) if path.exists())


def writable(run: RunFolder) -> None:
    """Raise InputError when nothing can be written where the run folder is, or would be made."""
    where = place(run)
    try:
        with tempfile.TemporaryFile(dir=where):
            pass
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{where} cannot be written to ({why}); type --output-dir FOLDER for another place") from error


def room_for(run: RunFolder, needed: int, what: str = "the model and its checkpoints") -> None:
    """Raise InputError unless `needed` bytes are free where the run folder is, beyond what it already holds."""
    where = place(run)
    there = sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file()) if run.root.is_dir() else 0
    free = shutil.disk_usage(where).free
    if needed - there > free:
        raise NoRoomError(
            f"{where}: {free / 1e6:,.0f} MB are free, but {what} need {(needed - there) / 1e6:,.0f} MB; make room, "
            "type --output-dir FOLDER for another disk, or keep less: train.save_total_limit=1, "
            "train.save_only_model=true"
        )


def _free(root: Path) -> Path:
    """The first of root-2, root-3, … that does not exist."""
    number = 2
    while (path := root.with_name(f"{root.name}-{number}")).exists():
        number += 1
    return path


def scratch(run: RunFolder) -> Path | None:
    """For trials: on the disk of the run, whose speed and rights count; None, the system's place, if it is closed."""
    beside = RunFolder(run.root.absolute().parent)
    try:
        writable(beside)
    except InputError:
        return None  # the step "run folder" tells it
    return place(beside)
