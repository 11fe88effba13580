"""What may be claimed about a model: everything that follows from the prediction files of a run.

In: a run folder whose test rows have been predicted. Out: scores, gains over baselines, notes, verdicts of the gates
and the page, written into the folder and returned as plain facts. Like verbs.py, this is a place where stages meet, but
it needs no model, opens no split, and imports neither torch nor transformers: a year-old run takes seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hfft import (
    baselines,
    calibrating,
    card_files,
    cautioning,
    comparing,
    deciding,
    gating,
    mask_records,
    openings,
    recipe,
    reporting,
    robustness,
    scoring,
    slicing,
    timeline,
    verdicts,
    working,
)
from hfft.errors import InputError
from hfft.gating import Verdict
from hfft.mask_records import Answers
from hfft.recipe import Recipe
from hfft.records import Predictions, Score, leading, read_json, write_json
from hfft.run_folder import RunFolder


@working.on("judge", unless=lambda name, overrides=(): bool(overrides))
def judge(name: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """Judge a scored run again from its files, with other `metrics` or `gates` if the overrides say so.

    With overrides nothing is written ("report" is None): the run's files keep the verdict of its own recipe. Raises
    InputError when the test split has not been opened yet, and for overrides of anything else: that would be another
    run.
    """
    folder = RunFolder.existing(name, folds=True)
    wanted = recipe.load(str(folder.root), judgeable(overrides))
    try:
        deciding.ready(folder, wanted)
    except InputError as error:
        if "gates: no metric" in str(error) and not any(word.startswith("gates") for word in overrides) and overrides:
            hint = "the recipe has gates on metrics that were left out: keep those, or type gates={} to judge none"
            raise InputError(f"{error}\n{hint}") from error
        raise
    predictions = mask_records.read(folder.predictions("test"))
    return judged(folder, wanted, predictions) if not overrides else _facts(folder, wanted, predictions)[0]


def judgeable(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """The same words. Raises InputError for one that is not about metrics or gates."""
    if wrong := [word for word in overrides if not word.startswith(("metrics=", "gates=", "gates."))]:
        way = " (for abstain see docs/calibration.md)" if wrong[0].startswith("abstain") else ""
        raise InputError(f"{wrong[0]!r}: only metrics and gates can be judged anew; anything else is another run{way}")
    return overrides


@working.on("report")
def report(name: str, say: Callable[[str], None] = print) -> Path:
    """Write report.html and the card again from the files of a run; opens no split. A broken ledger is said."""
    folder = RunFolder.existing(name, folds=True)
    for sentence in publish(folder):
        say(sentence)
    if warning := openings.told(folder, None, None)["warning"]:
        say(warning)
    return folder.report


@timeline.phase("report")
def judged(
    folder: RunFolder, wanted: Recipe, predictions: Answers, scores: dict[str, Score] | None = None
) -> dict[str, Any]:
    """Everything about the test predictions, written into the run folder. scores: where they are known already."""
    if not wanted.masks:  # a pixel's probability is kept nowhere
        calibrating.settled(folder, wanted.abstain)
    facts, told = _facts(folder, wanted, predictions, scores)
    for split in ("test", "test_without_copies"):
        if split in facts:
            folder.write_scores(split, {key: Score(**made) for key, made in facts[split].items()})
    if facts["calibration"]:
        write_json(folder.root / calibrating.FILE, facts["calibration"])
    if facts["slices"]:
        kept = read_json(folder.slices) if folder.slices.is_file() else {}
        write_json(folder.slices, kept | {"test": facts["slices"]})
    write_json(folder.baselines, facts["baselines"])
    write_json(folder.root / "gains.json", facts["gains"])
    write_json(folder.root / "notes.json", facts["notes"])
    if facts["probes"]:
        kept = read_json(folder.probes) if folder.probes.is_file() else {}
        write_json(folder.probes, kept | {"test": facts["probes"]})
    verdicts.write(folder, told)
    facts = facts | {"notes": [*facts["notes"], *publish(folder)]}  # the last is of a file, not of the model
    return facts | {"report": str(folder.report)}


@timeline.phase("report")
def validated(folder: RunFolder, wanted: Recipe, predictions: Answers) -> dict[str, Score]:
    """Scores of the validation predictions, and what they settle: temperature, threshold and quantiles.

    Of masks they settle nothing: no probabilities are kept.
    """
    scores = scoring.score(predictions, wanted.metrics)
    folder.write_scores("validation", scores)
    if isinstance(predictions, Predictions):
        write_json(folder.model / calibrating.FILE, calibrating.fitted(predictions, wanted.abstain))
    predictions.write(folder.predictions("validation"))  # last: RunFolder.finished
    return scores


def scored(folder: RunFolder, wanted: Recipe, predictions: Answers) -> dict[str, Score]:
    """Scores of the test predictions, written into metrics.json."""
    scores = scoring.score(predictions, wanted.metrics)
    folder.write_scores("test", scores)
    return scores


@timeline.phase("report")
def publish(folder: RunFolder) -> list[str]:
    """The page and the card, from the run's files; the models of folds have cards of their own.

    Returns what is to be said of a card that somebody edited.
    """
    reporting.render(folder)
    if folder.members:
        return []
    said = card_files.write(folder, reporting.card(folder))
    return [said] if said else []


def plain(scores: dict[str, Score]) -> dict[str, Any]:
    """Scores as JSON has them."""
    return {name: dataclasses.asdict(score) for name, score in scores.items()}


def _facts(
    folder: RunFolder, wanted: Recipe, predictions: Answers, scores: dict[str, Score] | None = None
) -> tuple[dict[str, Any], list[Verdict]]:
    """(what `judged` returns, verdicts of the gates); writes nothing."""
    scores = scores or scoring.score(predictions, wanted.metrics)
    calibration = None
    if isinstance(predictions, Predictions):
        calibration = calibrating.judged(predictions, calibrating.settled(folder, wanted.abstain, keep=False))
    clean = _without_copies(folder, wanted, predictions)
    beside, gains = _beside(folder, wanted, predictions)
    notes = cautioning.notes(predictions) + (read_json(folder.fitted) if folder.fitted.is_file() else [])
    probes = robustness.of(folder, "test", wanted.metrics)
    measured = scores | (calibrating.scores(calibration) if calibration else {})
    measured |= robustness.scores(probes) if probes else {}
    told = deciding.judge(folder, wanted, measured, predictions) + deciding.reloaded(folder)
    facts = {"run": str(folder.root), "n": predictions.n, "openings": _looks(folder, scores), "test": plain(scores)}
    facts |= {"baselines": beside, "gains": gains, "calibration": calibration, "probes": probes}
    facts |= {"parity": folder.read_parity()}
    facts |= {"slices": slicing.judged(predictions, folder.attributes("test"))}
    facts |= {"test_without_copies": plain(clean)} if clean else {}
    facts |= {"members": [run.root.name for run in folder.members]} if folder.members else {}
    ending = {"report": None, "exit_code": gating.exit_code(told)}
    return facts | {"notes": notes, "gates": [verdicts.plain(verdict) for verdict in told]} | ending, told


def _beside(
    folder: RunFolder, wanted: Recipe, predictions: Answers
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """(scores, gains over it) of each baseline that has predicted the same rows."""
    scores, gains = {}, {}
    for name in baselines.NAMES:
        if folder.predictions(f"test_{name}").is_file():
            found = mask_records.read(folder.predictions(f"test_{name}"))
            scores[name] = plain(scoring.score(found, wanted.metrics))
            if gain := comparing.gain(found, predictions, wanted.metrics):
                gains[name] = {"metric": gain[0], **dataclasses.asdict(gain[1])}
    return scores, gains


def _without_copies(folder: RunFolder, wanted: Recipe, predictions: Answers) -> dict[str, Score]:
    """Scores on the test rows that have no copy in an earlier split; empty when all or none of them are such."""
    copies = folder.copies()
    clean = predictions.where(np.array([row not in copies for row in predictions.ids]))
    return {} if clean.n in (0, predictions.n) else scoring.score(clean, wanted.metrics)


def _looks(folder: RunFolder, scores: dict[str, Score]) -> dict[str, Any]:
    """What the ledgers say, without their lines."""
    metric = leading(scores)
    facts = openings.told(folder, metric, scores.get(metric or ""))
    return {key: value for key, value in facts.items() if key != "entries"}
