"""A training within `quick`: what is saved is a plain model, a resumed run is the same to the bit, `speed:` decides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from hfft import packing, quickening, recipe, trainer_arguments
from hfft.errors import InputError
from hfft.recipe import Speed
from hfft.run_folder import RunFolder
from tests.adaptations import EPOCHS, built, dropping, fit, losses, made
from tests.layouts import BERT

STEPS = EPOCHS | {"num_train_epochs": 2, "per_device_train_batch_size": 16}
SGD = {"learning_rate": 0.1}


@pytest.fixture
def packed(monkeypatch):
    """How many batches were packed."""
    seen, of = [], packing.Layout.of.__func__
    monkeypatch.setattr(packing.Layout, "of", classmethod(lambda *given: seen.append(0) or of(*given)))
    return seen


def trained(root: Path, adapt: dict, train: dict, resume: Path | None = None, **more):
    done, backbone, said = fit("bert", root, adapt, SGD | train, resume, **more)
    return losses(done), backbone, said


def test_steps_are_those_of_padded_batches(tmp_path, monkeypatch, packed):
    one, backbone, said = trained(tmp_path / "a" / "run", {}, {"max_steps": 3})
    assert len(packed) >= 3 and not [line for line in said if "padded" in line]
    monkeypatch.setattr(packing, "Packed", _unfit)
    other, _, said = trained(tmp_path / "b" / "run", {}, {"max_steps": 3})
    assert one == pytest.approx(other, rel=1e-5)
    assert said == ["batches are padded in every layer: it is a test"]
    config = json.loads((tmp_path / "a" / "run" / "model" / "config.json").read_text())
    assert "hfft" not in json.dumps(config)
    assert backbone.model.config._attn_implementation == "sdpa"


def _unfit(*_):
    raise packing.Unfit("it is a test")


def test_a_resumed_run_with_dropout_ends_with_the_same_bits(tmp_path, packed):
    whole, half = tmp_path / "a" / "run", tmp_path / "b" / "run"
    _, backbone, _ = trained(whole, {}, STEPS, model=dropping(0.3))
    layers = [type(module) for module in backbone.model.modules() if isinstance(module, torch.nn.Dropout)]
    assert layers and {*layers} == {torch.nn.Dropout} and packed
    point = Path(shutil.copytree(whole / "checkpoints" / "checkpoint-4", half / "checkpoints" / "checkpoint-4"))
    trained(half, {}, STEPS, point, model=dropping(0.3))
    one, other = (load_file(root / "model" / "model.safetensors") for root in (whole, half))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_lora_and_activation_checkpointing_go_together_with_it(tmp_path, packed):
    train = {"max_steps": 2, "activation_checkpointing": True}
    one = trained(tmp_path / "a" / "run", {"lora": {"r": 2}}, {"max_steps": 2})[0]
    count = len(packed)
    other = trained(tmp_path / "b" / "run", {"lora": {"r": 2}}, train)[0]
    assert count and len(packed) == 2 * count and one == pytest.approx(other, rel=1e-5)


def test_dropout_of_a_recipe_holds_while_training(tmp_path):
    wanted = built("bert", {}, {}, model=dropping(0.3))
    args, model = trainer_arguments.arguments(wanted, RunFolder(tmp_path)), made(wanted).model.train()
    inputs = packing._inputs(model)
    still = packing._logits(model, inputs)
    own = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]

    def shares() -> list[float]:
        return [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]

    with quickening.quick(model, args, Speed(dropout=0.0), True):
        torch.testing.assert_close(model(**inputs).logits, still, rtol=1e-5, atol=1e-5)
    with quickening.quick(model, args, Speed(attention_dropout=0.1), True):
        assert sorted(shares()) == [0.1] * 2 + [0.3] * (len(own) - 2)
    assert shares() == own == [0.3] * len(own)


def test_a_model_whose_attention_hides_its_dropout_says_so(tmp_path):
    wanted = recipe.build({**BERT, "speed": {"attention_dropout": 0.0}})
    args = trainer_arguments.arguments(wanted, RunFolder(tmp_path))
    config = transformers.MPNetConfig(vocab_size=60, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)
    model = transformers.MPNetForSequenceClassification(config)
    with (
        pytest.raises(InputError, match=r"^speed.attention_dropout: .*MPNet.*type speed.dropout"),
        quickening.quick(model, args, wanted.speed, True),
    ):
        raise AssertionError
