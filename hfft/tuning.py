"""The verb `tune`: a search over recipe keys, and whether its best is more than luck. The test split stays sealed.

In: a recipe, a space, how many trials or minutes. Out: plain facts; a folder with a run for each trial, tuning.json, a
page and the best recipe. Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfft import (
    claiming,
    gathering,
    pages,
    priming,
    recipe,
    reckoning,
    reporting,
    searching,
    spaces,
    storages,
    studies,
    trial_figures,
    trialling,
    working,
)
from hfft.agreeing import agreed, first, only
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.milestones import Milestones
from hfft.recipe import Recipe
from hfft.reckoning import MEMBER
from hfft.records import less_is_better, read_json, write_json
from hfft.searching import Search
from hfft.spaces import Dimension

FILE, PAGE, BEST, RUNG, SETTINGS = "tuning.json", "tuning.html", "best.yaml", "share-", "search.json"
OURS = (FILE, PAGE, BEST, SETTINGS, "index.html", "trials.log")
POLL = 5.0  # seconds between looks at whether other workers have finished


@dataclass(frozen=True)
class Plan:
    """What is searched, as `run` takes it, checked. shares: of the training rows, growing; the last counts."""

    name: str
    words: tuple[str, ...]
    wanted: Recipe
    space: Sequence[Dimension]
    root: Path
    trials: int
    minutes: float | None
    folds: int | None
    shares: tuple[float, ...]
    storage: str | None
    study: str
    prune: bool


@working.into("tune", lambda known: claiming.beside(known["name"], known["output_dir"], "tune"), shared=True)
def run(
    name: str,
    overrides: tuple[str, ...] = (),
    space: Sequence[str] = (),
    output_dir: str | None = None,
    trials: int = 20,
    minutes: float | None = None,
    folds: int | None = None,
    shares: Sequence[float] = (),
    storage: str | None = None,
    study: str | None = None,
    prune: bool = True,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Train the recipe as it is, then with values from the space, and say what the best is worth.

    space: as `spaces.read` takes it. trials: in all, the recipe as it is among them. minutes: no trial goes on after
    them. folds: score each trial by cross-validation and not on validation rows. shares: of the training rows that
    trials see, growing; the best of each go on to the next. storage: URL of a database that several machines share;
    default a file in the folder. study: name in it, default the folder's. resume: go on, or join a search that is under
    way. Returns what tuning.json holds. Raises InputError before anything is trained where the recipe, the space, the
    folder or the storage cannot be used.
    """
    root = claiming.beside(name, output_dir, "tune")
    wanted, dimensions = recipe.load(name, overrides), spaces.read(space)
    plan = Plan(
        name, overrides, wanted, dimensions, root, trials, minutes, folds, tuple(shares) or (wanted.data.train_share,),
        storage, study or root.resolve().name, prune,
    )  # fmt: skip
    _check(plan)
    _claimed(plan, resume)
    found: list[Any] = []
    try:
        return _run(plan, found, say)
    finally:
        for kept in found:
            if kept is not None:
                studies.closed(kept)


def _run(plan: Plan, found: list[Any], say: Say) -> dict[str, Any]:
    """The shares one after the other. found: is given the study of each."""
    began, stopped = time.perf_counter(), None
    with gathering.shared():
        # Before there is a folder: who corrects a path types the same again.
        gathering.read(plan.wanted, only(say))
        for place in range(len(plan.shares)):
            part = (place + 1) / len(plan.shares)
            until = None if plan.minutes is None else began + 60 * plan.minutes * part
            kept, way = _opened(plan, place, found, say, until)
            found.append(kept)
            try:
                _searched(plan, place, kept, way, say)
            except KeyboardInterrupt:
                if way.best is None:
                    raise
                stopped = way.stopped()
                break
    if not first():
        return {"run": str(plan.root)}
    with storages.reached(_where(plan)):
        return _judged(plan, found, stopped)


def _check(plan: Plan) -> None:
    """Raise InputError for what cannot be searched."""
    if plan.trials < 2:
        raise InputError(f"--trials: expected 2 or more, got {plan.trials}: the first is the recipe as it is")
    if plan.minutes is not None and plan.minutes <= 0:
        raise InputError(f"--minutes: expected more than 0, got {plan.minutes:g}")
    if plan.folds is not None and plan.folds < 2:
        raise InputError(f"--folds: expected 2 or more, got {plan.folds}")
    rising = all(low < high for low, high in zip(plan.shares, plan.shares[1:], strict=False))
    if not rising or not all(0 < share <= 1 for share in plan.shares):
        shown = ",".join(f"{share:g}" for share in plan.shares)
        raise InputError(f"--shares: expected growing shares of the training rows, such as 0.1,0.3,1, got {shown}")
    spaces.check(plan.space, plan.name, plan.words)


def _claimed(plan: Plan, resume: bool) -> None:
    """Raise InputError unless the folder is new, or holds this search and `resume` is meant: to go on, or to join."""
    root = plan.root
    begins = (MEMBER, RUNG, "trials.log")

    def member(entry: str) -> bool:
        return entry.startswith(begins)

    claiming.workspace(root, "a search", OURS, member, f"hfft tune {plan.name}", resume, joining=True)
    if (root / SETTINGS).is_file():
        found, wanted = read_json(root / SETTINGS), {"study": plan.study, **_settings(plan)}
        if found != wanted:
            raise InputError(f"{root} {studies.differing(found, wanted)}; type that, or --output-dir FOLDER")


def _settings(plan: Plan) -> dict[str, Any]:
    """What all workers of a search must agree on."""
    return {
        "recipe": recipe.dump(plan.wanted),
        "space": [one.told for one in plan.space],
        "folds": plan.folds,
        "shares": list(plan.shares),
    }


def _opened(plan: Plan, place: int, before: list[Any], say: Say, until: float | None) -> tuple[Any, Milestones]:
    """(the study of a share, its line); on processes other than the first the study is None."""
    key, kept, settings = trialling.key(plan.wanted), None, _settings(plan)
    share, last = plan.shares[place], place == len(plan.shares) - 1
    title = plan.study if last else f"{plan.study}@{share:g}"

    def begin() -> int:
        nonlocal kept
        here = (plan.root / SETTINGS).is_file()
        kept = studies.opened(plan.storage, plan.root, title, settings, not less_is_better(key), here)
        plan.root.mkdir(parents=True, exist_ok=True)
        write_json(plan.root / SETTINGS, {"study": plan.study, **settings})
        with storages.reached(_where(plan)):
            total = plan.trials if not place else 1 + math.ceil((plan.trials - 1) * plan.shares[0] / share)
            studies.begin(kept, studies.best(before[-1], total - 1) if place else [])
            return total if not place else len(studies.trials(kept))

    total = agreed(begin)
    unit = "trial" if len(plan.shares) == 1 else f"{100 * share:g} % of the rows, trial"
    way = Milestones(unit, total, key, say, until)
    if kept is not None:
        for trial in studies.trials(kept):
            if trial.state.is_finished():
                way.known(f"{MEMBER}{trial.number}", trial.value if trial.state.name == "COMPLETE" else None)
    return kept, way


def _searched(plan: Plan, place: int, study: Any, way: Milestones, say: Say) -> None:
    """Run the trials of one share; of all but the last, wait until other workers have done theirs."""
    share, key, folder = plan.shares[place], trialling.key(plan.wanted), _folder(plan, place)
    words = plan.words if share == plan.wanted.data.train_share else (*plan.words, f"data.train_share={share:g}")
    search = Search(
        plan.name, words, plan.space, way.total or 0, trialling.metric(plan.wanted), plan.wanted.seed, _where(plan),
        lambda number, made, watch: trialling.trained(
            plan.name, made, folder / f"{MEMBER}{number}", plan.folds, key, watch
        ),
        lambda old, new: trialling.moved(folder, old, new), way.until, plan.prune,
    )  # fmt: skip
    if plan.folds is None:
        priming.features(recipe.load(plan.name, words))
    while True:
        searching.run(search, study, way, lambda: trialling.lightened(folder, study))
        if place == len(plan.shares) - 1 or not agreed(lambda: _others(plan, study, way.until)):
            return
        say(f"{way.unit}s: waiting for those of other workers")
        time.sleep(POLL)


def _others(plan: Plan, study: Any, until: float | None) -> bool:
    """Whether to wait: not when time is over, which leaves trials that nobody will run now."""
    if until is not None and time.perf_counter() > until:
        return False
    with storages.reached(_where(plan)):
        return studies.busy(study)


def _folder(plan: Plan, place: int) -> Path:
    """Where the trials of a share lie: those of the last, which count, in the search's own."""
    return plan.root if place == len(plan.shares) - 1 else plan.root / f"{RUNG}{plan.shares[place]:g}"


def _where(plan: Plan) -> str:
    return plan.storage or str(plan.root)


def _judged(plan: Plan, found: list[Any], stopped: str | None) -> dict[str, Any]:
    """tuning.json, the best recipe and the page, from the studies and the folders that are here."""
    key, file = trialling.key(plan.wanted), trialling.answers(plan.folds)
    if stopped:
        studies.busy(found[-1])  # what was at hand waits for the next that asks
    rungs = [(studies.trials(study), _folder(plan, place)) for place, study in enumerate(found)]
    trialling.lightened(rungs[-1][1], found[-1])
    reached = plan.shares[len(found) - 1]
    words = [*plan.words, *([] if reached == plan.wanted.data.train_share else [f"data.train_share={reached:g}"])]
    facts = reckoning.facts(rungs, plan.space, plan.wanted, key, file)
    facts |= {
        "recipe_name": plan.name,
        "task": plan.wanted.task,
        "words": words,
        "folds": plan.folds,
        "recipe": recipe.dump(plan.wanted),
    }
    facts |= {"shares": list(plan.shares), "importance": studies.importance(found[0], plan.space, reckoning.ENOUGH)}
    facts |= {"verdict": reckoning.verdict(facts["gain"]), "best_recipe": None}
    facts |= {"stopped": stopped} if stopped else {}
    facts["sentences"] = [*([stopped] if stopped else []), *reckoning.sentences(facts, plan.folds)]
    if facts["best"] is not None:
        reckoning.write_best(facts, plan.name, words, plan.root / BEST)
        facts["best_recipe"] = str(plan.root / BEST)
    write_json(plan.root / FILE, facts)
    shown = facts | {"title": plan.root.resolve().name, "figures": trial_figures.drawn(facts)}
    pages.write(plan.root / PAGE, pages.render("tuning.html.j2", shown, reporting.FILTERS))
    return {"run": str(plan.root), **facts}
