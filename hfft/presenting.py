"""The verb `report`: one run's page, the page of a comparison, or an index of all runs. It imports no torch.

In: folders. Out: the path of the page. It opens no split: everything is read from the runs' files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from hfft import contrasting, figures, fold_pages, indexing, judging, pages, reporting, weighing, working
from hfft.errors import InputError, brief
from hfft.records import FOLDS
from hfft.run_folder import RunFolder

LONGEST = 120  # bytes of the runs' names in a file's name


def report(names: list[str], say: Callable[[str], None] = print) -> Path:
    """Write the page of one run or of folds, of a folder of runs (index.html), or of several runs against the first.

    Raises InputError for anything that is none of these, and where a page would overwrite what is not hfft's.
    """
    if len(names) > 1:
        return compared(names)
    root = Path(names[0])
    if not root.is_dir():
        raise InputError(f"{names[0]} is no folder: expected a run that `hfft run` wrote, or a folder of runs")
    if (root / FOLDS).is_file():
        return _of_folds(root, say)
    one = (root / "recipe.yaml").is_file() or not indexing.found(root)
    return judging.report(names[0], say) if one else listed(names[0])


@working.on("report")
def _of_folds(root: Path, say: Callable[[str], None]) -> Path:
    """The page of folds and, where their models have been scored together, that of the test rows, whose path it is."""
    page = fold_pages.write(root)
    return judging.report(str(root), say) if RunFolder(root).predictions("test").is_file() else page


def compared(names: list[str]) -> Path:
    """The page that holds the second run, and every further one, against the first; beside the first run's folder."""
    folders = [RunFolder.existing(name, folds=True) for name in names]
    called = _called(folders)
    if len(set(called)) < len(called):
        again = next(name for name, short in zip(names, called, strict=True) if called.count(short) > 1)
        raise InputError(f"{brief(again)} is given twice: a comparison needs different runs")
    facts = weighing.compare(names, called)
    found = [
        contrasting.beside(folders[0], folder, part)
        for folder, part in zip(folders[1:], facts["comparisons"], strict=True)
    ]
    links = [f"{folder.root.resolve().name}/report.html" for folder in folders]
    parent = folders[0].root.resolve().parent
    beside = [folder.root.resolve().parent == parent and folder.report.is_file() for folder in folders]
    shown = {"n": facts["n"], "noun": facts["noun"], "runs": called, "comparisons": found}
    shown["links"] = [link if there else None for link, there in zip(links, beside, strict=True)]
    page = pages.render("comparison.html.j2", shown, reporting.FILTERS)
    above = folders[0].root.parent  # as it was typed, unless that was "." or led through a link
    stem = _shortened("_".join(["comparison", *(name.replace("/", "-") for name in called)]))
    return pages.write((above if above.resolve() == parent else parent) / f"{stem}.html", page)


def listed(name: str) -> Path:
    """The index of all runs below a folder."""
    root = Path(name)
    target = root / "index.html"
    facts = indexing.index(root)
    scores = [[run["score"] for run in group["runs"] if run["score"]] for group in facts["groups"]]
    shown = facts | {"axes": [figures.axis(part) for part in scores]}
    return pages.write(target, pages.render("index.html.j2", shown, reporting.FILTERS))


def _shortened(stem: str) -> str:
    """A file's name that every file system takes, and that no other runs have.

    >>> _shortened("comparison_a_b"), len(_shortened("ä" * 500).encode()) <= LONGEST
    ('comparison_a_b', True)
    """
    whole = stem.encode()
    if len(whole) <= LONGEST:
        return stem
    return f"{whole[: LONGEST - 9].decode(errors='ignore')}-{hashlib.blake2b(whole, digest_size=4).hexdigest()}"


def _called(folders: list[RunFolder]) -> list[str]:
    """What each run is called on the page: its folder's name, with the folder above where names repeat."""
    roots = [folder.root.resolve() for folder in folders]
    short = [root.name for root in roots]
    return [root.name if short.count(root.name) == 1 else f"{root.parent.name}/{root.name}" for root in roots]
