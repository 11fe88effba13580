"""Trainings that change or cut their rows, on whatever layout: a function, and a program for `torchrun`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import transformers

from hfft import backbones, predicting, recipe, rooms, trainer_arguments, training
from hfft.run_folder import RunFolder
from tests import layouts

PICTURES = {**layouts.VIT, "augment": {"flip": True, "crop": 0.5, "randaugment": True, "erase": 0.5}}
TEXTS = {**layouts.BERT, "augment": {"word_dropout": 0.2, "typos": 0.2}, "metrics": ["accuracy", "log_loss"]}
TEXTS["model"] = {**layouts.BERT["model"], "truncation": "windows", "max_length": 6, "stride": 1}
STEPS = {"eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 7}


def fit(tree: dict[str, Any], out: Path, train: dict[str, Any]) -> dict[str, Any]:
    """Loss and gradient norm of each step, scores of each validation, and the first numbers of a prediction."""
    wanted, run = recipe.build({**tree, "train": layouts.TRAIN | STEPS | train}), RunFolder(out / "run")
    args = trainer_arguments.arguments(wanted, run)
    modality = rooms.find("modalities", wanted.task)
    rows = layouts.text_rows(out) if "text" in modality.ROLES else layouts.image_rows()
    transformers.set_seed(0)
    backbone = backbones.load(wanted.model, modality, layouts.LABELS)
    done = training.fit(wanted, args, backbone, modality, rows, rows, run)
    plain = trainer_arguments.arguments(wanted, run, fitting=False)
    said = predicting.outputs(backbone.model, backbone.processor, modality, rows, wanted.model, plain)
    steps = [[row["loss"], row["grad_norm"]] for row in done.history if "grad_norm" in row]
    scores = [[row["eval_accuracy"], row.get("eval_log_loss", 0.0)] for row in done.history if "eval_accuracy" in row]
    return {"steps": steps, "scores": scores, "outputs": said.tolist()}


def fits(out: Path, train: dict[str, Any]) -> dict[str, Any]:
    return {name: fit(tree, out / name, train) for name, tree in {"pictures": PICTURES, "texts": TEXTS}.items()}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    found = fits(place, {"per_device_train_batch_size": 8})
    if os.environ["RANK"] == "0":
        (place / "history.json").write_text(json.dumps(found))
