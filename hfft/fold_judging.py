"""What may be claimed from the answers to held-out rows: scores, gates, calibration, slices, mistakes of all folds.

In: finished folds of a cross-validation. Out: plain facts, folds.json, and the files of all answers taken together. No
model and no test split is needed: a year-old cross-validation is judged again in seconds. A place where stages meet; no
torch, no transformers.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import (
    calibrating,
    cautioning,
    corrected,
    erring,
    fold_pages,
    gating,
    judging,
    mask_records,
    recipe,
    scoring,
    slicing,
    timeline,
    uniting,
    verdicts,
    working,
)
from hfft.errors import InputError, counted, listed
from hfft.mask_records import Answers, MaskPredictions
from hfft.recipe import Recipe
from hfft.records import (
    FOLDS,
    HELD_OUT,
    OUT_OF_FOLD,
    Predictions,
    Score,
    SplitReport,
    leading,
    less_is_better,
    read_json,
    write_json,
    write_whole,
)
from hfft.run_folder import RunFolder

OUT = OUT_OF_FOLD
MEMBER = "fold-"
SURE = 5  # folds whose spread is worth an interval
MISTAKES = 600  # of all folds, as many as of a run


def concerns(name: str) -> bool:
    """Whether `name` is a folder of folds whose models have not been scored together on the test split."""
    return (Path(name) / FOLDS).is_file() and not RunFolder(Path(name)).predictions("test").is_file()


@working.on("judge", unless=lambda name, overrides=(): bool(overrides))
def judge(name: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """Judge the held-out answers again, with other `metrics` or `gates` if the overrides say so; see `judged`.

    With overrides nothing is written, and "page" is None. Raises InputError for overrides of anything else.
    """
    root = Path(name)
    facts, runs = read_json(root / FOLDS), RunFolder(root).members
    wanted = recipe.load(str(runs[0].root), judging.judgeable(overrides))
    if not overrides:
        return judged(root, runs, wanted, facts["folds"], facts["repeats"], facts.get("stopped"), facts.get("searched"))
    parts, predictions = _read(runs, facts["repeats"])
    found, _ = _facts(RunFolder(root), runs, parts, predictions, wanted)
    kept = {key: facts[key] for key in ("folds", "repeats", "stopped", "searched") if key in facts}
    found |= kept
    return {"run": name, **found, "sentences": _sentences(found), "page": None}


@timeline.phase("report")
def judged(
    root: Path,
    runs: list[RunFolder],
    wanted: Recipe,
    folds: int,
    repeats: int,
    stopped: str | None,
    searched: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything about the held-out rows of `runs`, from their files; written into `root`.

    stopped: a sentence where some folds are missing; without it the folds become one model, too (see uniting.py).
    searched: what a search chose in each fold.
    """
    whole = RunFolder(root)
    parts, predictions = _read(runs, repeats)
    _write(whole, runs, parts, predictions)
    facts, told = _facts(whole, runs, parts, predictions, wanted)
    facts |= {"folds": folds, "repeats": repeats}
    whole.write_scores(OUT, {key: Score(**made) for key, made in facts[OUT].items()})
    if facts["slices"]:
        kept = read_json(whole.slices) if whole.slices.is_file() else {}
        write_json(whole.slices, kept | {OUT: facts["slices"]})
    facts |= {"stopped": stopped} if stopped else {}
    facts |= {"searched": searched} if searched else {}
    facts["sentences"] = _sentences(facts)
    if not whole.predictions("test").is_file():  # else the gates there are those of the models together
        verdicts.write(whole, told)
    if not stopped:
        uniting.united(whole, runs, wanted, predictions)
    write_json(root / FOLDS, facts)
    fold_pages.write(root)
    return {"run": str(root), **facts, "page": str(root / fold_pages.PAGE)}


def _read(runs: list[RunFolder], repeats: int) -> tuple[list[Answers], Answers]:
    """(each fold's rows, all of them). A row that was held out several times stays one witness: its copies are a
    group."""
    parts = [mask_records.read(run.predictions(HELD_OUT)) for run in runs]
    if repeats > 1:
        parts = [dataclasses.replace(p, groups=p.ids if p.groups is None else p.groups) for p in parts]
    if any(part.names != parts[0].names for part in parts):
        raise InputError("the folds know different classes: the data has changed; train them again")
    return parts, mask_records.joined(parts)


def _facts(
    whole: RunFolder, runs: list[RunFolder], parts: list[Answers], predictions: Answers, wanted: Recipe
) -> tuple[dict[str, Any], list[gating.Verdict]]:
    """(what `judged` returns but for its sentences, verdicts of the gates); writes nothing."""
    dealt = [SplitReport(**read_json(run.split)) for run in runs]
    sizes = [{split: report.size(split) for split in report.counts} for report in dealt]
    ratio = float(np.mean([size[HELD_OUT] / size["train"] for size in sizes]))
    scored = [scoring.score(part, wanted.metrics) for part in parts]
    found = {}
    for key in scored[0]:
        values = [value for score in scored if (value := score[key].value) is not None]
        if "[" not in key and len(values) == len(scored):
            found[key] = dataclasses.asdict(corrected.mean(values, ratio, bounded=_bounded(key)))
    pooled = scoring.score(predictions, wanted.metrics)
    calibration = calibrating.judged(predictions, None) if isinstance(predictions, Predictions) else None
    told, waiting = _gates(wanted, found, pooled, calibration, predictions.n)
    facts = {
        "members": [run.root.name for run in runs],
        "sizes": sizes,
        "test_rows": sizes[0]["test"],
        "ratio": ratio,
        "scores": found,
        "by_fold": {key: [dataclasses.asdict(score[key]) for score in scored] for key in pooled},
        OUT: judging.plain(pooled),
        "slices": slicing.judged(predictions, whole.attributes(OUT)),
        "calibration": calibration,
        "notes": [*_few(len(runs)), *cautioning.notes(predictions)],
        "gates": [verdicts.plain(verdict) for verdict in told],
        "waiting": waiting,
        "exit_code": gating.exit_code(told),
        "seconds": [float(read_json(run.environment)["seconds"]["train"]) for run in runs],
        "recipe": recipe.dump(wanted),
    }
    return facts, told


def _few(folds: int) -> list[str]:
    """A caution where the spread of the folds is known from hardly any."""
    if folds >= SURE:
        return []
    return [
        f"The interval of a mean of {folds} folds rests on their spread alone, which so few show badly: it may be much "
        "too wide, or by chance much too narrow. Believe that of all answers where it is wider; five folds are usual."
    ]


def _gates(
    wanted: Recipe,
    found: dict[str, dict[str, Any]],
    pooled: dict[str, Score],
    calibration: dict[str, Any] | None,
    n: int,
) -> tuple[list[gating.Verdict], str]:
    """(verdicts on the gates that scores decide, a sentence on those that only test rows do, or "").

    Whole-split metrics are judged on the mean of the folds and the wider of two intervals: the corrected one, which
    allows for other training, too, but is narrow by chance where few folds happen to agree; and that of all answers
    together. Those of a class are judged on the latter.
    """
    means = {key: _wider(made, pooled[key], n) for key, made in found.items()}
    scores = pooled | means | (calibrating.scores(calibration) if calibration else {})
    each = {f"{key.partition('[')[0]}{gating.EACH}" for key in scores if "[" in key}
    mine = {key: rule for key, rule in wanted.gates.items() if key in scores or key in each}
    others = [key for key in wanted.gates if key not in mine]
    are = "is" if len(others) == 1 else "are"
    said = (
        f"{counted(len(others), 'gate')} ({listed(others)}) {are} judged on test rows, by hfft eval." if others else ""
    )
    return gating.judge(mine, gating.Evidence(scores)), said


def _wider(made: dict[str, Any], pooled: Score, n: int) -> Score:
    """The mean of the folds, with an interval that holds the corrected one and that of all answers together."""
    ends = [(made["low"], made["high"]), (pooled.low, pooled.high)]
    low, high = min(low for low, _ in ends if low is not None), max(high for _, high in ends if high is not None)
    method = f"mean of {len(made['values'])} folds; Nadeau and Bengio, or {pooled.method}, whichever is wider"
    return Score(made["mean"], low, high, n, method)


def _write(whole: RunFolder, runs: list[RunFolder], parts: list[Answers], predictions: Answers) -> None:
    """predictions/out_of_fold*.parquet: the answers with the fold of each row, the attributes that slices are made by,
    and the most confident mistakes of all folds.
    """
    places = [int(run.root.name.removeprefix(MEMBER)) for run in runs]
    number = np.concatenate([np.full(part.n, place) for place, part in zip(places, parts, strict=True)])
    table = predictions.table().append_column("fold", pa.array(number))
    whole.predictions(OUT).parent.mkdir(parents=True, exist_ok=True)
    write_whole(whole.predictions(OUT), lambda target: pq.write_table(table, target))
    tables = [pq.read_table(run.attributes(HELD_OUT)) for run in runs]
    joined = pa.concat_tables(tables, promote_options="permissive")
    write_whole(whole.attributes(OUT), lambda target: pq.write_table(joined, target))
    if all(run.mistakes(HELD_OUT).is_file() for run in runs):  # folds of an older hfft have none
        mistakes = pa.concat_tables([pq.read_table(run.mistakes(HELD_OUT)) for run in runs])
        surest = _surest(mistakes, worst="ascending" if isinstance(predictions, MaskPredictions) else "descending")
        write_whole(whole.mistakes(OUT), lambda target: pq.write_table(surest, target))


def _surest(table: pa.Table, worst: str) -> pa.Table:
    """The surest mistakes first, each row once, some of every confusion; of images, whose IoU ascends, the worst."""
    table = table.sort_by([("confidence", worst), ("id", "ascending")])
    ids = table["id"].to_pylist()
    seen: dict[str, int] = {}
    for place, identity in enumerate(ids):
        seen.setdefault(identity, place)
    table = table.take(list(seen.values()))
    kinds = list(zip(table["label"].to_pylist(), table["prediction"].to_pylist(), strict=True))
    return table.take(np.sort(erring.first_of_each(kinds)[:MISTAKES]))


def _sentences(facts: dict[str, Any]) -> list[str]:
    lead = leading(facts["scores"])
    rounds = f", dealt {facts['repeats']} times" if facts["repeats"] > 1 else ""
    said = [facts["stopped"]] if "stopped" in facts else []
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
    said += [facts["waiting"]] if facts["waiting"] else []
    if "searched" in facts:
        told = "; ".join(f"{k}: {' '.join(v) or 'the recipe as it is'}" for k, v in facts["searched"]["chosen"].items())
        said.append(
            f"In each fold {facts['searched']['trials']} trials chose the recipe anew, on its own rows: this is the "
            f"score of searching and training together. Chosen: {told}."
        )
    return [*said, f"The {facts['test_rows']:,} test rows took no part: the split is sealed as before."]


def _amount(metric: str, value: float) -> str:
    return f"{value:.4f}" if less_is_better(metric) else f"{100 * value:.1f} points"


def _bounded(metric: str) -> bool:
    return not less_is_better(metric) and metric not in ("mcc", "kappa")
