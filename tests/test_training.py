"""Training is right on every layout, spares what must not decay, stops on NaN, and resumes bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from hfft import backbones, environment, optimizing, recipe, rooms, trainer_arguments, training
from hfft.errors import InputError
from hfft.run_folder import RunFolder
from tests.layouts import BERT, LABELS, TAGS, VIT, fit, text_rows
from tests.processes import together

HERE = Path(__file__).parent
STEPS = {"plain": {"per_device_train_batch_size": 16}}
STEPS["accumulated"] = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Loss and gradient norm of every step, from two processes with batch 8."""
    out = tmp_path_factory.mktemp("two")
    together("tests.layouts", str(out))
    return json.loads((out / "history.json").read_text())


@pytest.mark.parametrize("kind", ["bert", "vit", "tags"])
def test_one_process_accumulation_and_two_processes_take_the_same_steps(kind, two_processes, tmp_path):
    history = {name: fit(kind, tmp_path / name, train) for name, train in STEPS.items()}
    history["two processes"] = two_processes[kind]
    truth = history.pop("plain")
    assert len(truth) == 4
    assert truth[0]["grad_norm"] > 0.01
    for name, steps in history.items():
        for expected, got in zip(truth, steps, strict=True):
            assert got["loss"] == pytest.approx(expected["loss"], rel=2e-4), name
            assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=2e-3), name


def test_first_loss_is_the_mean_cross_entropy_of_the_batch(tmp_path):
    # 16 rows, 3 classes, random weights: near ln 3, not twice or four times that.
    first = fit("bert", tmp_path / "a", STEPS["accumulated"])[0]
    assert first["loss"] == pytest.approx(1.0986, abs=0.2)


def test_first_loss_of_several_classes_is_the_mean_over_classes_and_rows(tmp_path):
    # Random weights answer each class by a coin: ln 2, whatever the number of classes, rows and accumulation steps.
    first = fit("tags", tmp_path / "a", STEPS["accumulated"])[0]
    assert first["loss"] == pytest.approx(0.6931, abs=0.1)


def test_label_smoothing_of_several_classes_is_the_losses_own(tmp_path):
    plain, smooth = (fit("tags", tmp_path / f"{share}", {"label_smoothing_factor": share})[0] for share in (0.0, 0.5))
    assert smooth["grad_norm"] == pytest.approx(plain["grad_norm"] / 2, rel=0.35) and smooth != plain


def test_a_loss_that_does_not_fit_the_labels_is_refused_before_anything_is_read(tmp_path):
    for tree in ({**TAGS, "loss": "cross_entropy"}, {**BERT, "loss": "binary_cross_entropy"}):
        with pytest.raises(InputError, match=rf"^loss: {tree['loss']} does not fit.* leave the key out"):
            trainer_arguments.arguments(recipe.build(tree), RunFolder(tmp_path))


def test_norms_and_biases_do_not_decay(tmp_path):
    wanted = recipe.build({**VIT, "model": {"name": "timm/test_efficientnet", "pretrained": False}})
    model = backbones.load(wanted.model, rooms.find("modalities", wanted.task), LABELS).model
    args = trainer_arguments.arguments(wanted, RunFolder(tmp_path))
    _, options = optimizing.optimizer(args, model)
    decayed, spared = (group["params"] for group in options["params"])
    norms = [m.weight for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert len(norms) > 5
    assert options["params"][0]["weight_decay"] == 0.01
    assert options["params"][1]["weight_decay"] == 0
    assert {id(p) for p in norms} <= {id(p) for p in spared}
    assert len(decayed) + len(spared) == len(list(model.parameters()))


def test_nan_stops_the_run_with_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"(loss|grad_norm) became (nan|inf) at step \d.*learning_rate"):
        fit("bert", tmp_path / "a", {"learning_rate": 1e30, "max_grad_norm": 0.0, "logging_steps": 1})
    assert not (tmp_path / "a" / "model").exists()


def test_resuming_gives_the_weights_of_an_uninterrupted_run(tmp_path):
    train = {"num_train_epochs": 2, "save_strategy": "epoch", "eval_strategy": "epoch", "max_steps": -1}
    fit("bert", tmp_path / "whole", train, dropout=0.1)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "model")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "checkpoint-8")
    fit("bert", tmp_path / "cut", train, dropout=0.1, resume=tmp_path / "cut" / "checkpoints" / "checkpoint-4")
    whole, cut = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_nan_is_noticed_without_a_log_line(tmp_path):
    with pytest.raises(InputError, match="not numbers"):
        fit("bert", tmp_path / "a", {"learning_rate": 1e30, "max_grad_norm": 0.0, "logging_strategy": "no"})
    assert not (tmp_path / "a" / "model").exists()


def test_several_gpus_in_one_process_are_not_taken(tmp_path, monkeypatch):
    # DataParallel hands the loss one count per device and multiplies it by their number.
    monkeypatch.setattr(trainer_arguments.TrainingArguments, "n_gpu", property(lambda self: 4))
    args = trainer_arguments.arguments(recipe.build(BERT), RunFolder(tmp_path))
    assert args._n_gpu == 1


def test_metric_name_is_checked_by_name():
    wanted = recipe.build({**BERT, "train": {"metric_for_best_model": "f1_marco"}})
    with pytest.raises(InputError, match=r"no 'f1_marco' \(did you mean 'f1_macro'"):
        training.best_metric(wanted, ["accuracy", "f1_macro"])
    assert training.best_metric(recipe.build(BERT), ["accuracy", "f1_macro"]) == "f1_macro"
    assert training.best_metric(recipe.build(BERT), ["accuracy"]) == "accuracy"
    assert training.best_metric(recipe.build({**BERT, "train": {"metric_for_best_model": "eval_loss"}}), []) == "loss"


def test_arguments_refuse_what_the_class_refuses(tmp_path):
    wanted = recipe.build({**BERT, "train": {"save_strategy": "steps", "save_steps": 7}})
    with pytest.raises(InputError, match=r"^train: .*save.* eval"):
        trainer_arguments.arguments(wanted, RunFolder(tmp_path))


@pytest.mark.parametrize(
    "train",
    [
        {"report_to": "wandbb"},
        {"report_to": "neptune"},
        {"lr_scheduler_type": "cosine_with_min_lr"},
        {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"cycles": 2}},
    ],
)
def test_what_would_only_be_looked_up_when_training_begins(train, tmp_path):
    with pytest.raises(InputError, match=r"^train.*: .*(wandbb|neptune is not installed|min_lr|cycles)"):
        trainer_arguments.arguments(recipe.build({**BERT, "train": train}), RunFolder(tmp_path))


def test_processes_that_did_not_find_each_other_are_refused(tmp_path, monkeypatch):
    """Two independent runs into one folder is what `accelerate` makes of some launches."""

    def alone(**options):
        args = transformers.TrainingArguments(**options)
        assert args.world_size == 1
        monkeypatch.setenv("WORLD_SIZE", "2")
        return args

    monkeypatch.setattr(trainer_arguments, "TrainingArguments", alone)
    with pytest.raises(InputError, match="2 processes were launched, but 1 found"):
        trainer_arguments.arguments(recipe.build(BERT), RunFolder(tmp_path))


def test_every_core_is_used_whatever_the_launcher_says(tmp_path):
    torch.set_num_threads(1)
    trainer_arguments.arguments(recipe.build(BERT), RunFolder(tmp_path))
    assert torch.get_num_threads() == environment.cores()


def test_tokenising_twice_reads_the_cache(tmp_path, monkeypatch):
    """Where it pays: few rows are tokenised sooner than the cache finds a key for them, to the same tokens."""
    rows = text_rows(tmp_path)
    wanted = recipe.build(BERT)
    modality = rooms.find("modalities", wanted.task)
    few = modality.prepare(rows, backbones.load(wanted.model, modality, LABELS).processor, wanted.model)
    monkeypatch.setattr(modality, "CACHED", len(rows) - 1)
    first, second = (
        modality.prepare(rows, backbones.load(wanted.model, modality, LABELS).processor, wanted.model) for _ in range(2)
    )
    assert first.cache_files and first.cache_files == second.cache_files
    assert Path(first.cache_files[0]["filename"]).stat().st_size
    assert not few.cache_files and few[:] == first[:]
