"""The precision of a training step: the fastest that is safe and wins clearly, and a model to which nothing is done."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hfft import packing, precisions, recipe
from hfft.errors import InputError
from hfft.precisions import Choice
from hfft.trial_steps import BF16, FP16, FP32, TF32, Step, close
from tests.layouts import CHECKPOINTS, fit, text_rows

CPU = torch.device("cpu")


class Net(torch.nn.Module):
    """Has what a step might change: statistics, dropout, a frozen layer. large: of the hidden numbers."""

    def __init__(self, large: float = 1.0) -> None:
        super().__init__()
        self.large = large
        self.body = torch.nn.Sequential(
            torch.nn.Linear(8, 64), torch.nn.BatchNorm1d(64), torch.nn.Dropout(0.5), torch.nn.Linear(64, 64)
        )
        self.head = torch.nn.Linear(64, 3)
        self.body[0].requires_grad_(False)
        self.body[1].eval()

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.head(self.body(x) * self.large) / self.large}


class Timed(Step):
    """Steps that take the seconds that are told, on a clock of their own."""

    costs: dict[str, float]
    time = 0.0

    def __call__(self, precision: str) -> torch.Tensor:
        self.time += self.costs[precision]
        return super().__call__(precision)


def step(costs: dict[str, float], large: float = 1.0) -> Timed:
    torch.manual_seed(3)
    inputs = {"x": torch.randn(16, 8), "labels": torch.arange(16) % 3}
    made = Timed(Net(large).train(), inputs, lambda out, y: torch.nn.functional.cross_entropy(out["logits"], y), CPU)
    made.costs = costs
    return made


@pytest.fixture
def worth(monkeypatch):
    """The net of this file, too, is worth a measurement."""
    monkeypatch.setattr(precisions, "LEAST_WORK", 0.0)


def chosen(costs: dict[str, float], large: float = 1.0) -> Choice:
    made = step(costs, large)
    return precisions.choose([name for name in costs if name != FP32], made, lambda: made.time)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({FP32: 0.10, BF16: 0.05}, BF16),
        ({FP32: 0.10, BF16: 0.09}, FP32),  # faster, but not clearly
        ({FP32: 0.10, BF16: 0.20, FP16: 0.04}, FP16),
        ({FP32: 0.10, BF16: 0.05, FP16: 0.045}, BF16),  # the later one does not win clearly over the earlier
        ({FP32: 0.10, TF32: 0.08, BF16: 0.05}, BF16),
        ({FP32: 9.00, BF16: 3.00}, BF16),  # steps of seconds
    ],
)
@pytest.mark.usefixtures("worth")
def test_the_fastest_that_wins_clearly_is_chosen(costs, expected):
    found = chosen(costs)
    assert found.precision == expected
    assert found.times == {
        name: pytest.approx(costs[FP32] / cost, abs=0.01) for name, cost in costs.items() if name != FP32
    }


def test_of_small_steps_chance_does_not_choose():
    made = step({FP32: 0.10, BF16: 0.01})
    found = precisions.choose([BF16], made, lambda: made.time)
    assert found == Choice(FP32, "a step is too small for anything else to pay")
    assert made.time == pytest.approx(0.10), "nothing but float32 was computed, once"


@pytest.mark.usefixtures("worth")
@pytest.mark.parametrize(("work", "rows"), [(1e3, 2), (1e5, 4), (1e9, 16)])
def test_a_long_step_is_measured_on_its_first_rows(work, rows, monkeypatch):
    # Each row: 8 x 64 forwards and nothing back, that layer is frozen; 64 x 64 and 64 x 3 forwards and twice back.
    monkeypatch.setattr(precisions, "WORK", work)
    made = step({FP32: 0.1})
    with made.untouched():
        flops, (loss, gradients) = precisions._fitted(made)
        assert flops == 16 * 2 * (8 * 64 + 3 * 64 * 64 + 3 * 64 * 3) and made.rows == rows
        again = made.gradients(FP32)
    assert again[0] == loss and all(map(torch.equal, again[1], gradients)), (
        "what bf16 is held against is of the same rows"
    )


@pytest.mark.usefixtures("worth")
def test_what_overflows_is_not_safe_however_fast():
    found = chosen({FP32: 0.10, FP16: 0.01, BF16: 0.05}, large=1e6)  # float16 ends at 65,504
    assert found.precision == BF16 and found.times[FP16] == 0.0
    assert found.why == "measured beside fp32: fp16 not safe, bf16 2.00 x"


@pytest.mark.parametrize(
    ("loss", "gradients", "safe"),
    [
        (1.0, [1.0, 2.0], True),
        (1.04, [1.05, 1.95], True),
        (1.2, [1.0, 2.0], False),  # another loss
        (1.0, [2.0, 1.0], False),  # another direction
        (1.0, [1.3, 2.6], False),  # another length
        (float("nan"), [1.0, 2.0], False),
        (1.0, [1.0, float("inf")], False),
        (1.0, [0.0, 0.0], False),
    ],
)
def test_safe_means_the_same_loss_and_the_same_gradients(loss, gradients, safe):
    known = 1.0, [torch.tensor([1.0]), torch.tensor([2.0])]
    assert close(known, (loss, list(torch.tensor(gradients).split(1)))) is safe


@pytest.mark.usefixtures("worth")
def test_a_measurement_leaves_everything_as_it_was():
    made = step({FP32: 0.1, BF16: 0.05})
    model, before = made.model, {name: t.clone() for name, t in made.model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    precisions.choose([BF16], made, lambda: made.time)
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def args(**given: object) -> SimpleNamespace:
    plain = {"device": CPU, "bf16": False, "fp16": False, "process_index": 0, "save_strategy": "no"}
    plain["per_device_train_batch_size"] = 16
    return SimpleNamespace(**plain | given)


def never() -> Step:
    raise AssertionError("nothing may be measured here")


def settle(given: SimpleNamespace, place, words: tuple[str, ...] = (), resumed: bool = False, made=never) -> Choice:
    wanted = recipe.load("tiny_textcls", words)
    return precisions.settle(wanted, given, made, place, resumed, lambda _: None)


def test_what_is_given_is_taken_and_nothing_is_measured_on_a_cpu_without_bf16(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert settle(args(bf16=True), tmp_path) == Choice(BF16, "train.bf16")
    assert settle(args(), tmp_path, ("speed.precision=fp32",)) == Choice(FP32, "speed.precision")
    plain = args()
    assert settle(plain, tmp_path).why.startswith("this CPU has no products of bf16")
    assert not plain.bf16 and not hasattr(plain, "mixed_precision")
    launched = args(mixed_precision=BF16)
    assert settle(launched, tmp_path) == Choice(BF16, "accelerate launch --mixed_precision") and launched.bf16
    settle(against := args(mixed_precision=BF16), tmp_path, ("speed.precision=fp32",))
    assert against.mixed_precision == "no" and not against.bf16
    half = args()
    settle(half, tmp_path, ("speed.precision=bf16",))
    assert half.bf16 and half.mixed_precision == BF16
    with pytest.raises(InputError, match="fp16 trains on a GPU only"):
        settle(args(), tmp_path, ("speed.precision=fp16",))
    assert not any(tmp_path.iterdir())  # no checkpoints, nothing to resume


@pytest.mark.parametrize("has", ["_is_amx_tile_supported", "_is_avx512_bf16_supported"])
def test_a_cpu_with_bf16_is_measured(has, monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == has)
    assert precisions.candidates(args()) == ([BF16], "")
    less = args(activation_checkpointing=True)
    assert "train.activation_checkpointing" in precisions.unmeasured(less) and not precisions.unmeasured(args())
    found = precisions.settle(recipe.load("tiny_textcls"), less, never, Path("nowhere"), False, pytest.fail)
    assert found.precision == FP32 and found.why == precisions.unmeasured(less)


def test_where_memory_is_short_nothing_is_measured(monkeypatch):
    def short() -> Step:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    found = precisions.settle(recipe.load("tiny_textcls"), args(), short, Path("nowhere"), False, pytest.fail)
    assert found == Choice(FP32, "there was no memory to measure in")


def test_a_run_goes_on_in_the_precision_that_it_began_with(tmp_path, monkeypatch):
    changes = {
        "changes": {"speed": {"precision": "auto"}},
        "dropout": 0.1,
        "rows": text_rows(tmp_path).select(range(32)),
    }
    train = CHECKPOINTS | {"num_train_epochs": 1, "save_steps": 2, "eval_steps": 2, "per_device_train_batch_size": 8}
    seen, real = [], torch.nn.Linear.forward

    def forward(self, x):
        if torch.is_grad_enabled():  # a step, and no trial of the model
            seen.append(torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"))
        return real(self, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    with monkeypatch.context() as here:
        here.setattr(precisions, "candidates", lambda args: ([BF16], ""))
        here.setattr(precisions, "choose", lambda names, step: Choice(BF16, "measured", {BF16: 2.0}))
        fit("bert", tmp_path / "whole", train, **changes)
    monkeypatch.setattr(precisions, "candidates", lambda args: pytest.fail("measured again"))
    kept = json.loads((tmp_path / "whole" / "checkpoints" / precisions.KEPT).read_text())
    assert kept == {"precision": BF16, "why": "measured", "times": {BF16: 2.0}}
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    fit("bert", tmp_path / "cut", train, **changes, resume=tmp_path / "cut" / "checkpoints" / "checkpoint-2")
    whole, cut = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut and set(seen) == {torch.bfloat16}


@pytest.mark.parametrize(("words", "answers"), [("speed", {False}), ("train", {True})])
def test_validation_is_in_float32_where_training_alone_is_in_bf16(words, answers, tmp_path, monkeypatch):
    steps, asked, real = set(), set(), torch.nn.Embedding.forward

    def forward(self, x):
        (steps if torch.is_grad_enabled() else asked).add(torch.is_autocast_enabled("cpu"))
        return real(self, x)

    train = CHECKPOINTS | {"num_train_epochs": 1, "save_steps": 2, "eval_steps": 2, "per_device_train_batch_size": 8}
    changes = {"speed": {"precision": "bf16"}} if words == "speed" else {}
    train |= {"bf16": True} if words == "train" else {}
    monkeypatch.setattr(torch.nn.Embedding, "forward", forward)
    monkeypatch.setattr("hfft.packing.Packed.__init__", unfit)  # which tries the model, and not in training's precision
    fit("bert", tmp_path / "run", train, rows=text_rows(tmp_path).select(range(32)), changes=changes)
    assert steps == {True} and asked == answers


def unfit(*_: object) -> None:
    raise packing.Unfit("this is not about it")


def test_folds_are_of_one_precision(tmp_path, monkeypatch):
    told = iter([BF16, FP32, FP32])
    monkeypatch.setattr(precisions, "candidates", lambda args: ([BF16], ""))
    monkeypatch.setattr(precisions, "choose", lambda names, step: Choice(next(told), "measured"))
    with precisions.shared():
        assert [settle(args(), tmp_path, made=dict).precision for _ in range(2)] == [BF16, BF16]
        assert settle(args(), tmp_path, ("model.max_length=8",), made=dict).precision == FP32
    assert settle(args(), tmp_path, made=dict).precision == FP32


def test_what_a_run_of_an_older_hfft_began_with_was_float32(tmp_path):
    assert settle(args(), tmp_path, resumed=True) == Choice(FP32, "as the run began")
