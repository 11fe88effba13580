"""The plan is what `Trainer` does, and the quote is its arithmetic."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from transformers import TrainerCallback

from hfft import backbones, quoting, recipe, rooms, trainer_arguments, training
from hfft.run_folder import RunFolder
from tests.layouts import BERT, LABELS, text_rows

PLANS = [
    {},
    {"num_train_epochs": 2, "eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False},
    {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2, "save_total_limit": 1},
    {"max_steps": 7, "eval_strategy": "steps", "eval_steps": 0.25, "save_strategy": "steps", "save_steps": 0.25},
    {"num_train_epochs": 1.5, "gradient_accumulation_steps": 3, "save_total_limit": None},
    {"max_steps": 6, "save_strategy": "epoch", "eval_strategy": "no", "load_best_model_at_end": False},
]
FOUND = quoting.Measured([0.5, 0.5, 0.5], 100.0, 2.0, 10.0, 5.0, 1.5, None, 90_000_000, 270_000_000)


class Count(TrainerCallback):
    """How often each thing happened, and what was on disk at most."""

    speed = 0.0

    def __init__(self):
        self.steps = self.evaluations = self.checkpoints = self.most = 0

    def on_step_end(self, *_, **__):
        self.steps += 1

    def on_evaluate(self, *_, **__):
        self.evaluations += 1

    def on_save(self, args, *_, **__):
        self.checkpoints += 1
        self.most = max(self.most, len(list(Path(args.output_dir).glob("checkpoint-*"))))


@pytest.mark.parametrize("train", PLANS)
def test_the_plan_is_what_the_trainer_does(train, tmp_path):
    # Nothing is learnt, so that the best checkpoint is the first and is kept beside the newest.
    train = {"num_train_epochs": 3, "per_device_train_batch_size": 15, "metric_for_best_model": "accuracy", **train}
    train |= {"learning_rate": 0.0}
    wanted, run = recipe.build({**BERT, "train": train, "metrics": ["accuracy"]}), RunFolder(tmp_path / "run")
    args, modality, rows = (
        trainer_arguments.arguments(wanted, run),
        rooms.find("modalities", wanted.task),
        text_rows(tmp_path),
    )
    planned = quoting.plan(args, len(rows))
    seen = Count()
    backbone = backbones.load(wanted.model, modality, LABELS)
    training.fit(wanted, args, backbone, modality, rows, rows.select(range(4)), run, watch=seen)
    assert (planned.steps, planned.evaluations, planned.checkpoints) == (seen.steps, seen.evaluations, seen.checkpoints)
    points = list(run.checkpoints.glob("checkpoint-*")) if run.checkpoints.is_dir() else []
    assert (len(points), planned.most - 1 <= seen.most <= planned.most) == (planned.kept, True)
    model, checkpoint = quoting.sizes(backbone.parameters, args)
    assert model <= (run.model / "model.safetensors").stat().st_size < model + 20_000
    for point in points:
        size = sum(path.stat().st_size for path in point.rglob("*"))
        assert checkpoint <= size < checkpoint + 1_500_000  # and a tokenizer


def test_saving_the_best_only_is_planned_as_each_time(tmp_path):
    train = {"num_train_epochs": 4, "save_strategy": "best", "save_total_limit": 3}
    args = trainer_arguments.arguments(recipe.build({**BERT, "train": train}), RunFolder(tmp_path))
    assert quoting.plan(args, 64) == quoting.Plan(16, 4, 4, 3, 4)


def test_processes_share_the_rows():
    args = training.TrainingArguments("unused", per_device_train_batch_size=4, num_train_epochs=2, use_cpu=True)
    one = quoting.plan(args, 100).steps
    four = dataclasses.make_dataclass("Four", ["world_size"])(4)
    for name in ("per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps"):
        setattr(four, name, getattr(args, name))
    for name in ("eval_strategy", "eval_steps", "save_strategy", "save_steps", "save_total_limit"):
        setattr(four, name, getattr(args, name))
    four.load_best_model_at_end = False
    assert (one, quoting.plan(four, 100).steps) == (50, 14)


def test_the_quote_adds_up():
    found = quoting.quote(quoting.Plan(100, 2, 2, 2, 2), FOUND, 200)
    # 10 s before, 100 steps of 0.5 s, 3 passes of 2 s, 2 checkpoints of 2 s, 5 s after: 75 s, and a tenth of it.
    assert (found.low, found.high) == pytest.approx((67.5, 82.5))
    assert (found.disk_kept_mb, found.disk_peak_mb) == (630.0, 630.0)


def test_the_range_is_as_wide_as_the_steps_differ():
    steps = [0.49, 0.5, 0.51]
    found = quoting.quote(quoting.Plan(1000, 0, 0, 0, 0), dataclasses.replace(FOUND, steps=steps), 0)
    # t(0.975, 2) = 4.303; sd 0.01, n 3: half-width 0.02484 s of each step
    assert found.high - found.low == pytest.approx(2 * (24.84 + 51.5), abs=0.2)


def test_what_stays_and_what_is_needed_at_once():
    assert quoting.disk(quoting.Plan(9, 9, 9, kept=2, most=3), 10, 30) == (70, 100)
    assert quoting.disk(quoting.Plan(9, 9, 0, kept=0, most=0), 10, 30) == (10, 10)
