"""Probes of a finished run: as part of a look at the test rows, and on their own.

In: a run folder, its model, held-back rows. Out: predictions/<split>_probes.parquet with what is needed to read it, and
the facts of probes.json. Like verbs.py, this is a place where stages meet.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from hfft import (
    agreeing,
    answers,
    askers,
    asking,
    budgets,
    ensembling,
    gathering,
    int8_linear,
    judging,
    ledger,
    perturbing,
    probe_telling,
    probing,
    recipe,
    robustness,
    rooms,
    trainer_arguments,
)
from hfft.answers import AS_IT_IS, TEMPLATES, Cell
from hfft.budgets import LEAST
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.perturbing import title
from hfft.probing import Subject
from hfft.recipe import Recipe
from hfft.records import Predictions, SplitReport, fingerprint, read_json, write_json
from hfft.run_folder import RunFolder

OF_TRAINING = 0.3  # of the time training took, at most, unless probes are named
OVERRUN = 1.5  # a budget is met by an estimate; beyond this it is cut short


@dataclass(frozen=True)
class Done:
    """tried: what was asked now. least: where time was too short for anything, seconds that one probe would take."""

    tried: tuple[str, ...] = ()
    least: float = 0.0


def probe(
    name: str,
    names: Sequence[str] = (),
    budget: str | float | None = None,
    rows: int | None = None,
    test: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Probe a finished run on its validation rows, or with a look in the ledger on its test rows.

    names, budget, rows: see `asking.applied`. Results of other probes on the same rows are kept. Returns {"run",
    "split", "look", "asked": names of what was tried now, "probes": facts}. Raises InputError for bad words, and where
    the time is too short for any probe.
    """
    folder, split = RunFolder.existing(name, folds=test), "test" if test else "validation"
    wanted = recipe.load(str(folder.root))
    modality = rooms.find("modalities", wanted.task)
    own, wanted = wanted, asking.applied(wanted, modality.INPUT, names or (), budget, rows)
    args = trainer_arguments.arguments(wanted, folder, fitting=False)
    say = say if args.process_index == 0 else _silent
    held = gathering.held_back(wanted, folder, split)
    model = ensembling.reload(folder, modality)
    look = None
    if test and args.process_index == 0:
        prints = fingerprint(held["id"][:]), ensembling.weights(folder)
        look = ledger.opened(folder, len(held), *prints)
    ask = askers.asker(wanted, folder, model, modality, args)
    began = time.perf_counter()
    answered = ask(held)
    each = (time.perf_counter() - began) / max(len(held), 1)
    segment = askers.segmenter(wanted, model, modality, args)
    sooner = askers.in_int8(own, folder, model, modality, args, say)
    subject = Subject(modality, model.processor, held, ask, answered, segment, sooner)
    done = run(wanted, folder, split, subject, each, args, say, capped=budget is None)
    if look is not None:
        ledger.scored(folder, look, {})  # seen to its end; nothing was scored
    if done.least:
        raise InputError(
            f"{wanted.probes.budget} is too short: {LEAST:,} rows, or all there are, take a probe about "
            f"{done.least:.1g} s here; type --budget {max(5, math.ceil(3 * done.least))}s, or --rows {LEAST}"
        )
    if args.process_index:
        return {"run": str(folder.root)}
    facts = robustness.of(folder, split, wanted.metrics)
    if facts:
        kept = read_json(folder.probes) if folder.probes.is_file() else {}
        write_json(folder.probes, kept | {split: facts})
        judging.publish(folder)
    return {"run": str(folder.root), "split": split, "look": look, "asked": list(done.tried), "probes": facts}


def run(
    wanted: Recipe,
    folder: RunFolder,
    split: str,
    subject: Subject,
    each: float,
    args: Any,
    say: Say,
    capped: bool = True,
) -> Done:
    """Ask, and keep the answers in the run folder beside those of probes that are not asked now.

    each: seconds the model takes for one row. capped: at a share of the time that training took, unless probes are
    named. What a gate is about is tried at every strength whatever the budget, and first: its rate must not depend on
    how busy the machine is. Every process has to call it.
    """
    chosen, seconds = _chosen(wanted, subject.modality), _seconds(wanted, folder, capped)
    whole = robustness.asked(wanted.gates)
    costs = {title(one): each + probing.cost(subject, one) for one in chosen}
    levels = {title(one): one.SEVERITIES for one in chosen}
    plan = _as_before(folder, split, levels, seconds, whole) if wanted.probes.rows is None else None
    plan = plan or budgets.plan(levels, costs, len(subject.rows), seconds, wanted.probes.rows, whole)
    # Clocks differ, and all processes have to ask the model the same questions.
    plan, templates = agreeing.agreed(lambda: plan), wanted.probes.templates
    if not chosen and not templates:
        return Done()
    needs = plan.rows * sum(costs[name] * len(tried) for name, tried in plan.severities.items())
    spent = probe_telling.spent(needs, seconds, wanted.probes.rows, OVERRUN)
    say(
        probe_telling.announced(
            plan.rows, plan.severities, plan.left_out, templates, len(subject.rows), spent, wanted.unit
        )
    )
    places = np.sort(probing.order(subject.rows["id"][:])[: plan.rows])
    part = probing.ready(replace(subject, rows=subject.rows.select(places))) if plan.severities else subject
    began, sooner = time.perf_counter(), subject.sooner if plan.severities else None
    if sooner is not None:  # a change is held against the same arithmetic's answer to the row as it is
        part = replace(part, ask=sooner, answered=sooner(part.rows))
    cells: dict[Cell, Predictions] = {AS_IT_IS: probing.reference(part)} if plan.severities else {}
    how: dict[str, Any] = {"n": len(subject.rows), "sampled": plan.rows, "budget": seconds, "probes": {}}
    how["capped"] = seconds < budgets.seconds(wanted.probes.budget)
    how |= {"arithmetic": int8_linear.NAME} if sooner is not None else {}
    left_out = list(plan.left_out)
    for one in (one for one in chosen if title(one) in plan.severities):
        late = agreeing.agreed(lambda: time.perf_counter() - began > OVERRUN * seconds)
        if late and wanted.probes.rows is None and title(one) not in whole:
            left_out.append(title(one))
            continue
        cells |= probing.probed(part, one, plan.severities[title(one)])
        how["probes"][title(one)] = _about(one, plan, wanted)
    if templates:
        asked = probing.from_templates(subject.modality, subject.ask, templates, wanted.data.multi_label)
        cells |= asked
        how["probes"][TEMPLATES] = {
            "kind": answers.MINIMUM,
            "safe": True,
            "of": sum(c.n for c in asked.values()),
            "says": "sentences made from patterns, whose class is known",
            "patterns": [{"text": one.text, "label": one.label} for one in templates],
            "failures": probing.wrong_sentences(asked, templates),
        }
    least = 0.0 if how["probes"] else min(costs.values()) * min(LEAST, len(subject.rows))
    done = Done(tuple(how["probes"]), least)
    if args.process_index == 0:
        how |= {"seconds": round(time.perf_counter() - began, 1), "left_out": left_out}
        # What was asked for in rows, or cut short on a busy machine, is no plan to follow again.
        how["by_plan"] = wanted.probes.rows is None and len(left_out) == len(plan.left_out)
        tried = [one for one in chosen if title(one) in how["probes"]]
        _keep(folder, split, cells, how, part, tried)
    return done


def _chosen(wanted: Recipe, modality: ModuleType) -> list[ModuleType]:
    """Probes that gates ask about first, so that time runs out on the others."""
    first = perturbing.chosen(robustness.asked(wanted.gates), modality.INPUT)
    return list(dict.fromkeys([*first, *perturbing.chosen(wanted.probes.names, modality.INPUT)]))


def _seconds(wanted: Recipe, folder: RunFolder, capped: bool) -> float:
    seconds = budgets.seconds(wanted.probes.budget)
    if not capped or wanted.probes.names is not None or not folder.environment.is_file():
        return seconds
    known = read_json(folder.environment)
    trained, speed = known.get("seconds", {}).get("train"), known.get("examples_per_second")
    if trained is None:
        return seconds
    # A run that was resumed has timed its last part alone; its speed and epochs tell the whole.
    history = read_json(folder.root / "history.json") if (folder.root / "history.json").is_file() else []
    epochs = max((float(row.get("epoch", 0)) for row in history), default=0.0)
    whole = epochs * SplitReport(**read_json(folder.split)).size("train") / speed if speed else 0.0
    return min(seconds, OF_TRAINING * max(trained, whole))


def _as_before(
    folder: RunFolder, split: str, levels: dict[str, int], seconds: float, whole: Sequence[str]
) -> budgets.Plan | None:
    """The plan by which the same probes were tried in the same time before: asked again, a run says the same again."""
    if not folder.how_probed(split).is_file():
        return None
    how = read_json(folder.how_probed(split))
    tried = {name: tuple(about["severities"]) for name, about in how["probes"].items() if name in levels}
    sizes = {how["probes"][name]["of"] for name in tried}
    left_out = [name for name in how["left_out"] if name in levels]
    if not how["by_plan"] or how["budget"] != seconds or {*tried, *left_out} != set(levels) or len(sizes) != 1:
        return None
    if any(len(tried.get(name, ())) < levels[name] for name in whole):
        return None
    return budgets.Plan(sizes.pop(), {name: tried[name] for name in levels if name in tried}, tuple(left_out))


def _about(one: ModuleType, plan: budgets.Plan, wanted: Recipe) -> dict[str, Any]:
    """What is kept of a probe beside its answers: its file may have changed by the time they are read.

    A change that the model was trained with tells less of changes that it never saw: that is said with it.
    """
    fixed = {"kind": one.KIND, "safe": one.SAFE, "says": one.SAYS}
    if alike := wanted.augment.like(title(one)):
        fixed["says"] += f"; training showed such changes, too (augment.{' and augment.'.join(alike)})"
    return fixed | {"of": plan.rows, "severities": list(plan.severities[title(one)]), "strengths": one.SEVERITIES}


def _keep(
    folder: RunFolder,
    split: str,
    cells: dict[Cell, Predictions],
    how: dict[str, Any],
    part: Subject,
    tried: list[ModuleType],
) -> None:
    """Write answers, what is needed to read them, and the worst examples; those of probes not asked now stay."""
    path, about, shown = folder.probed(split), folder.how_probed(split), folder.probe_examples(split)
    examples = probing.examples(part, cells[AS_IT_IS], cells, tried) if tried else None
    asked = set(how["probes"])
    if not asked and about.is_file():
        return  # nothing fitted into the time: what is known from before stays as it is
    before = read_json(about) if path.is_file() and about.is_file() else {}
    if before and before.get("arithmetic") == how.get("arithmetic"):
        cells = answers.merged(answers.read(path), cells, asked)
        how["probes"] = before["probes"] | how["probes"]
        how["sampled"] = max(how["sampled"], before["sampled"])
        every = dict.fromkeys([*how["left_out"], *before["left_out"]])
        how["left_out"] = [name for name in every if name not in how["probes"]]
    probing.keep_examples(examples, asked, shown)
    if cells:
        answers.write(path, cells)
    write_json(about, how)


def _silent(_: str) -> None:
    """Processes other than the first say nothing."""
