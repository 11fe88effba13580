"""The verb `imbalance`: one recipe plain and with each remedy, under the same seeds and one split, and which is best.

In: a recipe, a number of seeds, arms. Out: plain facts; imbalance.json and a page beside a folder of runs for each arm.
The test split stays sealed: everything is judged on validation rows. Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hfft import (
    agreements,
    answering,
    arms,
    behaviour_figures,
    claiming,
    gathering,
    pages,
    recipe,
    recommending,
    repeating,
    reporting,
    tempering,
    working,
)
from hfft.agreeing import first, only
from hfft.arms import PLAIN
from hfft.errors import InputError, MachineError, counted, listed
from hfft.estimates import numbered
from hfft.gathering import Say
from hfft.recipe import Recipe
from hfft.recommending import Arm
from hfft.records import Predictions, read_json, write_json
from hfft.run_folder import RunFolder

FILE, PAGE = "imbalance.json", "imbalance.html"
OURS = (FILE, PAGE, "index.html")  # the last by `hfft report`
EVEN = 1.5  # times the rows of the smallest class that the largest has, below which there is nothing to remedy
METRIC = "f1_macro"
ABOUT = (
    "Judged on validation rows, which also chose each checkpoint: that flatters every arm alike. What is tuned on one "
    "half of them is judged on the other. The test split is not opened."
)


@working.into("imbalance", lambda known: claiming.beside(known["name"], known["output_dir"], "imbalance"))
def run(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    seeds: int = 3,
    wanted: list[str] | None = None,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Train plain and each remedy with `seeds` seeds, judge them with the free ones, and recommend one or none.

    wanted: names from hfft/arms.py, None for all. output_dir: default runs/<recipe>_imbalance; each arm goes into a
    folder of its own there. resume: what is finished is passed over. Returns {"run", "arms", "recommended", "verdict",
    "sentences", …}. Raises InputError before anything is trained where an arm's recipe cannot be used; an arm that
    cannot be trained is left out and told.
    """
    root = claiming.beside(name, output_dir, "imbalance")
    held = _held(root, resume, name)
    if wanted is not None and (there := sorted(held - {PLAIN, *wanted})):
        only(say)(f"{listed(there)}: there from before, and judged with the others")
        wanted = [*wanted, *there]  # who left arms out after a look at them would judge the best of a choice
    chosen, plain = _planned(name, overrides, seeds, wanted)
    only(say)(f"{root.name}: {counted(len(chosen), 'arm')} x {seeds} seeds = {len(chosen) * seeds} trainings")
    failed = _trained(name, overrides, root, chosen, seeds, held, say)
    if not first():
        return {"run": str(root)}
    facts = _judged(name, root, plain, [arm for arm in chosen if arm not in failed], seeds) | {"left_out": failed}
    write_json(root / FILE, facts)
    axis = behaviour_figures.axis([row["f1_macro"]["difference"] for row in facts["arms"]])
    shown = facts | {"title": root.resolve().name, "axis": axis}
    pages.write(root / PAGE, pages.render("imbalance.html.j2", shown, reporting.FILTERS))
    return {"run": str(root), **facts}


def _planned(name: str, overrides: tuple[str, ...], seeds: int, wanted: list[str] | None) -> tuple[list[str], Recipe]:
    """(arms to train, plain first; plain's recipe), every arm's recipe checked."""
    if seeds < 2:
        raise InputError(f"--seeds: expected 2 or more, got {seeds}: one seed cannot show what another would")
    if taken := [word for word in overrides if word.replace("=", ".").split(".")[0] in arms.KEYS]:
        raise InputError(f"{taken[0]!r}: the bake-off sets {', '.join(arms.KEYS)} itself; leave the word out")
    chosen = arms.chosen(wanted)
    agreements.of_rows(recipe.load(name, overrides), "imbalance")
    recipes = {arm: recipe.load(name, (*overrides, *arms.BARE)) for arm in chosen[:1]}
    if recipes[PLAIN].data.multi_label:
        raise InputError(
            "hfft imbalance compares answers of one class per row; with data.multi_label, train with loss=binary_focal "
            "or loss.weights=balanced and compare the runs with hfft compare"
        )
    for arm in chosen[1:]:
        try:
            recipe.load(name, (*overrides, *arms.words(arm)))
        except InputError as error:
            raise InputError(f"arm {arm}: {error}") from error
    return chosen, recipes[PLAIN]


def _held(root: Path, resume: bool, name: str) -> set[str]:
    """Arms that have been begun. Raises InputError unless the folder is new, or is a bake-off and `resume` is meant."""
    again = f"hfft imbalance {name}"
    held = claiming.workspace(root, "a bake-off", OURS, lambda entry: entry in (PLAIN, *arms.TRAINED), again, resume)
    return {arm for arm in held if arm not in OURS and claiming.held(root / arm)}


def _trained(
    name: str, overrides: tuple[str, ...], root: Path, chosen: list[str], seeds: int, held: set[str], say: Say
) -> dict[str, str]:
    """Train every arm; why the others could not be: {arm: reason}."""
    failed: dict[str, str] = {}
    with gathering.shared():
        for place, arm in enumerate(chosen, 1):
            only(say)(f"{arm} ({place} of {len(chosen)})")
            words = (*overrides, *arms.words(arm))
            try:
                told = repeating.brief(say) if place > 1 else say
                repeating.run(name, words, str(root / arm), seeds, arm in held, told)
            except InputError as error:
                # Of several processes one may fail alone; the others must not go on to the next arm.
                if arm == PLAIN or isinstance(error, MachineError) or int(os.environ.get("WORLD_SIZE", "1")) > 1:
                    raise
                failed[arm] = str(error)
                only(say)(f"{arm}: left out: {error}")
    return failed


def _judged(name: str, root: Path, plain: Recipe, trained: list[str], seeds: int) -> dict[str, Any]:
    """The facts of imbalance.json from the runs' validation predictions."""
    members = {
        arm: [RunFolder(root / arm / f"{repeating.MEMBER}{plain.seed + place}") for place in range(seeds)]
        for arm in trained
    }
    for arm, runs in members.items():
        for run in runs:
            _same(run, plain, arm)
    found = {arm: [Predictions.read(run.predictions("validation")) for run in runs] for arm, runs in members.items()}
    base = found[PLAIN][0]
    for arm, parts in found.items():
        if any(list(part.ids) != list(base.ids) for part in parts):
            raise InputError(f"{root / arm}: other validation rows than those of {root / PLAIN}; train it again")
    made = [
        Arm(
            arm,
            np.stack([part.predicted for part in parts]),
            np.stack([tempering.log_loss(part.scores, part.labels) for part in parts]),
            float(np.mean([_seconds(run) for run in members[arm]])),
        )
        for arm, parts in found.items()
    ]
    counts = read_json(members[PLAIN][0].split)["counts"]["train"]
    value = answering.value_of(METRIC, base.names)
    free = [arms.free(part, counts, value) for part in found[PLAIN]]
    made += [Arm(arm, np.stack([each[arm] for each in free]), made[0].losses, 0.0) for arm in arms.FREE]
    ratio = max(counts.values()) / min(counts.values())
    facts = recommending.judged(base.labels, made, base.names, numbered(base.groups))
    if ratio < EVEN:
        even = f"The largest class has {ratio:.1f} times the training rows of the smallest: there is little to remedy."
        facts["sentences"] = [even, *facts["sentences"]]
    return facts | {"rows": counts, "recipe_name": name, "ratio": ratio, "about": ABOUT, "recipe": recipe.dump(plain)}


def _same(run: RunFolder, plain: Recipe, arm: str) -> None:
    """Raise InputError unless the run differs from the plain recipe in its arm and its seed alone: the file may have
    been edited while others trained.
    """
    bare = {key: getattr(plain, key) for key in arms.KEYS}
    made = recipe.load(str(run.root))
    split = replace(made.data.split, seed=plain.data.split.seed)
    like = replace(made, seed=plain.seed, data=replace(made.data, split=split), **bare)
    if like != plain or made.split_seed != plain.split_seed:
        raise InputError(
            f"{run.root}: its recipe is not that of {PLAIN} with {arm} alone; it was changed meanwhile. Delete this "
            "folder and type the same again with --resume"
        )


def _seconds(run: RunFolder) -> float:
    spent = read_json(run.environment)["seconds"]
    return float(spent["train"] - spent.get("features", 0.0))  # which one run computes for all
