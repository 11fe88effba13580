"""The page to try a model as a Space, from the command line: what is put in, and what is said of it.

In: a finished run, a folder, the id of the pushed model. Out: the folder that `space_folder` wrote. Reads the data only
where rows of it are to be shown. Like verbs.py, this is a place where stages meet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hfft import recalling, recipe, rooms, scratch, space_folder
from hfft.gathering import Say
from hfft.run_folder import RunFolder


def write(
    name: str,
    target: str,
    model_id: str | None = None,
    examples: bool = False,
    say: Say = print,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the Space of a run; facts as `space_folder.write` gives them.

    examples: put a few validation rows in, which everyone can read then; each is told, so that it can be looked at.
    overwrite: a Space that hfft wrote there is written anew.
    """
    folder = RunFolder.existing(name, folds=True)
    if not examples:
        return space_folder.write(folder, Path(target), model_id, overwrite=overwrite)
    space_folder.check(folder)
    wanted = recipe.load(str(folder.root))
    modality = rooms.find("modalities", wanted.task)
    with scratch.folder("space") as place:
        rows = recalling.held(folder, wanted, modality, place)
        facts = space_folder.write(folder, Path(target), model_id, [row.inputs for row in rows], overwrite=overwrite)
    pictures = [name for name in facts["files"] if name.startswith("example-")]
    for number, row in enumerate(rows):
        say(f"  published with it: {pictures[number] if pictures else ' | '.join(row.inputs)}")
    return facts
