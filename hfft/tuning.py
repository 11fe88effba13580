"""The verb `tune`: a search over recipe keys, and whether its best is more than luck. The test split stays sealed.

In: a recipe, a space, how many trials or minutes. Out: plain facts; a folder with a run for each trial, tuning.json, a
page and the best recipe. Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfft import (
    claiming,
    folding,
    gathering,
    pages,
    priming,
    recipe,
    reckoning,
    reporting,
    scoring,
    searching,
    spaces,
    studies,
    training,
    trial_figures,
    verbs,
    winners,
)
from hfft.agreeing import agreed
from hfft.errors import InputError, listed
from hfft.gathering import Say
from hfft.milestones import Milestones
from hfft.recipe import Recipe
from hfft.reckoning import MEMBER
from hfft.records import OUT_OF_FOLD, Predictions, less_is_better, write_json
from hfft.run_folder import RunFolder
from hfft.searching import Search
from hfft.spaces import Dimension
from hfft.watching import Unpromising, Watch, watched

FILE, PAGE, BEST = "tuning.json", "tuning.html", "best.yaml"
OURS = (FILE, PAGE, BEST, "index.html", "trials.log")


def run(
    name: str,
    overrides: tuple[str, ...] = (),
    space: Sequence[str] = (),
    output_dir: str | None = None,
    trials: int = 20,
    minutes: float | None = None,
    folds: int | None = None,
    storage: str | None = None,
    study: str | None = None,
    prune: bool = True,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Train the recipe as it is, then with values from the space, and say what the best is worth.

    space: as `spaces.read` takes it. trials: in all, the recipe as it is among them. minutes: no trial goes on after
    them. folds: score each trial by cross-validation and not on validation rows. storage: URL of a database that
    several machines share; default a file in the folder. study: name in it, default the folder's. resume: go on, or
    join a search that is under way. Returns what tuning.json holds. Raises InputError before anything is trained where
    the recipe, the space, the folder or the storage cannot be used.
    """
    root = Path(output_dir) if output_dir else Path("runs") / f"{recipe.locate(name)[0]}_tune"
    wanted, dimensions = _planned(name, overrides, space, trials, minutes, folds)
    _claimed(root, resume, name)
    key = _metric(wanted)
    settings = {"recipe": recipe.dump(wanted), "space": [one.told for one in dimensions], "folds": folds}
    kept: Any = None

    def begin() -> None:
        nonlocal kept
        kept = studies.opened(storage, root, study or root.resolve().name, settings, not less_is_better(key))
        with studies.reached(storage or str(root)):
            studies.begin(kept)

    agreed(begin)
    way = Milestones("trial", trials, key, say, None if minutes is None else time.perf_counter() + 60 * minutes)
    search = Search(
        name, overrides, dimensions, trials, _watched(wanted), wanted.seed, storage or str(root),
        lambda number, words, watch: _trained(name, words, root / f"{MEMBER}{number}", folds, key, watch),
        lambda old, new: _moved(root, old, new), way.until, prune,
    )  # fmt: skip
    _said(root, kept, way)
    stopped = None
    try:
        with gathering.shared():
            if folds is None:
                priming.features(wanted)
            searching.run(search, kept, way, lambda: _lightened(root, kept))
    except KeyboardInterrupt:
        if way.best is None:
            raise
        stopped = way.stopped()
    if os.environ.get("RANK", "0") != "0":
        return {"run": str(root)}
    with studies.reached(search.storage):
        return _judged(root, kept, search, wanted, key, folds, stopped)


def _planned(
    name: str,
    overrides: tuple[str, ...],
    space: Sequence[str],
    trials: int,
    minutes: float | None,
    folds: int | None,
) -> tuple[Recipe, list[Dimension]]:
    """(the recipe as it is, dimensions), all checked."""
    if trials < 2:
        raise InputError(f"--trials: expected 2 or more, got {trials}: the first is the recipe as it is")
    if minutes is not None and minutes <= 0:
        raise InputError(f"--minutes: expected more than 0, got {minutes:g}")
    if folds is not None and folds < 2:
        raise InputError(f"--folds: expected 2 or more, got {folds}")
    wanted, dimensions = recipe.load(name, overrides), spaces.read(space)
    spaces.check(dimensions, name, overrides)
    return wanted, dimensions


def _claimed(root: Path, resume: bool, name: str) -> None:
    """Raise InputError unless the folder is new, or holds a search and `resume` is meant."""
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file; type --output-dir FOLDER")
    held = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    if others := [e for e in held if e not in OURS and not e.startswith((MEMBER, "trials.log"))]:
        raise InputError(f"{root} holds something else than a search ({listed(others, 4)}); type --output-dir FOLDER")
    if held and not resume:
        raise InputError(
            f"{root} already holds a search; type `hfft tune {name} --resume` with the same words to go on with it or "
            "to join it, or --output-dir FOLDER"
        )
    claiming.writable(RunFolder(root))


def _metric(wanted: Recipe) -> str:
    """The metric that chooses, as `scoring.score` calls it."""
    name = _watched(wanted)
    return "log_loss" if name == "loss" else name


def _watched(wanted: Recipe) -> str:
    """The same as training calls it."""
    asked = str(wanted.train.get("metric_for_best_model") or "").removeprefix("eval_")
    if "[" in asked:  # of one class: known when the data are
        return asked
    return training.best_metric(wanted, scoring.keys(wanted.metrics, ("a", "b"), wanted.data.multi_label))


def _trained(name: str, words: tuple[str, ...], folder: Path, folds: int | None, key: str, watch: Watch) -> float:
    """One trial's score. Where its folder is begun, it goes on from there."""

    def silent(_: str) -> None: ...

    if folds is not None:
        return _folded(name, words, folder, folds, key, watch)
    run = RunFolder(folder)
    if not run.finished:
        with watched(watch):
            verbs.run(name, words, str(folder), (folder / "recipe.yaml").is_file(), silent)
    return _scored(run.predictions("validation"), recipe.load(name, words), key)


def _folded(name: str, words: tuple[str, ...], folder: Path, folds: int, key: str, watch: Watch) -> float:
    def after(values: list[float]) -> None:
        share = round(100 * len(values) / folds)
        if share < 100 and agreed(lambda: watch.tell(sum(values) / len(values), share)):
            raise Unpromising

    with watched(Watch(watch.metric, lambda value, share: False, watch.until)):
        facts = folding.run(name, words, str(folder), folds, 1, folder.is_dir(), lambda _: None, after)
    if "scores" not in facts:  # a process other than the first
        return 0.0
    if key in facts["scores"]:
        return float(facts["scores"][key]["mean"])
    return _scored(folder / "predictions" / f"{OUT_OF_FOLD}.parquet", recipe.load(name, words), key)


def _scored(path: Path, wanted: Recipe, key: str) -> float:
    if os.environ.get("RANK", "0") != "0":
        return 0.0
    value = winners.value(Predictions.read(path), wanted.metrics, key)
    if value is None:
        raise InputError(f"{key} is undefined on these rows; type train.metric_for_best_model=accuracy, or another")
    return value


def _moved(root: Path, old: int, new: int) -> None:
    """What a worker left that died goes on under the number that its values have now."""
    before, after = root / f"{MEMBER}{old}", root / f"{MEMBER}{new}"
    if before.is_dir() and not after.exists():
        before.rename(after)


def _said(root: Path, study: Any, way: Milestones) -> None:
    """The trials that are there already count in the line."""
    if study is not None:
        for trial in studies.trials(study):
            if trial.state.is_finished():
                way.known(f"{MEMBER}{trial.number}", trial.value if trial.state.name == "COMPLETE" else None)


def _lightened(root: Path, study: Any) -> None:
    """Weights are kept of the best trial and of the recipe as it is; of the others, answers and scores."""
    if study is None:
        return
    done = [trial for trial in studies.trials(study) if trial.state.is_finished()]
    scored = [trial for trial in done if trial.state.name == "COMPLETE"]
    ahead = max if study.direction.name == "MAXIMIZE" else min
    best = ahead(scored, key=lambda trial: trial.value).number if scored else None
    for trial in done:
        if trial.number != best and studies.PLAIN not in trial.user_attrs:
            folder = root / f"{MEMBER}{trial.number}"
            for path in [*folder.rglob("model"), *folder.rglob("checkpoints")]:
                shutil.rmtree(path, ignore_errors=True)


def _judged(
    root: Path, study: Any, search: Search, wanted: Recipe, key: str, folds: int | None, stopped: str | None
) -> dict[str, Any]:
    """tuning.json, the best recipe and the page, from the study and the folders that are here."""
    _lightened(root, study)
    file = f"predictions/{OUT_OF_FOLD if folds else 'validation'}.parquet"
    facts = reckoning.facts(studies.trials(study), search.space, root, wanted, key, file)
    facts |= {"recipe_name": search.name, "words": list(search.words), "folds": folds, "recipe": recipe.dump(wanted)}
    facts |= {"importance": studies.importance(study, search.space, reckoning.ENOUGH)}
    facts |= {"verdict": reckoning.verdict(facts["gain"]), "best_recipe": None} | (
        {"stopped": stopped} if stopped else {}
    )
    facts["sentences"] = [*([stopped] if stopped else []), *reckoning.sentences(facts, folds)]
    if facts["best"] is not None:
        reckoning.write_best(facts, search.name, search.words, root / BEST)
        facts["best_recipe"] = str(root / BEST)
    write_json(root / FILE, facts)
    shown = facts | {"title": root.resolve().name, "figures": trial_figures.drawn(facts)}
    pages.write(root / PAGE, pages.render("tuning.html.j2", shown, reporting.FILTERS))
    return {"run": str(root), **facts}
