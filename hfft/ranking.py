"""The verb `rank`: which pretrained model to start from, told before anything is trained, and by few trainings then.

In: a recipe and names of models. Out: plain facts; rank.json, a page, the answers of each model's probes and, where
finalists are trained, a run folder for each. The test split stays sealed. Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hfft import (
    backbones,
    baselines,
    claiming,
    contenders,
    entrants,
    environment,
    gathering,
    held_answers,
    holdouts,
    knockout,
    mishaps,
    pages,
    picking,
    rank_figures,
    recipe,
    reporting,
    scratch,
    trainer_arguments,
    transferability,
    working,
)
from hfft.agreeing import first, only
from hfft.entrants import FILE, PAGE, PROBES, Entrant
from hfft.errors import InputError, counted, full
from hfft.gathering import Say
from hfft.holdouts import Holdouts
from hfft.milestones import Milestones
from hfft.picking import MAJORITY, WORDS, Entry
from hfft.recipe import Recipe
from hfft.records import Predictions, fingerprint, write_json
from hfft.run_folder import RunFolder

FOLDS, ROWS = 5, 5_000
ABOUT = (
    "Probes are fitted on features of the models as they are, and judged on training and validation rows held out. The "
    "intervals allow for other rows, not for other training rows; p is of a paired test, adjusted for all comparisons "
    "here (Holm), and intervals are not. A probe says what features tell; fine-tuning changes "
    "them, and the order can change with them."
)


@working.into("rank", lambda known: claiming.beside(known["name"], known["output_dir"], "rank"))
def run(
    name: str,
    models: Sequence[str],
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    finalists: int = 0,
    rows: int = ROWS,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Judge what each of `models` tells of the recipe's rows as it is, then train the best `finalists` on few rows.

    models: two or more, as `model.name` takes them. output_dir: default runs/<recipe>_rank. rows: of train and
    validation, at most, that probes see. resume: what is finished is passed over. After Ctrl-C what is finished is
    judged. Returns what rank.json holds. Raises InputError before the data are read where the recipe, a model or the
    folder cannot be used; a model that fails later is left out, and named.
    """
    say = only(say)
    root, found = entrants.planned(name, models, overrides, output_dir, finalists, rows)
    entrants.claimed(root, found, resume, name, models)
    for entrant in found:
        contenders.fits(entrant.wanted.model, entrant.modality)
    way, stopped, failed, dealt = Milestones("model", len(found), None, say), None, {}, None
    with gathering.shared():
        try:
            dealt = holdouts.deal(found[0].wanted, FOLDS, rows, say)
            for entrant in found:
                if why := _probed(entrant, dealt, way, say):
                    failed[entrant.name] = why
        except KeyboardInterrupt:
            if dealt is None or sum(entrant.done for entrant in found) < 2:
                raise
            stopped, finalists = way.stopped(), 0
        kept = [entrant for entrant in found if entrant.name not in failed and (entrant.done or not first())]
        if first() and len(kept) < 2:
            raise InputError(f"fewer than two models could be used: {'; '.join(failed.values())}")
        facts = judged(root, name, kept, dealt, rows) if first() else {}
        facts |= {"left_out": failed} | ({"stopped": stopped} if stopped else {})
        if finalists:
            facts |= knockout.run(root, name, kept, facts, finalists, say)
    if not first():
        return {"run": str(root)}
    return {"run": str(root), **written(root, facts, kept, dealt)}


def _probed(entrant: Entrant, dealt: Holdouts, way: Milestones, say: Say) -> str | None:
    """One model's features, and what is fitted on them, where that is not there yet; why it could not be had."""
    prints = fingerprint(dealt.rows["id"][:])
    if entrant.done:
        if entrant.facts()["rows_fingerprint"] != prints:
            raise InputError(f"{entrant.root}: made with other rows; type --output-dir FOLDER to begin anew")
        way.skipped(entrant.name, _value(entrant, way))
        return None
    try:
        with way.step(entrant.name) as step, scratch.folder("rank") as room, mishaps.told():
            args = trainer_arguments.arguments(entrant.wanted, RunFolder(room), fitting=False)
            backbone = backbones.load(entrant.wanted.model, entrant.modality, dealt.names, dealt.given.ndim == 2)
            facts, features = contenders.seen(backbone, entrant.modality, dealt.rows, entrant.wanted.model, args)
            del backbone
            gc.collect()  # a trainer and its model hold on to one another
            if first():
                _fitted(entrant, dealt, features, facts | {"rows_fingerprint": prints})
                step.value = _value(entrant, way)
    except (InputError, AttributeError, KeyError, IndexError, TypeError) as error:
        # The last four: a body that is built in another way than features.py knows.
        # One process may fail alone, and the others must not go on; a full disk is no fault of the model.
        if torch.distributed.is_initialized() or full(error):
            raise
        why = str(error) if isinstance(error, InputError) else f"{entrant.name}: its body is not understood ({error})"
        say(f"{entrant.name}: left out: {why}")
        return why
    return None


def _fitted(entrant: Entrant, dealt: Holdouts, features: np.ndarray, facts: dict[str, Any]) -> None:
    """Write the answers of the probes, and last the facts, which say that the model is done."""
    told = (dealt.given, np.array(dealt.rows["id"][:], dtype=object), dealt.names)
    for way, answer in (("linear", held_answers.linear), ("nearest", held_answers.nearest)):
        made = held_answers.joined(_parts(dealt), answer(features, *told), dealt.groups)
        made.write(entrant.root / f"{way}.parquet")
    facts["logme"] = transferability.logme(features, transferability.targets(dealt.given, len(dealt.names)))
    recipe_text = recipe.dump(entrant.wanted)
    write_json(entrant.root / entrants.FACTS, facts | {"model": entrant.wanted.model.name, "recipe": recipe_text})


def _parts(dealt: Holdouts) -> held_answers.Parts:
    return [(fit, held) for fit, held in map(dealt.parts, range(dealt.folds)) if held.any() and fit.any()]


def _value(entrant: Entrant, way: Milestones) -> float | None:
    """The probe's score that leads, on the process that knows it."""
    if not entrant.done:
        return None
    way.metric, score = picking.scored(Predictions.read(entrant.root / "linear.parquet"), entrant.wanted.metrics)
    return score.value


def judged(root: Path, name: str, kept: list[Entrant], dealt: Holdouts, rows: int) -> dict[str, Any]:
    """The facts of rank.json from the files of the models that are done."""
    wanted = kept[0].wanted
    made = [
        Entry(
            entrant.name,
            Predictions.read(entrant.root / "linear.parquet"),
            Predictions.read(entrant.root / "nearest.parquet"),
            {key: value for key, value in entrant.facts().items() if key not in ("recipe", "rows_fingerprint")},
        )
        for entrant in kept
    ]
    bare, notes = _baselines(root, dealt)
    facts = picking.judged([*made, *bare], wanted.metrics)
    random = [] if wanted.model.pretrained else ["model.pretrained is false: these models have random weights."]
    sealed = f"The {counted(dealt.test, 'test row')} took no part: the split is sealed as before."
    return facts | {
        "recipe_name": name,
        "folds": dealt.folds,
        "neighbours": transferability.NEIGHBOURS,
        "pool": dealt.pool,
        "rows": len(dealt.rows),
        "rows_asked": rows,
        "test_rows": dealt.test,
        "findings": dealt.findings,
        "sentences": [*random, *picking.sentences(facts, dealt.folds), *_pooled(wanted), *notes, sealed],
        "about": ABOUT,
        "machine": environment.hardware(environment.cores(), _cards(), 1),
        "recipe": recipe.dump(wanted),
    }


def _baselines(root: Path, dealt: Holdouts) -> tuple[list[Entry], list[str]]:
    """(the majority class and, for texts, TF-IDF; a sentence where there is none). Kept with the probes."""
    told = (dealt.given, np.array(dealt.rows["id"][:], dtype=object), dealt.names)
    ways = {MAJORITY: ("majority", held_answers.majority(*told))}
    if "text" in dealt.rows.column_names:
        ways[WORDS] = ("tfidf_linear", held_answers.words(baselines.joined(dealt.rows), *told))
    made, notes = [], []
    for name, (stem, answer) in ways.items():
        path = root / PROBES / f"{stem}.parquet"
        try:
            if not path.is_file():
                held_answers.joined(_parts(dealt), answer, dealt.groups).write(path)
        except InputError as error:
            notes.append(f"There is no TF-IDF baseline: {error}.")
            continue
        made.append(Entry(name, Predictions.read(path)))
    return made, notes


def written(root: Path, facts: dict[str, Any], kept: list[Entrant], dealt: Holdouts) -> dict[str, Any]:
    """rank.json and the page."""
    names = {entrant.name: entrant for entrant in kept}
    facts["next"] = entrants.commands(names[facts["recommended"]], facts, root, list(names.values()))
    write_json(root / FILE, facts)
    shown = facts | {"title": root.resolve().name, "plot": rank_figures.plot(facts)}
    pages.write(root / PAGE, pages.render("ranks.html.j2", shown, reporting.FILTERS | rank_figures.FILTERS))
    return facts


def _cards() -> list[str]:
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _pooled(wanted: Recipe) -> list[str]:
    """A caution where the recipe would train a head on other features than those that were judged."""
    if wanted.adapt.freeze != "backbone" or wanted.model.pooling != "own" or "text" not in wanted.task:
        return []
    return [
        "The recipe freezes the backbone and reads it through the model's own pooling; the probes read the mean of the "
        "tokens. Type model.pooling=mean to train on what was judged here: the own pooling of many models is untrained."
    ]
