"""What comes after the last step of training, on a few rows: saving, reloading, predicting, scoring and reporting.

In: a trained backbone and rows with `label` and `id`. Out: problems in the `Trial`, and the seconds it took. It must
not know how the model was trained, and keeps nothing.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import datasets
import numpy as np
import torch
import transformers

from hfft import (
    answering,
    backbones,
    baselines,
    cautioning,
    gating,
    labelsets,
    mask_records,
    predicting,
    recipe,
    reporting,
    robustness,
    scoring,
    segmenting,
    thresholds,
    trainer_arguments,
    training,
    verdicts,
)
from hfft.backbones import Backbone
from hfft.errors import InputError, listed
from hfft.problems import Trial
from hfft.records import Predictions, write_json

COMPARED = 16  # rows predicted before and after saving
NEAR = 1e-3  # of a probability; two runs of one model on one machine agree to 1e-6 in float32
NEAR_HALF = 5e-2
FIXES = {
    "saving": "check the disk; if it is fine, this model does not save itself whole: choose another one",
    "reloading": "the saved model could not be used: choose another model.name, or report this with the recipe",
    "prediction": "the run would end here after training: choose another model.name, or report this with the recipe",
    "scores": "leave the metric out of metrics: in the recipe, or report this with the recipe",
    "report": "install hfft again, or report this with the recipe",
}


def rehearse(trial: Trial, backbone: Backbone, seen: datasets.Dataset) -> float:
    """Saving, reloading, predicting, scoring and reporting; seconds of what does not grow with the rows."""
    clock = time.perf_counter()
    args = trainer_arguments.arguments(trial.wanted, trial.folder, fitting=False)
    if not trial.folder.model.is_dir():

        def save() -> None:
            training.save(transformers.Trainer(model=backbone.model, args=args), backbone, trial.folder)

        trial.attempt("saving", FIXES["saving"], save)
    saved = None
    if trial.folder.model.is_dir():
        saved = trial.attempt(
            "reloading", FIXES["reloading"], lambda: backbones.reload(trial.folder.model, trial.modality)
        )
    if saved is not None:
        same = saved
        trial.attempt("reloading", FIXES["reloading"], lambda: _compare(trial, backbone, same, seen, args))
    loaded = time.perf_counter() - clock
    model = saved or backbone
    found = trial.attempt(
        "prediction", FIXES["prediction"],
        lambda: predicting.predict(model, trial.modality, seen, trial.wanted.model, args),
    )  # fmt: skip
    clock = time.perf_counter()
    if found is not None:
        scores = trial.attempt("scores", FIXES["scores"], lambda: scoring.score(found, trial.wanted.metrics))
        if scores is not None:
            ask = segmenting.asker([model], trial.wanted.model, args)
            trial.attempt("report", FIXES["report"], lambda: _report(trial, found, scores, seen, ask))
    return loaded + time.perf_counter() - clock


def _compare(trial: Trial, before: Backbone, after: Backbone, seen: datasets.Dataset, args: Any) -> None:
    """Raise InputError unless the reloaded model has the same classes, tensors and outputs."""
    names = backbones.class_order(before.model)
    if backbones.class_order(after.model) != names:
        got = listed(backbones.class_order(after.model))
        raise InputError(f"the saved model's classes are {got}, not {listed(names)}: its config.json lost their names")
    kept = after.model.state_dict()
    lost = [
        name
        for name, tensor in before.model.state_dict().items()
        if name not in kept or not torch.equal(tensor.cpu(), kept[name].cpu())
    ]
    if lost:
        raise InputError(f"{len(lost)} tensors are not the same after saving and reloading: {listed(lost, 4)}")
    rows, spec = seen.select(range(min(COMPARED, len(seen)))), trial.wanted.model
    first, second = (predicting.probabilities(one, trial.modality, rows, spec, args) for one in (before, after))
    gap = float(np.abs(first - second).max())
    if gap > (NEAR_HALF if args.bf16 or args.fp16 or args.bf16_full_eval or args.fp16_full_eval else NEAR):
        raise InputError(
            f"the saved model predicts otherwise: probabilities differ by up to {gap:.3g} after reloading, with the "
            "same weights; its tokenizer, image processor or config is not saved whole"
        )


def _report(trial: Trial, found: Any, scores: dict[str, Any], seen: datasets.Dataset, ask: Any) -> None:
    """Everything `hfft eval` writes, with validation rows in the place of test rows, and the page and card from it."""
    folder, wanted = trial.folder, trial.wanted
    (folder.root / "recipe.yaml").write_text(recipe.dump(wanted), encoding="utf-8")
    if trial.split is not None:
        write_json(folder.split, trial.split.facts())
    folder.write_scores("test", scores)
    if found.multi_label:
        thresholds.write(folder.thresholds, thresholds.tune(found), found)
        thresholds.read(folder.thresholds, found.names)
    if isinstance(found, Predictions) and not any(problem.step == "decide" for problem in trial.problems):  # told
        rows = labelsets.count(seen["label"][:], found.multi_label)
        found = answering.settled(folder, wanted, found, dict.fromkeys(found.names, 1) | rows)
    found.write(folder.predictions("test"))
    mask_records.read(folder.predictions("test"))
    predicting.write_mistakes(found, seen, trial.modality, folder.mistakes("test"), ask)
    if isinstance(found, Predictions):
        counts = labelsets.count(seen["label"][:], found.multi_label)
        guessed = baselines.majority(counts, found.labels, found.ids, found.names, len(seen))
        majority = {name: dataclasses.asdict(score) for name, score in scoring.score(guessed, wanted.metrics).items()}
        write_json(folder.baselines, {"majority": majority})
    write_json(folder.root / "notes.json", cautioning.notes(found))
    if not any(problem.step == "gates" for problem in trial.problems):
        known = robustness.unmeasured(wanted.gates, scores, str(folder.root)) | scores
        verdicts.write(folder, gating.judge(wanted.gates, gating.Evidence(known)))
    reporting.render(folder)
    (folder.root / "card.md").write_text(reporting.card(folder), encoding="utf-8")
