"""Cross-validation around a search: in each fold the recipe is tuned anew, on that fold's own rows.

In: a recipe, folds, a space. Out: what folding.py makes, with the best trial's run in the place of each fold's. The
rows held out choose neither checkpoint nor recipe, so that their score is that of searching and training together
(Varma and Simon 2006; Cawley and Talbot 2010). Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfft import folding, spaces, tuning
from hfft.agreeing import agreed
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.reckoning import MEMBER
from hfft.records import read_json
from hfft.run_folder import RunFolder


def run(
    name: str,
    overrides: tuple[str, ...],
    output_dir: str | None,
    folds: int,
    repeats: int,
    space: Sequence[str],
    trials: int,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """As `folding.run`, with a search of so many trials in each fold; each search stays beside its fold."""
    dimensions = spaces.read(space)
    spaces.check(dimensions, name, overrides)
    if trials < 2:
        raise InputError(f"--trials: expected 2 or more, got {trials}: the first is the recipe as it is")
    root = folding.home(name, output_dir)

    def train(words: tuple[str, ...], fold: RunFolder, told: Say) -> None:
        search = _search(root, fold)
        facts = tuning.run(name, words, space, str(search), trials, resume=search.is_dir(), say=told)
        if "stopped" in facts:
            raise KeyboardInterrupt
        agreed(lambda: _taken(search, fold))

    def chosen() -> dict[str, Any]:
        found = {}
        for file in sorted(root.glob(f"{folding.SEARCH}*/{tuning.FILE}")):
            facts = read_json(file)
            best = next(row for row in facts["trials"] if row["number"] == facts["best"])
            found[file.parent.name.replace(folding.SEARCH, folding.MEMBER)] = best["words"]
        return {"trials": trials, "space": [one.told for one in dimensions], "chosen": found}

    return folding.run(
        name, overrides, output_dir, folds, repeats, resume, say, searched=folding.Searched(train, chosen)
    )


def _search(root: Path, fold: RunFolder) -> Path:
    return root / fold.root.name.replace(folding.MEMBER, folding.SEARCH)


def _taken(search: Path, fold: RunFolder) -> None:
    """The best trial's run becomes the fold's."""
    facts = read_json(search / tuning.FILE)
    if facts["best"] is None:
        whys = sorted({row["why"] for row in facts["trials"] if row["why"]})
        raise InputError(f"{search}: no trial could be finished: {'; '.join(whys)}")
    (search / f"{MEMBER}{facts['best']}").rename(fold.root)
