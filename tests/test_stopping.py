"""Training that ends before its last epoch: patience, a time budget, and batches that do not fit into memory."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch
import transformers
from transformers import Trainer

from hfft import backbones, quoting, recipe, rooms, stopping, trainer_arguments, training
from hfft.errors import InputError
from hfft.run_folder import RunFolder
from tests.layouts import BERT, LABELS, TRAIN, text_rows

EPOCHS = {"max_steps": -1, "eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
EPOCHS |= {"per_device_train_batch_size": 32, "metric_for_best_model": "accuracy", "save_total_limit": 3}


def fitted(root, resume=None, **train):
    """(what `fit` returned, the run) of a tiny BERT on 64 rows, two steps an epoch."""
    wanted, run = recipe.build({**BERT, "train": {**TRAIN, **EPOCHS, **train}}), RunFolder(root / "run")
    args = trainer_arguments.arguments(wanted, run)
    modality, rows = rooms.find("modalities", wanted.task), text_rows(root)
    transformers.set_seed(0)
    backbone = backbones.load(wanted.model, modality, LABELS)
    return training.fit(wanted, args, backbone, modality, rows, rows, run, resume), run


def test_patience_ends_when_nothing_gets_better(tmp_path):
    # A rate of zero: every evaluation after the first is the same, and "the same" is not better.
    done, run = fitted(tmp_path, learning_rate=0.0, num_train_epochs=9, patience=2)
    assert sum("eval_accuracy" in row for row in done.history) == 3
    assert "stopped at step 6 of 18" in done.notes[0] and "2 evaluations" in done.notes[0]
    assert run.model.is_dir() and done.best["step"] == 2


def test_patience_goes_on_counting_after_a_resume(tmp_path):
    fitted(tmp_path, learning_rate=0.0, num_train_epochs=2)
    point = tmp_path / "run" / "checkpoints" / "checkpoint-4"
    done, _ = fitted(tmp_path, point, learning_rate=0.0, num_train_epochs=9, patience=2)
    assert "stopped at step 6 of 18" in done.notes[0]


def test_patience_waits_while_a_loss_falls():
    args = SimpleNamespace(metric_for_best_model="loss", greater_is_better=False)
    control = SimpleNamespace(should_training_stop=False)
    watcher = stopping.Patience(2)
    for step, losses in enumerate(([1.0], [1.0, 0.9], [1.0, 0.9, 0.95], [1.0, 0.9, 0.95, 0.8], [3, 2, 1, 1, 1]), 1):
        state = SimpleNamespace(log_history=[{"eval_loss": x} for x in losses], global_step=step, max_steps=99)
        watcher.on_evaluate(args, state, control)
        assert control.should_training_stop == (step == 5)


@pytest.mark.parametrize("strategy", ["epoch", "steps"])
def test_a_time_budget_ends_with_an_evaluated_and_saved_checkpoint(strategy, tmp_path, monkeypatch):
    began, ticks = time.perf_counter(), iter(range(10**6))
    # Each look at the clock is ten seconds later.
    monkeypatch.setattr(stopping.time, "perf_counter", lambda: began + 10.0 * next(ticks))
    done, run = fitted(tmp_path, num_train_epochs=50, minutes=1, eval_strategy=strategy, save_strategy=strategy,
                       eval_steps=3, save_steps=3)  # fmt: skip
    steps = [row["step"] for row in done.history if "eval_accuracy" in row]
    assert len(done.notes) == 1 and "train.minutes=1" in done.notes[0]
    assert steps[-1] < 10 and f"stopped at step {int(steps[-1])} of 100" in done.notes[0]
    assert run.model.is_dir() and done.best["value"] is not None
    assert "train.num_train_epochs=" in done.notes[0]


def test_a_budget_that_is_long_enough_changes_nothing(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    free, _ = fitted(tmp_path / "a", num_train_epochs=2)
    bound, _ = fitted(tmp_path / "b", num_train_epochs=2, minutes=60)
    losses = [[row["loss"] for row in done.history if "loss" in row] for done in (free, bound)]
    assert losses[0] == losses[1] and not bound.notes and len(losses[0]) == 4


def test_smaller_batches_are_said_and_begin_from_the_first_weights(tmp_path, monkeypatch):
    step, seen, taken = Trainer.training_step, [], []

    def short_of_memory(self, model, inputs, *rest, **named):
        taken.append(len(inputs["labels"]))
        if len(taken) == 2:  # after one step was taken
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        if len(taken) in (1, 3):
            seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return step(self, model, inputs, *rest, **named)

    monkeypatch.setattr(Trainer, "training_step", short_of_memory)
    done, _ = fitted(tmp_path, num_train_epochs=1, auto_find_batch_size=True)
    assert taken[0] == 32 and 1 < taken[2] < 32
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])
    assert f"trained with {taken[2]}" in done.notes[0] and "gradient_accumulation_steps=" in done.notes[0]


def test_what_cannot_be_waited_for_is_refused(tmp_path):
    tree = {**BERT, "train": {"patience": 2, "eval_strategy": "no", "load_best_model_at_end": False}}
    with pytest.raises(InputError, match=r"train.patience: nothing is evaluated.*train.eval_strategy=epoch"):
        trainer_arguments.arguments(recipe.build(tree), RunFolder(tmp_path))


@pytest.mark.parametrize(
    "train", [{"minutes": 0}, {"minutes": "ten"}, {"minutes": True}, {"patience": 0}, {"patience": 1.5}]
)
def test_values_of_another_kind_are_named(train):
    with pytest.raises(InputError, match=f"train.{next(iter(train))}: expected .* above 0, got"):
        recipe.build({**BERT, "train": train})


def test_a_misspelt_key_finds_ours():
    with pytest.raises(InputError, match=r"train.patiense: not a field .*did you mean 'patience'"):
        recipe.build({**BERT, "train": {"patiense": 3}})


def test_the_quote_knows_the_budget():
    planned = quoting.Plan(steps=600, evaluations=6, checkpoints=6, kept=2, most=3)
    found = quoting.Measured([1.0, 1.0, 1.0], 100.0, 1.0, 5.0, 5.0, 1.0, None, 10, 10)
    whole, cut = quoting.quote(planned, found, 100), quoting.quote(planned, found, 100, minutes=5)
    assert (whole.steps, cut.steps, cut.evaluations) == (600, 300, 3)
    assert cut.high < whole.low
