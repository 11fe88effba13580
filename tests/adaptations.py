"""One short training with an `adapt:` section, as a function and as a program for `torchrun`; see layouts.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers

from hfft import backbones, recipe, rooms, trainer_arguments, training
from hfft.run_folder import RunFolder
from tests.layouts import BERT, LABELS, SMALL, STILL, TRAIN, VIT, image_rows, text_rows

TIMM: dict[str, Any] = {**VIT, "model": {"name": "timm/test_efficientnet", "pretrained": False, "image_size": 32}}
KINDS = {"bert": BERT, "vit": VIT, "timm": TIMM}
EPOCHS = {"max_steps": -1, "save_strategy": "epoch", "eval_strategy": "epoch", "load_best_model_at_end": True}
# What two processes are asked to do as one process does it.
TOGETHER: dict[str, dict[str, Any]] = {
    "features": {"freeze": "backbone"},
    "lora": {"lora": {"r": 2}},
    "unfreeze": {"freeze": "backbone", "unfreeze": True},
}


def built(kind: str, adapt: dict[str, Any], train: dict[str, Any], **more: Any) -> recipe.Recipe:
    """A recipe with a tiny model of that kind."""
    return recipe.build({**KINDS[kind], "train": {**TRAIN, **train}, "adapt": adapt, **more})


def made(wanted: recipe.Recipe) -> backbones.Backbone:
    """The backbone of a recipe, the same each time."""
    transformers.set_seed(0)
    backbone = backbones.load(wanted.model, rooms.find("modalities", wanted.task), LABELS)
    norms = [m for m in backbone.model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:  # with the statistics of random weights as they come, nothing would be left of a picture
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            backbone.model.train()(pixel_values=torch.randn(32, 3, 32, 32))
    for norm in norms:
        norm.momentum = 0.1
    return backbone


def fit(
    kind: str, root: Path, adapt: dict[str, Any], train: dict[str, Any], resume: Path | None = None, **more: Any
) -> tuple[training.Fit, backbones.Backbone, list[str]]:
    """Train on 64 rows: (what came of it, the trained backbone, what was said)."""
    wanted, run, said = built(kind, adapt, train, **more), RunFolder(root), list[str]()
    args = trainer_arguments.arguments(wanted, run)
    rows = text_rows(root.parent) if kind == "bert" else image_rows()
    backbone = made(wanted)
    modality = rooms.find("modalities", wanted.task)
    done = training.fit(wanted, args, backbone, modality, rows, rows, run, resume, say=said.append)
    return done, backbone, said


def losses(done: training.Fit) -> list[float]:
    """The loss of each step."""
    return [row["loss"] for row in done.history if "grad_norm" in row]


def dropping(share: float) -> dict[str, Any]:
    """A tiny BERT with dropout."""
    return {**BERT["model"], "config": SMALL | dict.fromkeys(STILL, share)}


if __name__ == "__main__":
    out = Path(sys.argv[1])
    train = {"per_device_train_batch_size": 8, "max_steps": -1, "num_train_epochs": 2}
    found = {name: losses(fit("bert", out / name / "run", adapt, train)[0]) for name, adapt in TOGETHER.items()}
    (out / "losses.json").write_text(json.dumps(found))
