"""Losses and samplers on one process, in accumulation and on two processes: the same steps, and resumed bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hfft import callbacks
from tests.layouts import fit, image_rows
from tests.processes import together
from tests.remedy_layouts import LOSSES, SAMPLERS, losses_of, resumes_exactly, weights_by, whole_line

HERE = Path(__file__).parent
SIXTEEN = {"per_device_train_batch_size": 16}
ACCUMULATED = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What two processes with batch 8 found: steps of every loss, and whether each sampler resumed exactly."""
    out = tmp_path_factory.mktemp("two")
    together("tests.remedy_layouts", str(out))
    return json.loads((out / "found.json").read_text())


@pytest.mark.parametrize("label", LOSSES)
def test_every_loss_takes_the_same_steps_on_every_layout(label, two_processes, tmp_path):
    truth = losses_of(label, tmp_path, SIXTEEN)
    found = {"accumulated": losses_of(label, tmp_path, ACCUMULATED)}
    found["two processes"] = two_processes["steps"][label]
    assert len(truth) == 3 and truth[0]["grad_norm"] > 0.01
    for name, steps in found.items():
        for expected, got in zip(truth, steps, strict=True):
            assert got["loss"] == pytest.approx(expected["loss"], rel=1e-5), name
            assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-5), name


def test_the_losses_differ(two_processes):
    assert len({round(steps[0]["grad_norm"], 5) for steps in two_processes["steps"].values()}) == len(LOSSES) == 15


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_resumes_bit_for_bit_in_the_middle_of_the_second_epoch(name, two_processes, tmp_path):
    assert resumes_exactly(name, tmp_path, SIXTEEN)
    assert two_processes["same"][name]


def test_a_sampler_that_is_not_told_the_epoch_would_be_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks.Epochs, "on_epoch_begin", lambda self, args, state, *_, **__: setattr(
        self.change, "epoch", self.change.epoch + 1
    ))  # fmt: skip
    assert not resumes_exactly("class_balanced", tmp_path, SIXTEEN)


def test_workers_draw_the_rows_of_their_epoch(tmp_path):
    plain = weights_by("under_sampling", tmp_path / "plain", SIXTEEN)
    assert plain == weights_by("under_sampling", tmp_path / "workers", SIXTEEN | {"dataloader_num_workers": 1})


def test_the_whole_line_resumes_bit_for_bit(two_processes, tmp_path):
    assert whole_line(tmp_path, SIXTEEN)
    assert two_processes["same"]["whole line"]


def test_copies_of_augmented_pictures_resume_bit_for_bit(tmp_path):
    """Pictures, twice the draw: which rows, and how each copy of one is cropped; by workers."""
    rows = image_rows().select([*range(0, 30, 3), 1, 4, 2])  # 10, 2 and 1 of the classes
    every = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 3, "eval_steps": 3, "max_steps": -1}
    every |= {"num_train_epochs": 2, "save_total_limit": 9, "dataloader_num_workers": 1} | SIXTEEN
    done = []
    for part, point in (("whole", None), ("cut", tmp_path / "cut" / "checkpoints" / "checkpoint-3")):
        if point:
            shutil.copytree(tmp_path / "whole" / "checkpoints" / point.name, point)
        augment = {"flip": True, "crop": 0.3}
        fit("vit", tmp_path / part, every, 0.0, point, augment, {"sampler": "over_sampling"}, rows)
        done.append((tmp_path / part / "model" / "model.safetensors").read_bytes())
    assert done[0] == done[1]
