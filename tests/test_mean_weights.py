"""Checkpoint averaging: the mean is exact, and kept only where validation finds it no worse."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from hfft import adapting, checkpoints, mean_weights, quoting, recipe, trainer_arguments
from hfft.errors import InputError
from hfft.recipe import Adapt
from hfft.run_folder import RunFolder
from tests.adaptations import EPOCHS, fit
from tests.layouts import BERT


def point(root: Path, step: int, value: float) -> Path:
    folder = root / f"checkpoint-{step}"
    folder.mkdir()
    tensors = {"w": torch.tensor([value, 2 * value]), "bn.running_mean": torch.tensor([10 * value])}
    save_file(tensors | {"bn.num_batches_tracked": torch.tensor(step)}, folder / "model.safetensors")
    checkpoints.seal(folder)
    return folder


def test_the_mean_of_weights_and_of_running_statistics(tmp_path):
    folders = [point(tmp_path, step, value) for step, value in ((2, 9.0), (4, 1.0), (8, 2.0), (16, 6.0))]
    (folders[0] / "sha256.json").unlink()  # torn
    assert mean_weights._last(tmp_path, 3) == folders[1:] == mean_weights._last(tmp_path, 9)
    mean = mean_weights.average(folders[1:])
    assert {name: tensor.tolist() for name, tensor in mean.items()} == {
        "w": [3.0, 6.0], "bn.running_mean": [30.0], "bn.num_batches_tracked": 16
    }  # fmt: skip
    assert mean["w"].dtype == torch.float32


@pytest.mark.parametrize(("value", "kept"), [(0.71, True), (0.70, True), (0.69, False)])
@pytest.mark.parametrize("greater", [True, False])
def test_the_mean_is_kept_only_when_it_is_no_worse(value, kept, greater, tmp_path):
    for step, number in ((2, 1.0), (4, 3.0)):
        point(tmp_path, step, number)
    model = torch.nn.Module()
    model.w = torch.nn.Parameter(torch.tensor([7.0, 7.0]))
    model.bn = torch.nn.Module()
    model.bn.register_buffer("running_mean", torch.tensor([7.0]))
    model.bn.register_buffer("num_batches_tracked", torch.tensor(7))
    args = SimpleNamespace(output_dir=str(tmp_path), metric_for_best_model="f1", greater_is_better=greater)
    args.fp16_full_eval, args.bf16_full_eval = False, True
    state = SimpleNamespace(best_metric=0.70 if greater else -0.70, best_global_step=4)
    seen = []

    def predict(rows, metric_key_prefix):
        seen.append((model.w.tolist(), args.bf16_full_eval))
        return SimpleNamespace(metrics={"eval_f1": value if greater else -value})

    trainer = SimpleNamespace(model=model, args=args, state=state, eval_dataset=None, predict=predict)
    sentence, facts = mean_weights.settle(trainer, 2)
    assert seen == [([2.0, 4.0], False)] and args.bf16_full_eval
    assert model.w.tolist() == ([2.0, 4.0] if kept else [7.0, 7.0])
    assert model.bn.running_mean.tolist() == ([20.0] if kept else [7.0])
    sign = "" if greater else "-"
    assert f"steps 2, 4 has validation f1 {sign}{value:.4f}, the best checkpoint, at step 4, {sign}0.7000" in sentence
    assert sentence.endswith("the mean is kept" if kept else "the single checkpoint is kept")
    assert facts == ({"value": value if greater else -value, "step": 4, "averaged": [2, 4]} if kept else {})


def test_a_run_averages_its_last_checkpoints(tmp_path):
    train = EPOCHS | {"learning_rate": 0.5, "num_train_epochs": 3, "per_device_train_batch_size": 16}
    done, _, said = fit("bert", tmp_path / "run", {"average": 2, "freeze": "backbone"}, train)
    saved = load_file(tmp_path / "run" / "model" / "model.safetensors")["classifier.weight"]
    points = {p.name: p / "model.safetensors" for p in (tmp_path / "run" / "checkpoints").glob("checkpoint-*")}
    assert set(points) == {"checkpoint-4", "checkpoint-8", "checkpoint-12"}
    one, other = (load_file(points[f"checkpoint-{step}"])["head.weight"] for step in (8, 12))
    best = load_file(points[f"checkpoint-{done.best['step']}"])["head.weight"]
    kept = said[-1].endswith("the mean is kept")
    assert torch.allclose(saved, (one + other) / 2 if kept else best, atol=1e-7)
    assert done.best.get("averaged") == ([8, 12] if kept else None)


def arguments(tmp_path, train: dict):
    return trainer_arguments.arguments(
        recipe.build({**BERT, "adapt": {"average": 3}, "train": train}), RunFolder(tmp_path)
    )


def test_checkpoints_and_disk_have_room_for_them(tmp_path):
    args = arguments(tmp_path, {"num_train_epochs": 8})
    assert args.save_total_limit == 4 and arguments(tmp_path, {"save_total_limit": 6}).save_total_limit == 6
    planned = quoting.plan(args, 160)
    assert (planned.kept, planned.most) == (4, 5)
    adapting.check_average(Adapt(average=8), planned.checkpoints)
    with pytest.raises(
        InputError, match=r"^adapt.average: 9 checkpoints .* this run makes 8 checkpoints; type train.nu"
    ):
        adapting.check_average(Adapt(average=9), planned.checkpoints)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (
            {"save_total_limit": 3},
            "3 checkpoints and the best one make 4, but train.save_total_limit is 3; type train.s",
        ),
        ({"save_strategy": "no"}, "there have to be checkpoints; type train.save_strategy=epoch"),
        ({"eval_strategy": "no"}, "there have to be checkpoints; type train.eval_strategy=epoch"),
        ({"load_best_model_at_end": False}, "leave train.load_best_model_at_end out"),
    ],
)
def test_what_does_not_fit_is_one_sentence(train, said, tmp_path):
    with pytest.raises(InputError) as caught:
        arguments(tmp_path, train)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_one_checkpoint_is_no_average():
    with pytest.raises(InputError, match=r"^recipe: adapt\.average: input should be greater than or equal to 2, got 1"):
        recipe.build({**BERT, "adapt": {"average": 1}})
