"""Successive halving of models by real trainings: all on a small share of the training rows, the better half on more.

In: models, best first, and how many may start. Out: plain facts; a run folder for each model and share. Judged on
validation rows: the test split stays sealed. Like repeating.py, this is where stages meet.

Jamieson & Talwalkar 2016. A share of the rows is the budget here and not a number of steps, so that every training is
one that ends as the recipe says, and every folder a run like any other.
"""

from __future__ import annotations

import functools
import gc
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hfft import claiming, picking, recipe, repeating, verbs
from hfft.agreeing import agreed, first
from hfft.entrants import Entrant
from hfft.errors import InputError, listed
from hfft.gathering import Say
from hfft.milestones import Milestones
from hfft.records import Predictions, SplitReport, less_is_better, read_json
from hfft.run_folder import RunFolder


def run(
    root: Path, name: str, kept: Sequence[Entrant], facts: dict[str, Any], finalists: int, say: Say
) -> dict[str, Any]:
    """{"halving": {"rungs", "sentences", "run": folder of the last model on all rows}}, with "stopped" after Ctrl-C.

    kept: models that were probed. facts: what picking.judged found, on the first process. Raises InputError where a run
    folder holds another recipe.
    """
    order = agreed(lambda: [row["name"] for row in facts["models"]][:finalists])
    entrants = {entrant.name: entrant for entrant in kept}
    shares, left = rungs(len(order)), list(order)
    way = Milestones("training", sum(n for _, n in shares), None, say)
    done: list[dict[str, Any]] = []
    stopped = None
    try:
        for share, _ in shares:
            runs = {model: _folder(root, entrants[model], name, share) for model in left}
            for model in left:
                _trained(name, entrants[model], runs[model], share, way, say)
            rung = _judged(runs, share, entrants[left[0]].wanted.metrics) if first() else None
            left = agreed(functools.partial(_kept, rung))
            done += [rung] if rung else []
    except KeyboardInterrupt:
        if not first():
            raise
        stopped = way.stopped()
    final = str(RunFolder(root / done[-1]["rows"][0]["run"]).root) if done and done[-1]["share"] == 1 else None
    said = [sentence for rung in done for sentence in rung["sentences"]] + _order(order, done)
    return {"halving": {"rungs": done, "sentences": said, "run": final}} | ({"stopped": stopped} if stopped else {})


def rungs(models: int) -> list[tuple[float, int]]:
    """(share of the training rows, models) of each rung: half of the models, twice the rows.

    >>> rungs(4), rungs(3), rungs(2)
    ([(0.25, 4), (0.5, 2), (1.0, 1)], [(0.25, 3), (0.5, 2), (1.0, 1)], [(0.5, 2), (1.0, 1)])
    """
    sizes = [models]
    while sizes[-1] > 1:
        sizes.append(math.ceil(sizes[-1] / 2))
    return [(0.5 ** (len(sizes) - 1 - place), size) for place, size in enumerate(sizes)]


def words(share: float, entrant: Entrant) -> list[str]:
    """A share of what the recipe itself would train on; all of it is the recipe as it is."""
    return [f"data.train_share={share * entrant.wanted.data.train_share:g}"] if share < 1 else []


def _folder(root: Path, entrant: Entrant, name: str, share: float) -> RunFolder:
    """Where this training goes. Raises InputError where another recipe's run is there."""
    made = RunFolder(root / f"{entrant.name}-{100 * share:.3g}")
    begun = (made.root / "recipe.yaml").is_file()
    if begun and recipe.load(str(made.root)) != recipe.load(name, (*entrant.words, *words(share, entrant))):
        raise InputError(f"{made.root} was made with another recipe; type --output-dir FOLDER to train anew")
    if not begun:
        claiming.fresh(made)
    return made


def _trained(name: str, entrant: Entrant, made: RunFolder, share: float, way: Milestones, say: Say) -> None:
    if made.finished and made.predictions("validation").is_file():
        return way.skipped(made.root.name, _value(made, entrant, way))
    with way.step(made.root.name) as step:
        told = repeating.brief(say) if len(way.steps) > 1 else say
        typed = (*entrant.words, *words(share, entrant))
        verbs.run(name, typed, str(made.root), (made.root / "recipe.yaml").is_file(), told)
        gc.collect()  # a trainer and its model hold on to one another
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        step.value = _value(made, entrant, way)
    return None


def _value(made: RunFolder, entrant: Entrant, way: Milestones) -> float | None:
    if not made.predictions("validation").is_file():
        return None
    way.metric, score = picking.scored(Predictions.read(made.predictions("validation")), entrant.wanted.metrics)
    return score.value


def _judged(runs: dict[str, RunFolder], share: float, metrics: Sequence[str]) -> dict[str, Any]:
    """One rung: its models with their scores, best first, which go on, and what may be said of the others."""
    found = {model: Predictions.read(made.predictions("validation")) for model, made in runs.items()}
    one = next(iter(found.values()))
    lead, name = picking.metric(metrics, one.names, one.multi_label)
    scored = {model: vars(picking.scored(part, metrics)[1]) for model, part in found.items()}
    sign = -1 if less_is_better(lead) else 1
    order = sorted(found, key=lambda model: -sign * (scored[model]["value"] or 0.0))
    kept = order[: math.ceil(len(order) / 2)] if len(order) > 1 else order
    best, others = (order[0], found[order[0]]), [(model, found[model]) for model in order[1:]]
    pairs = {pair["other"]: pair for pair in picking.against(best, others, name)} if others else {}
    rows = [
        {"name": model, "run": runs[model].root.name, "score": scored[model], "kept": model in kept}
        | {"pair": pairs.get(model), "seconds": float(read_json(runs[model].environment)["seconds"]["all"])}
        for model in order
    ]
    train = SplitReport(**read_json(runs[order[0]].split)).size("train")
    rung = {"share": share, "train": train, "n": one.n, "metric": lead, "kept": kept, "rows": rows}
    return rung | {"sentences": _sentences(rung)}


def _sentences(rung: dict[str, Any]) -> list[str]:
    amount = "all training rows" if rung["share"] == 1 else f"{100 * rung['share']:.3g} % of the training rows"
    told = [f"{row['name']} {row['score']['value']:.4f}" for row in rung["rows"] if row["score"]["value"] is not None]
    head = (
        f"Fine-tuned on {amount} ({rung['train']:,}), {rung['metric']} on {rung['n']:,} validation rows: {listed(told)}"
    )
    if len(rung["rows"]) == 1:
        score = rung["rows"][0]["score"]
        return [f"{head} [{score['low']:.4f}, {score['high']:.4f}]."]
    said, best = [f"{head}. {listed(rung['kept'])} {'goes' if len(rung['kept']) == 1 else 'go'} on."], rung["rows"][0]
    for row in rung["rows"]:
        if row["kept"]:
            continue
        verdict = "is behind" if row["pair"]["told"] else "is left behind, and cannot be told from"
        said.append(f"{row['name']} {verdict} {best['name']} ({picking.difference_told(row['pair'])}).")
    return said


def _order(probed: list[str], done: list[dict[str, Any]]) -> list[str]:
    """Whether the first trainings put the finalists in the order that the probes did."""
    if not done or len(done[0]["rows"]) < 2:
        return []
    trained = [row["name"] for row in done[0]["rows"]]
    if trained == probed:
        return [f"The order of the {len(probed)} is that of their probes."]
    return [f"Their probes had another order: {listed(probed)}."]


def _kept(rung: dict[str, Any] | None) -> Any:
    return rung["kept"] if rung else None
