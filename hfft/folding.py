"""The verb `cv`: cross-validation of a recipe over its training and validation rows. The test split stays sealed.

In: a recipe, a number of folds. Out: plain facts; a folder with one whole run for each fold, the answers to all
held-out rows in one file, folds.json and a page. Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

import dataclasses
import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import (
    claiming,
    corrected,
    gathering,
    holding,
    pages,
    priming,
    recipe,
    repeating,
    reporting,
    scoring,
    slicing,
    verbs,
)
from hfft.errors import InputError, listed
from hfft.gathering import Say
from hfft.milestones import Milestones
from hfft.recipe import Recipe
from hfft.records import FOLDS, HELD_OUT, Predictions, leading, less_is_better, read_json, write_json, write_whole
from hfft.run_folder import RunFolder

PAGE, MEMBER, OUT = "folds.html", "fold-", "out_of_fold"
OURS = (FOLDS, PAGE, "index.html", "metrics.json", "slices.json", "predictions")


def run(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Train the recipe once for each fold, without it, and judge the answers to the rows held out.

    repeats: how often the rows are dealt into folds. output_dir: default runs/<recipe>_cv; each fold's run goes into
    its fold-N. resume: finished folds are passed over. After Ctrl-C, with two folds or more, what is finished is
    judged. In each fold some of the rest is validation, as large a share as the recipe's, which chooses the checkpoint:
    held-out rows choose nothing. Returns what folds.json holds. Raises InputError before anything is trained where the
    recipe or the folder cannot be used.
    """
    root, members = _planned(name, overrides, output_dir, folds, repeats)
    _claimed(root, members, resume, name)
    way, stopped = Milestones("fold", len(members), None, say, mean=True), None
    try:
        with gathering.shared():
            if not all(run.predictions(HELD_OUT).is_file() for run, *_ in members):
                priming.features(members[0][1])
            for run, _, words in members:
                _trained(name, run, words, way, say)
    except KeyboardInterrupt:
        members = [member for member in members if member[0].predictions(HELD_OUT).is_file()]
        if len(members) < 2:
            raise
        stopped = way.stopped()
    if os.environ.get("RANK", "0") != "0":
        return {"run": str(root)}
    return judged(root, [run for run, *_ in members], members[0][1], folds, repeats, stopped)


def _trained(name: str, run: RunFolder, words: tuple[str, ...], way: Milestones, say: Say) -> None:
    """One fold's run and its answers to the rows held out, where they are not there yet."""
    if run.predictions(HELD_OUT).is_file():
        return way.skipped(run.root.name, _value(run, way))
    with way.step(run.root.name) as step:
        if not run.finished:
            told = repeating.brief(say) if len(way.steps) > 1 else say
            verbs.run(name, words, str(run.root), (run.root / "recipe.yaml").is_file(), told)
        holding.out(str(run.root))
        gc.collect()
        step.value = _value(run, way)
    return None


def _value(run: RunFolder, way: Milestones) -> float | None:
    """The score of the held-out rows that leads; None on processes that need not know."""
    if not run.predictions(HELD_OUT).is_file():
        return None
    scores = scoring.score(Predictions.read(run.predictions(HELD_OUT)), recipe.load(str(run.root)).metrics)
    way.metric = leading(scores)
    return scores[way.metric].value if way.metric else None


def judged(
    root: Path, runs: list[RunFolder], wanted: Recipe, folds: int, repeats: int, stopped: str | None
) -> dict[str, Any]:
    """Everything about the held-out rows of `runs`, from their files; written into `root`.

    stopped: a sentence where some folds are missing.
    """
    whole = RunFolder(root)
    parts = [Predictions.read(run.predictions(HELD_OUT)) for run in runs]
    predictions = _joined(parts, repeats)
    _write(whole, runs, parts, predictions)
    sizes = [{split: sum(n.values()) for split, n in read_json(run.split)["counts"].items()} for run in runs]
    ratio = float(np.mean([size[HELD_OUT] / size["train"] for size in sizes]))
    scored = [scoring.score(part, wanted.metrics) for part in parts]
    found = {}
    for key in scored[0]:
        values = [value for score in scored if (value := score[key].value) is not None]
        if "[" not in key and len(values) == len(scored):
            found[key] = dataclasses.asdict(corrected.mean(values, ratio, bounded=_bounded(key)))
    pooled = scoring.score(predictions, wanted.metrics)
    whole.write_scores(OUT, pooled)
    slices = slicing.judged(predictions, whole.attributes(OUT))
    if slices:
        write_json(whole.slices, {OUT: slices})
    facts = {
        "folds": folds,
        "repeats": repeats,
        "members": [run.root.name for run in runs],
        "sizes": sizes,
        "test_rows": sizes[0]["test"],
        "ratio": ratio,
        "scores": found,
        OUT: {key: dataclasses.asdict(score) for key, score in pooled.items()},
        "slices": slices,
        "seconds": [float(read_json(run.environment)["seconds"]["train"]) for run in runs],
        "recipe": recipe.dump(wanted),
    }
    facts |= {"stopped": stopped} if stopped else {}
    facts["sentences"] = [*([stopped] if stopped else []), *_sentences(facts)]
    write_json(root / FOLDS, facts)
    shown = facts | {"title": root.resolve().name, "headline": leading(found)}
    pages.write(root / PAGE, pages.render("folds.html.j2", shown, reporting.FILTERS))
    return {"run": str(root), **facts}


def _planned(
    name: str, overrides: tuple[str, ...], output_dir: str | None, folds: int, repeats: int
) -> tuple[Path, list[tuple[RunFolder, Recipe, tuple[str, ...]]]]:
    for flag, value, least in (("--folds", folds, 2), ("--repeats", repeats, 1)):
        if value < least:
            raise InputError(f"{flag}: expected {least} or more, got {value}")
    if taken := [word for word in overrides if word.startswith(("data.split.fold",))]:
        raise InputError(f"{taken[0]!r}: hfft cv sets the fold itself; type --folds N")
    root = Path(output_dir) if output_dir else Path("runs") / f"{recipe.locate(name)[0]}_cv"
    members = []
    for fold in range(1, folds * repeats + 1):
        words = (*overrides, f"data.split.folds={folds}", f"data.split.fold={fold}")
        members.append((RunFolder(root / f"{MEMBER}{fold}"), recipe.load(name, words), words))
    if members[0][1].data.streaming:
        raise InputError("data.streaming is true, and folds need all rows at once; type data.streaming=false")
    return root, members


def _claimed(root: Path, members: list[tuple[RunFolder, Recipe, tuple[str, ...]]], resume: bool, name: str) -> None:
    """Raise InputError unless the folder is new, or holds folds of this recipe and `resume` is meant."""
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file; type --output-dir FOLDER")
    held = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    if others := [entry for entry in held if entry not in OURS and not entry.startswith(MEMBER)]:
        raise InputError(f"{root} holds something else than folds ({listed(others, 4)}); type --output-dir FOLDER")
    if held and not resume:
        there = listed([entry for entry in held if entry.startswith(MEMBER)] or held, 6)
        raise InputError(
            f"{root} already holds {there}; type `hfft cv {name} --resume` with the same words to train what is missing"
            " and judge again, or --output-dir FOLDER"
        )
    if resume and not held:
        raise InputError(f"{root}: there is nothing to resume; leave --resume out to start")
    for run, wanted, _ in members:
        claiming.writable(run)
        if (run.root / "recipe.yaml").is_file() and recipe.load(str(run.root)) != wanted:
            raise InputError(f"{run.root} was made with another recipe; type --output-dir FOLDER to train anew")


def _joined(parts: list[Predictions], repeats: int) -> Predictions:
    """All folds' rows. A row that was held out several times stays one witness: its copies are a group."""
    names = parts[0].names
    if repeats > 1:
        parts = [dataclasses.replace(p, groups=p.ids if p.groups is None else p.groups) for p in parts]
    if any(part.names != names for part in parts):
        raise InputError("the folds know different classes: the data has changed; train them again")
    return parts[0].joined(*parts[1:])


def _write(whole: RunFolder, runs: list[RunFolder], parts: list[Predictions], predictions: Predictions) -> None:
    """predictions/out_of_fold.parquet, with the fold of each row, and the attributes that slices are made by."""
    places = [int(run.root.name.removeprefix(MEMBER)) for run in runs]
    number = np.concatenate([np.full(part.n, place) for place, part in zip(places, parts, strict=True)])
    table = predictions.table().append_column("fold", pa.array(number))
    whole.predictions(OUT).parent.mkdir(parents=True, exist_ok=True)
    write_whole(whole.predictions(OUT), lambda target: pq.write_table(table, target))
    tables = [pq.read_table(run.attributes(HELD_OUT)) for run in runs]
    joined = pa.concat_tables(tables, promote_options="permissive")
    write_whole(whole.attributes(OUT), lambda target: pq.write_table(joined, target))


def _sentences(facts: dict[str, Any]) -> list[str]:
    lead = leading(facts["scores"])
    rounds = f", dealt {facts['repeats']} times" if facts["repeats"] > 1 else ""
    said = []
    if lead:
        found, of = facts["scores"][lead], facts[OUT][lead]
        said.append(
            f"{lead} {found['mean']:.4f} [{found['low']:.4f}, {found['high']:.4f}] for a model trained on "
            f"{facts['sizes'][0]['train']:,} rows like these: mean of {len(facts['members'])} folds{rounds}, with the "
            "interval of Nadeau and Bengio, which allows for other training and other held-out rows."
        )
        said.append(
            f"Folds differ by {_amount(lead, found['sd'])} (SD; {found['least']:.4f} to {found['most']:.4f}). All "
            f"{of['n']:,} answers taken together: {of['value']:.4f} [{of['low']:.4f}, {of['high']:.4f}], other rows "
            "allowed for, and not other training."
        )
    return [*said, f"The {facts['test_rows']:,} test rows took no part: the split is sealed as before."]


def _amount(metric: str, value: float) -> str:
    return f"{value:.4f}" if less_is_better(metric) else f"{100 * value:.1f} points"


def _bounded(metric: str) -> bool:
    return not less_is_better(metric) and metric not in ("mcc", "kappa")
