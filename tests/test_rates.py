"""The learning rate to start from: by the kind of model, and by a sweep."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import transformers
import yaml

from hfft import rate_finding, rates, recipe, sweeping
from hfft.errors import InputError
from tests.command import hfft

pytestmark = pytest.mark.usefixtures("without_pages")


def tiny(folder):
    """The tiny recipe without a learning rate, as a file."""
    tree = recipe.read_yaml(recipe.shipped()["tiny_textcls"])
    tree["train"] = {"num_train_epochs": 1}
    tree["data"]["limit"] = 300
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tree))
    return folder / "tiny.yaml"


def timm(name):
    return transformers.TimmWrapperForImageClassification(transformers.TimmWrapperConfig(architecture=name))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("test_vit", "a small pretrained transformer"),
        ("tf_efficientnet_lite0", "a pretrained convolutional network"),
        ("resnet18", "a pretrained convolutional network"),
        ("vit_tiny_patch16_224", "a small pretrained transformer"),
    ],
)
def test_the_kind_is_read_off_the_model(name, kind):
    model = timm(name)
    assert rates.kind(model) == kind and rates.kind(model, pretrained=False) == "random weights"
    start = rates.RATES[kind]
    expected = {None: start, "lora={}": start * rates.LORA, "freeze=backbone": rates.HEAD, "freeze=1": start}
    for word, value in expected.items():
        wanted = recipe.load("tiny_imgcls", ["model.pretrained=true"] + ([f"adapt.{word}"] if word else []))
        assert rates.rate(model, wanted, SimpleNamespace(optim="adamw_torch"))[0] == pytest.approx(value)
    assert rates.rate(model, wanted, SimpleNamespace(optim="sgd")) is None


def test_size_makes_the_rate_smaller():
    bert = transformers.BertForSequenceClassification
    shape = {"num_attention_heads": 4, "vocab_size": 200_000}
    middle = bert(transformers.BertConfig(hidden_size=256, num_hidden_layers=1, **shape))
    small = bert(transformers.BertConfig(hidden_size=32, num_hidden_layers=1, **shape))
    assert (rates.kind(small), rates.kind(middle)) == ("a small pretrained transformer", "a pretrained transformer")
    assert list(rates.RATES.values())[:3] == sorted(list(rates.RATES.values())[:3], reverse=True)


def test_a_run_says_and_keeps_what_it_chose(tmp_path, capsys):
    file = tiny(tmp_path)
    assert hfft("run", str(file), "--output-dir", str(file.parent / "run")) == 0
    assert "learning rate 0.0005: hfft's start for random weights" in capsys.readouterr().out
    kept = json.loads((file.parent / "run" / "environment.json").read_text())["train"]
    assert kept["learning_rate"] == 5e-4 and kept["weight_decay"] == 0.01


def test_show_prints_every_default_and_says_which_is_chosen_later(capsys):
    assert hfft("show", "bert_textcls") == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown)["train"]["warmup_steps"] == 0.06 and "# train.learning_rate" not in shown


def curve(bottom: float, harm: float = 0.05, n: int = 100, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rates and losses of a sweep that falls around `bottom` / 10 and rises from `harm` on."""
    steps = np.geomspace(sweeping.LOWEST, sweeping.HIGHEST, n)
    losses = 1.1 - 0.6 / (1 + bottom / 10 / steps) + (steps / harm) ** 2
    return steps, losses + np.random.default_rng(0).normal(0, noise, n)


@pytest.mark.parametrize("bottom", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_sweep_is_read_within_a_factor(bottom, noise):
    rates_, losses = curve(bottom, harm=5 * bottom, noise=noise)
    read = sweeping.read(rates_, losses)
    assert bottom / 30 < read.suggested < bottom * 1.5
    assert read.begins < read.suggested * 3 < read.lowest * 3


def test_a_flat_or_short_curve_says_nothing():
    flat = np.random.default_rng(1).normal(1.1, 0.02, 100)
    assert sweeping.read(np.geomspace(1e-6, 1, 100), flat).suggested is None
    assert sweeping.read(np.array([1e-3]), np.array([1.0])).suggested is None


def test_a_sweep_on_a_tiny_model_raises_the_rate_step_by_step_and_leaves_nothing(tmp_path, capsys):
    file = tiny(tmp_path)
    before = sorted(file.parent.rglob("*"))
    facts = rate_finding.find(str(file), steps=40, say=lambda _: None)
    assert sorted(file.parent.rglob("*")) == before
    ratio = np.array(facts["rates"][1:]) / np.array(facts["rates"][:-1])
    assert np.allclose(ratio, 1e6 ** (1 / 39)) and facts["rates"][0] == pytest.approx(1e-6)
    assert len(facts["losses"]) == len(facts["rates"]) > sweeping.LEAST and facts["default"] == 5e-4
    assert hfft("lr", str(file), "--steps", "40") == 0
    assert "learning rate" in capsys.readouterr().out


def test_too_few_steps_are_refused():
    with pytest.raises(InputError, match=r"--steps 5: expected at least 30"):
        rate_finding.find("bert_textcls", steps=5)


def test_parameter_groups_keep_their_ratio():
    sweep = sweeping.Sweep(11)
    groups = [{"lr": 1.0, "initial_lr": 1.0}, {"lr": 0.5, "initial_lr": 0.5}]
    sweep.on_step_begin(None, SimpleNamespace(global_step=5), None, optimizer=SimpleNamespace(param_groups=groups))
    assert groups[0]["lr"] == pytest.approx(1e-3) and groups[1]["lr"] == pytest.approx(5e-4)


def test_the_shipped_recipes_name_their_rate():
    assert all("learning_rate" in recipe.load(name).train for name in recipe.shipped())
