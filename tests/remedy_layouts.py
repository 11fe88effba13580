"""Short trainings by every loss and sampler, as functions and as a program for `torchrun`.

A linear model in the stock Trainer: what is at stake is what the loss is divided by and which rows are shown, and
`training.fit` around it is held by tests/layouts.py.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from transformers import Trainer, TrainingArguments

from hfft.callbacks import Epochs
from hfft.class_weights import Frequencies
from hfft.objectives import loss_function
from hfft.recipe import Loss, Sampler
from hfft.resampling import Resampled
from tests.layouts import LABELS, fit, text_rows

WEIGHTS = {"ham": 1.0, "spam": 6.0, "tofu": 0.3}
NAMES = {False: ("cross_entropy", "focal", "logit_adjusted")}
NAMES[True] = ("binary_cross_entropy", "binary_focal", "binary_logit_adjusted")
# label → (several classes may apply, the recipe's loss section)
LOSSES: dict[str, tuple[bool, Loss]] = {}
for _several, _names in NAMES.items():
    for _name in _names:
        LOSSES[_name] = (_several, Loss(_name))
        LOSSES[f"{_name}, weights"] = (_several, Loss(_name, weights=WEIGHTS))
LOSSES |= {f"{name}, mixed": (False, Loss(name, weights=WEIGHTS)) for name in NAMES[False]}
# Optimizer step of a checkpoint in the middle of the second epoch, at 16 rows a step.
SAMPLERS = {"over_sampling": 11, "under_sampling": 3, "repeat_factor": 8, "class_balanced": 6}


class Line(torch.nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.drop, self.out = torch.nn.Dropout(dropout), torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.out(self.drop(x))}


def points() -> tuple[np.ndarray, np.ndarray]:
    """(64 rows of 6 numbers, labels: 40, 16 and 8 of the classes)."""
    labels = np.array([0 if i % 8 < 5 else 1 if i % 8 < 7 else 2 for i in range(64)])
    return (np.random.default_rng(0).normal(size=(64, 6)) + labels[:, None]).astype(np.float32), labels


def trained(
    root: Path,
    rows: Any,
    compute: Any,
    train: dict[str, Any],
    dropout: float = 0.0,
    resume: Path | None = None,
) -> tuple[Trainer, list[dict[str, float]]]:
    """(the trainer, loss and gradient norm of each step)"""
    args = TrainingArguments(
        str(root), optim="sgd", learning_rate=0.1, lr_scheduler_type="constant", logging_steps=1, report_to="none",
        use_cpu=True, remove_unused_columns=False, disable_tqdm=True, label_names=["labels"], seed=3, **train,
    )  # fmt: skip
    transformers.set_seed(0)
    trainer = Trainer(Line(dropout), args, train_dataset=rows, compute_loss_func=compute, callbacks=[Epochs(rows)])  # type: ignore[arg-type]
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    steps = [{k: row[k] for k in ("loss", "grad_norm")} for row in trainer.state.log_history if "grad_norm" in row]
    return trainer, steps


def losses_of(label: str, root: Path, train: dict[str, Any]) -> list[dict[str, float]]:
    """Loss and gradient norm of three steps by a loss with label smoothing."""
    several, loss = LOSSES[label]
    values, ids = points()
    hot = np.eye(3)[ids]
    labels = np.maximum(hot, np.roll(hot, 1, axis=0)) if several else ids
    found = Frequencies.of(labels, LABELS)
    if label.endswith("mixed"):  # as mixup makes them
        labels = 0.7 * hot + 0.3 * np.roll(hot, 1, axis=0)
    rows = [{"x": x, "labels": y.tolist()} for x, y in zip(values, labels, strict=True)]
    once = {"max_steps": 3, "save_strategy": "no"}
    return trained(root, rows, loss_function(loss, 0.1, several, found), once | train)[1]


def weights_by(name: str, root: Path, train: dict[str, Any], resume: int = 0) -> bytes:
    """The weights after two epochs with dropout by a sampler; `resume`: goes on from the checkpoint of that step."""
    values, labels = points()
    rows = [{"x": x, "labels": int(y)} for x, y in zip(values, labels, strict=True)]
    shown = Resampled(rows, labels, Sampler(name), 5)
    every = {"save_strategy": "steps", "save_steps": SAMPLERS[name], "num_train_epochs": 2}
    point = root / f"checkpoint-{resume}" if resume else None
    done, _ = trained(root, shown, loss_function(Loss()), every | train, 0.3, point)
    return done.model.out.weight.detach().numpy().tobytes()


def resumes_exactly(name: str, root: Path, train: dict[str, Any]) -> bool:
    """Whether going on in the middle of the second epoch gives the weights of an uninterrupted run."""
    whole = weights_by(name, root, train)
    return whole == weights_by(name, root, train, SAMPLERS[name])


def uneven(folder: Path) -> datasets.Dataset:
    """The same labels as texts."""
    return text_rows(folder).remove_columns("labels").add_column("labels", points()[1].tolist())


def whole_line(root: Path, train: dict[str, Any]) -> bool:
    """The same by `training.fit`, with everything that hfft puts around the Trainer."""
    every = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 6, "eval_steps": 6, "max_steps": -1}
    every |= {"num_train_epochs": 2, "save_total_limit": 9} | train
    changes = {"sampler": "class_balanced", "loss": {"name": "focal", "weights": "sqrt"}}
    for part in ("whole", "cut"):
        point = root / "cut" / "checkpoints" / "checkpoint-6" if part == "cut" else None
        if point and rank() == 0:
            shutil.copytree(root / "whole" / "checkpoints" / point.name, point)
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        fit("bert", root / part, every, 0.1, point, changes=changes, rows=uneven(root))
    whole, cut = ((root / part / "model" / "model.safetensors").read_bytes() for part in ("whole", "cut"))
    return whole == cut


def rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


if __name__ == "__main__":
    out, eight = Path(sys.argv[1]), {"per_device_train_batch_size": 8}
    steps = {label: losses_of(label, out / "losses", eight) for label in LOSSES}
    same = {name: resumes_exactly(name, out / name, eight) for name in SAMPLERS}
    same["whole line"] = whole_line(out / "line", eight)
    if rank() == 0:
        (out / "found.json").write_text(json.dumps({"steps": steps, "same": same}))
