"""The verb `cv`: cross-validation of a recipe over its training and validation rows. The test split stays sealed.

In: a recipe, a number of folds. Out: plain facts; a folder with one whole run for each fold, the answers to all
held-out rows in one file, folds.json and a page. Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hfft import (
    accounting,
    claiming,
    fold_judging,
    fold_pages,
    gathering,
    holding,
    mask_records,
    priming,
    recipe,
    repeating,
    reporting,
    scoring,
    timeline,
    verbs,
    working,
)
from hfft.agreeing import first
from hfft.errors import InputError
from hfft.fold_judging import MEMBER
from hfft.gathering import Say
from hfft.milestones import Milestones
from hfft.recipe import Recipe
from hfft.records import FOLDS, HELD_OUT, leading, read_json
from hfft.run_folder import RunFolder

LEAST = 10  # rows of a fold
SEARCH = "search-"  # a search within each fold
# What lies beside the folds: what is judged of them, and what their models as one leave like any run.
OURS: tuple[str, ...] = (
    FOLDS,
    fold_pages.PAGE,
    "index.html",
    "metrics.json",
    "slices.json",
    "predictions",
    "suspicious_labels.csv",
)
OURS += ("recipe.yaml", "split.json", "split.parquet", "environment.json", "model", "report.html", "figures")
OURS += ("baselines.json", "gains.json", "notes.json", "calibration.json", "probes.json", "gates.json", "gates.xml")
OURS += ("gates.md", "ledger.jsonl", "ledger.head", "checkpoints")


@dataclass(frozen=True)
class Searched:
    """How each fold's run is searched for. train: (words, the fold's folder, say); chosen: facts on what was chosen."""

    train: Callable[[tuple[str, ...], RunFolder, Say], None]
    chosen: Callable[[], dict[str, Any]]


def home(name: str, output_dir: str | None) -> Path:
    """The folder of all folds."""
    return claiming.beside(name, output_dir, "cv")


@working.into("cv", lambda known: home(known["name"], known["output_dir"]))
@timeline.timed
def run(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    resume: bool = False,
    say: Say = print,
    after: Callable[[list[float]], None] = lambda values: None,
    searched: Searched | None = None,
) -> dict[str, Any]:
    """Train the recipe once for each fold, without it, and judge the answers to the rows held out.

    repeats: how often the rows are dealt into folds. output_dir: default runs/<recipe>_cv; each fold's run goes into
    its fold-N. resume: finished folds are passed over. After Ctrl-C, with two folds or more, what is finished is
    judged. In each fold some of the rest is validation, as large a share as the recipe's, which chooses the checkpoint:
    held-out rows choose nothing. after: is given the scores so far, of the metric that leads, when a fold is done, and
    may raise to end it. searched: see nesting.py. Returns what folds.json holds. Raises InputError before anything is
    trained where the recipe or the folder cannot be used.
    """
    root, members = _planned(name, overrides, output_dir, folds, repeats)
    _claimed(root, members, resume, name, searched is not None)
    way, stopped = Milestones("fold", len(members), None, say, mean=True), None
    try:
        with gathering.shared(), reporting.undrawn():
            if not all(run.predictions(HELD_OUT).is_file() for run, *_ in members):
                _unchanged(root, members)
                _check_size(members[0][1], folds)
                priming.features(members[0][1])
            for run, _, words in members:
                _trained(name, run, words, way, say, searched)
                after([step.value for step in way.steps if step.value is not None])
    except KeyboardInterrupt:
        members = [member for member in members if member[0].predictions(HELD_OUT).is_file()]
        if len(members) < 2:
            raise
        stopped = way.stopped()
    if not first():
        return {"run": str(root)}
    chosen = None if searched is None else searched.chosen()
    runs = [run for run, *_ in members]
    facts = fold_judging.judged(root, runs, members[0][1], folds, repeats, stopped, chosen)
    return facts | {"time": accounting.told(RunFolder(root), "cv", say)}


def _trained(
    name: str, run: RunFolder, words: tuple[str, ...], way: Milestones, say: Say, searched: Searched | None
) -> None:
    """One fold's run and its answers to the rows held out, where they are not there yet."""
    if run.predictions(HELD_OUT).is_file():
        return way.skipped(run.root.name, _value(run, way))
    with way.step(run.root.name) as step:
        if not run.finished:
            told = repeating.brief(say) if len(way.steps) > 1 else say
            if searched is not None:
                searched.train(words, run, say)
            else:
                verbs.run(name, words, str(run.root), (run.root / "recipe.yaml").is_file(), told)
        holding.out(str(run.root))
        gc.collect()
        step.value = _value(run, way)
    return None


def _check_size(wanted: Recipe, folds: int) -> None:
    """Raise InputError for folds of so few rows that their scores would say nothing."""
    rows = gathering.read(wanted, lambda _: None).report
    pool = sum(rows.size(split) for split in rows.counts if split != "test")
    if pool / folds < LEAST:
        raise InputError(
            f"--folds {folds}: {pool:,} rows make folds of about {pool / folds:.0f}, and a score of so few means "
            f"nothing; type --folds {max(pool // (3 * LEAST), 2)} or fewer"
        )


def _unchanged(root: Path, members: list[tuple[RunFolder, Recipe, tuple[str, ...]]]) -> None:
    """Raise InputError where folds are there of other data than there is now: together they would judge nothing."""
    for run, wanted, _ in members:
        if run.predictions(HELD_OUT).is_file():
            found = gathering.read(wanted, lambda _: None)
            if found.report.fingerprints != read_json(run.split)["fingerprints"]:
                raise InputError(
                    f"{root}: the data has changed since {run.root.name} was trained; bring it back, or type "
                    "--output-dir FOLDER to train all folds on the data as it is now"
                )
            return


def _value(run: RunFolder, way: Milestones) -> float | None:
    """The score of the held-out rows that leads; None on processes that need not know."""
    if not run.predictions(HELD_OUT).is_file():
        return None
    scores = scoring.score(mask_records.read(run.predictions(HELD_OUT)), recipe.load(str(run.root)).metrics)
    way.metric = leading(scores)
    return scores[way.metric].value if way.metric else None


def _planned(
    name: str, overrides: tuple[str, ...], output_dir: str | None, folds: int, repeats: int
) -> tuple[Path, list[tuple[RunFolder, Recipe, tuple[str, ...]]]]:
    for flag, value, least in (("--folds", folds, 2), ("--repeats", repeats, 1)):
        if value < least:
            raise InputError(f"{flag}: expected {least} or more, got {value}")
    if taken := [word for word in overrides if word.startswith(("data.split.fold",))]:
        raise InputError(f"{taken[0]!r}: hfft cv sets the fold itself; type --folds N")
    root = home(name, output_dir)
    one = recipe.load(name, (*overrides, f"data.split.folds={folds}", "data.split.fold=1"))
    if one.data.streaming:
        raise InputError("data.streaming is true, and folds need all rows at once; type data.streaming=false")
    members = []
    for fold in range(1, folds * repeats + 1):
        words = (*overrides, f"data.split.folds={folds}", f"data.split.fold={fold}")
        split = replace(one.data.split, fold=fold)
        wanted = replace(one, data=replace(one.data, split=split))
        members.append((RunFolder(root / f"{MEMBER}{fold}"), wanted, words))
    return root, members


def _claimed(
    root: Path, members: list[tuple[RunFolder, Recipe, tuple[str, ...]]], resume: bool, name: str, searched: bool
) -> None:
    """Raise InputError unless the folder is new, or holds folds of this recipe and `resume` is meant."""
    begins = (MEMBER, SEARCH) if searched else (MEMBER,)
    claiming.workspace(root, "folds", OURS, lambda entry: entry.startswith(begins), f"hfft cv {name}", resume)
    for run, wanted, _ in members:
        claiming.writable(run)
        if not searched:  # each search is held to its own recipe
            claiming.same(run, wanted)
