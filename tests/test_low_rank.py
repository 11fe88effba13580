"""LoRA: merged weights answer as the adapters did, with the model's own names, and nobody needs peft to load them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file

from hfft import adapting, anatomy, backbones, low_rank, recipe, rooms, trainer_arguments, training
from hfft.errors import InputError
from hfft.recipe import Lora
from hfft.run_folder import RunFolder
from tests.adaptations import EPOCHS, built, fit, made
from tests.layouts import BERT

TRAINED = EPOCHS | {"learning_rate": 0.5, "num_train_epochs": 2, "per_device_train_batch_size": 16}
LORA = {"lora": {"r": 2, "alpha": 8}}
INPUTS = {
    "bert": {"input_ids": torch.tensor([[101, 7592, 2088, 102], [101, 2003, 2009, 102]])},
    "vit": {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)},
}
INPUTS["timm"] = INPUTS["vit"]


@torch.no_grad()
def logits(model: torch.nn.Module, kind: str) -> torch.Tensor:
    return model.eval()(**INPUTS[kind]).logits.clone()


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """kind → (run folder, trained backbone, logits of the adapters just before they were merged)."""
    found, merge = {}, low_rank.Adapters.merge
    for kind in INPUTS:
        answers: list[torch.Tensor] = []
        noise, rate = (0.2, 0.5) if kind == "bert" else (0.02, 0.02)

        def spied(self, kind=kind, answers=answers, noise=noise):
            for name, parameter in self.model.named_parameters():  # a few steps hardly move it
                if "lora_B" in name:
                    parameter.data += noise * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
            answers.append(logits(self.model, kind))
            merge(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(low_rank.Adapters, "merge", spied)
            root = tmp_path_factory.mktemp(kind) / "run"
            _, backbone, said = fit(kind, root, LORA, TRAINED | {"learning_rate": rate})
        assert said[0].startswith("LoRA: rank 2 on ") and said[0].endswith("; the head is trained whole")
        found[kind] = (root, backbone, *answers)
    return found


@pytest.mark.parametrize("kind", ["bert", "vit", "timm"])
def test_merged_weights_give_the_adapters_logits_under_plain_names(kind, adapted):
    root, backbone, answer = adapted[kind]
    start, merged = made(built(kind, {}, {})), logits(backbone.model, kind)
    assert torch.allclose(merged, answer, atol=1e-5) and answer.abs().max() < 100
    head = anatomy.dissect(start.model).head[0]
    start.model.get_submodule(head).load_state_dict(backbone.model.get_submodule(head).state_dict())
    assert (merged - logits(start.model, kind)).abs().max() > 1e-3, "the adapters do something, not the head alone"
    saved = load_file(root / "model" / "model.safetensors")
    assert set(saved) == set(start.model.state_dict()) and all(p.requires_grad for p in backbone.model.parameters())


def test_the_saved_models_load_where_peft_cannot_be_imported(adapted, tmp_path):
    kinds = {"bert": "AutoModelForSequenceClassification", "timm": "AutoModelForImageClassification"}
    torch.save({kind: INPUTS[kind] for kind in kinds}, tmp_path / "inputs.pt")
    code = f"""
import sys
sys.modules["peft"] = None
import json, torch, transformers
inputs, found = torch.load({str(tmp_path / "inputs.pt")!r}), dict()
for kind, (auto, folder) in { ({k: (auto, str(adapted[k][0] / "model")) for k, auto in kinds.items()})!r}.items():
    model = getattr(transformers, auto).from_pretrained(folder).eval()
    found[kind] = model(**inputs[kind]).logits.tolist()
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    for kind, answer in json.loads(done.stdout).items():
        assert torch.allclose(torch.tensor(answer), adapted[kind][2], atol=1e-5), kind


def test_a_checkpoint_holds_adapters_and_head_and_the_best_one_is_what_is_saved(tmp_path):
    train = TRAINED | {"metric_for_best_model": "loss", "learning_rate": 3.0}
    done, _, _ = fit("bert", tmp_path / "run", LORA, train)
    point = tmp_path / "run" / "checkpoints" / f"checkpoint-{done.best['step']}"
    assert done.best["step"] < 8, "the last epoch is not the best, or this shows nothing"
    held = load_file(point / "model.safetensors")
    assert all("lora_" in name or name.startswith("classifier.") for name in held) and "classifier.weight" in held
    saved = load_file(tmp_path / "run" / "model" / "model.safetensors")
    start = made(built("bert", {}, {})).model.state_dict()
    name = "bert.encoder.layer.1.attention.self.query"
    update = 8 / 2 * held[f"{name}.lora_B.default.weight"] @ held[f"{name}.lora_A.default.weight"]
    assert update.abs().max() > 1e-5
    assert torch.allclose(saved[f"{name}.weight"] - start[f"{name}.weight"], update, atol=1e-7)
    assert torch.equal(saved["classifier.weight"], held["classifier.weight"])
    for frozen in ("bert.pooler.dense.weight", "bert.embeddings.word_embeddings.weight"):
        assert torch.equal(saved[frozen], start[frozen])


def test_layers_are_those_of_the_blocks_or_those_that_are_named():
    model = made(built("bert", {}, {})).model
    found = anatomy.dissect(model)
    every = low_rank.targets(model, found, Lora())
    assert len(every) == 12 and all(".encoder.layer." in name for name in every)
    chosen = low_rank.targets(model, found, Lora(targets=["query", "layer.0.output.dense", "pooler.dense"]))
    assert [name.removeprefix("bert.") for name in chosen] == [
        "encoder.layer.0.attention.self.query",
        "encoder.layer.1.attention.self.query",
        "encoder.layer.0.output.dense",
        "pooler.dense",
    ]


def test_convolutions_whose_adapter_would_see_other_pixels_get_none():
    config = transformers.TimmWrapperConfig(architecture="tf_efficientnet_lite0", num_labels=3)
    model = transformers.TimmWrapperForImageClassification(config)
    names = low_rank.targets(model, anatomy.dissect(model), Lora())
    kinds = {(type(m).__name__, m.kernel_size, m.groups) for m in map(model.get_submodule, names)}
    assert kinds == {("Conv2d", (1, 1), 1)} and len(names) == 31


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ({"r": 0}, "adapt.lora.r: input should be greater than or equal to 1, got 0"),
        ({"rank": 4}, "adapt.lora.rank: unknown key; known here: r, alpha, dropout, targets"),
        ({"dropout": 1}, "adapt.lora.dropout: input should be less than 1"),
        ({"targets": []}, "adapt.lora.targets: "),
        (
            {"targets": ["qeury"]},
            "'qeury': no layer is called that (did you mean 'query'?); layers that can: dense, key",
        ),
        (
            {"targets": ["LayerNorm"]},
            "embeddings.LayerNorm can take no adapter; layers that can: dense, key, query, va",
        ),
        ({"targets": ["classifier"]}, "classifier is in the head, which is trained whole; layers that can: dense"),
        (True, "adapt.lora: expected a section of keys, such as adapt.lora.r"),
    ],
)
def test_what_does_not_fit_is_one_sentence(lora, said):
    with pytest.raises(InputError) as caught:
        wanted = built("bert", {"lora": lora}, {})
        adapting.trained(wanted.adapt, made(wanted))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_without_a_linear_layer_is_told_so():
    class Depthwise(torch.nn.Module):
        """Grouped convolutions only, and a head."""

        base_model_prefix = "body"

        def __init__(self):
            super().__init__()
            self.body = torch.nn.Sequential(*(torch.nn.Conv2d(4, 4, 3, groups=4) for _ in range(2)))
            self.classifier = torch.nn.Linear(4, 2)
            self.base_model, self.config = self.body, None

    backbone = backbones.Backbone(Depthwise(), None, ())
    with pytest.raises(InputError, match=r"^adapt\.lora: Depthwise has no linear layer and no plain convolution below"):
        adapting.trained(recipe.Adapt(lora=Lora()), backbone)


def test_without_peft_it_is_told_before_anything_is_read_and_a_finished_run_needs_none(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "peft" else real(name, *a))
    wanted = recipe.build({**BERT, "adapt": {"lora": {}}})
    with pytest.raises(InputError, match=r'peft, which is not installed; type pip install "hfft\[adapters\]"$'):
        trainer_arguments.arguments(wanted, RunFolder(tmp_path))
    assert trainer_arguments.arguments(wanted, RunFolder(tmp_path), fitting=False).eval_strategy == "no"


def test_an_adapted_model_that_failed_leaves_no_trace_in_the_next(tmp_path):
    """Rehearsals load a model anew after a failure; the class must not remember what was not to be saved."""
    wanted = built("bert", LORA, {})
    adapting.Adaptation(wanted, trainer_arguments.arguments(wanted, RunFolder(tmp_path)), made(wanted), lambda _: None)
    fresh, run = made(wanted), RunFolder(tmp_path / "again")
    run.root.mkdir()
    args = trainer_arguments.arguments(wanted, run, fitting=False)
    training.save(transformers.Trainer(model=fresh.model, args=args), fresh, run)
    assert set(load_file(run.model / "model.safetensors")) == set(fresh.model.state_dict())
    assert rooms.find("modalities", wanted.task)
