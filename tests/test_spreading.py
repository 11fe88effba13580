"""A model that is spread over processes: really trained, by FSDP over gloo, and what cannot be had with it."""

import json
import os
from types import SimpleNamespace

import pytest
import torch
import transformers

from hfft import recipe, spreading
from hfft.errors import InputError
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import together
from tests.test_launches import STEPS, WORDS, alike, plain  # noqa: F401 - a fixture

PARTS = "train.fsdp_config={state_dict_type: SHARDED_STATE_DICT}"


def test_trained_in_parts_cut_and_resumed_it_is_the_model_of_whole_ones(plain, tmp_path):  # noqa: F811
    run = RunFolder(tmp_path / "parts")
    words = ["run", *WORDS, "train.fsdp=true", PARTS, "--output-dir", "parts"]
    said = together("tests.spread", *words, cwd=tmp_path, FATE=f"0 {STEPS + 3} cut")
    assert f"resuming from parts/checkpoints/checkpoint-{STEPS}" in said
    assert "batches are padded in every layer: FSDP has each of them spread" in said
    assert (run.checkpoints / f"checkpoint-{2 * STEPS}" / "pytorch_model_fsdp_0" / ".metadata").is_file()
    near(run, plain)


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_cut_and_resumed_gives_the_model_of_whole_ones(stage, plain, tmp_path):  # noqa: F811
    pytest.importorskip("deepspeed", reason="needs: pip install deepspeed, and a C++ compiler")
    spread = {"stage": stage} | ({"stage3_gather_16bit_weights_on_model_save": True} if stage == 3 else {})
    sizes = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    zero = {"zero_optimization": spread} | dict.fromkeys(sizes, "auto")
    (tmp_path / "zero.json").write_text(json.dumps(zero))
    run = RunFolder(tmp_path / "parts")
    words = ["run", *WORDS, "train.deepspeed=zero.json", "--output-dir", "parts"]
    said = together("tests.spread", *words, cwd=tmp_path, FATE=f"0 {STEPS + 3} cut", DS_ACCELERATOR="cpu")
    assert f"resuming from parts/checkpoints/checkpoint-{STEPS}" in said
    assert "batches are padded in every layer: DeepSpeed has each of them spread" in said
    parts = {part.name for part in (run.checkpoints / f"checkpoint-{2 * STEPS}").glob("global_step*/*")}
    assert sum("optim_states" in name for name in parts) == 2, "each process keeps its own part"
    near(run, plain)


def near(run: RunFolder, plain: RunFolder) -> None:  # noqa: F811
    """Losses, answers and weights are those of whole models on two processes."""
    alike(run, plain)
    kind = transformers.AutoModelForSequenceClassification
    found, expected = (kind.from_pretrained(folder.model).state_dict() for folder in (run, plain))
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4)


def given(**changes) -> SimpleNamespace:
    """Arguments of one of eight processes on GPUs, which nobody here has."""
    known = {"fsdp": True, "deepspeed": None, "device": torch.device("cuda", 0), "world_size": 8}
    known |= {"fsdp_plugin_args": {"fsdp_version": 2}, "deepspeed_plugin": None}
    known |= {"save_only_model": False, "load_best_model_at_end": True}
    return SimpleNamespace(**known | changes)


ZERO = {"zero_stage": 3, "deepspeed_config": {"zero_optimization": {"stage": 3}}}


@pytest.mark.parametrize(
    ("changes", "words", "told"),
    [
        ({}, [], None),
        ({"fsdp": None}, ["adapt.freeze=backbone"], None),
        ({}, ["adapt.layer_decay=0.9"], None),
        ({"deepspeed": "zero.json"}, [], "leave one of them out"),
        ({"device": torch.device("cpu")}, [], "there is none here: .* leave train.fsdp out"),
        ({"world_size": 1}, [], "recipes/accelerate/fsdp2.yaml"),
        ({"fsdp_plugin_args": {"fsdp_version": 1}}, [], "version 1"),
        ({"save_only_model": True}, [], "leave the key out"),
        ({}, ["adapt.unfreeze=true", "adapt.freeze=backbone"], "adapt.unfreeze changes"),
        ({}, ["adapt.freeze=backbone"], "adapt.freeze: backbone trains a head alone"),
        ({}, ["adapt.lora={r: 2}"], "adapt.lora is merged"),
        ({}, ["adapt.average=2"], "adapt.average is the mean"),
        ({"fsdp": None, "deepspeed": "z.json", "deepspeed_plugin": SimpleNamespace(**ZERO)}, [], spreading.GATHERED),
        ({"fsdp": None, "deepspeed": "z.json", "deepspeed_plugin": SimpleNamespace(zero_stage=2)}, [], None),
    ],
)
def test_what_a_spread_model_cannot_do(changes, words, told):
    wanted = recipe.load("tiny_textcls", tuple(words))
    if told is None:
        return spreading.check(wanted, given(**changes))
    with pytest.raises(InputError, match=told):
        spreading.check(wanted, given(**changes))


def test_the_launcher_asks_by_the_environment(monkeypatch):
    plainly = given(fsdp=None, world_size=1)
    assert spreading.way(plainly) == ""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert spreading.way(plainly) == spreading.FSDP
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(InputError, match="leave accelerate's --config_file"):
        spreading.check(recipe.load("tiny_textcls"), plainly)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert spreading.way(plainly) == spreading.DEEPSPEED


def test_on_a_cpu_it_is_refused_and_rehearsed_without(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert hfft("run", "tiny_textcls", "train.fsdp=true") == 2
    assert "FSDP spreads a model over GPUs, and there is none here" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    small, note = spreading.alone(recipe.load("tiny_textcls", ("train.fsdp=true", PARTS)))
    assert (
        "fsdp" not in small.train and "fsdp_config" not in small.train and note.startswith("train.fsdp, train.fsdp_c")
    )
    same = recipe.load("tiny_textcls")
    assert spreading.alone(same) == (same, "")


def test_a_file_that_is_not_there_is_told(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hfft("run", "tiny_textcls", "train.deepspeed=zero.json") == 2
    assert "zero.json" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["bert", "vit", "distilbert"])
def test_layers_are_dealt_out_one_by_one_and_embeddings_once(kind):
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    small |= {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8} if kind == "distilbert" else {}
    auto = (
        transformers.AutoModelForImageClassification
        if kind == "vit"
        else transformers.AutoModelForSequenceClassification
    )
    model = auto.from_config(transformers.AutoConfig.for_model(kind, **small))
    plugin = SimpleNamespace(transformer_cls_names_to_wrap=None)
    trainer = SimpleNamespace(model=model, accelerator=SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)))
    spreading.cut(trainer)
    names = plugin.transformer_cls_names_to_wrap
    assert names == {"bert": ["BertLayer"], "vit": ["ViTLayer"], "distilbert": ["TransformerBlock"]}[kind]
    tokens = model.get_input_embeddings()
    held = [module for module in model.modules() if type(module).__name__ in names]
    assert held and not any(part is tokens for module in held for part in module.modules())
    plugin.transformer_cls_names_to_wrap = ["Mine"]
    spreading.cut(trainer)
    assert plugin.transformer_cls_names_to_wrap == ["Mine"], "who says which layers is heard"


def test_models_are_read_whole_whatever_the_launcher_says(monkeypatch):
    from transformers.integrations import deepspeed, is_deepspeed_zero3_enabled

    # As its HfDeepSpeedConfig leaves it, which wants the package to be there.
    kept = SimpleNamespace(is_zero3=lambda: True)
    monkeypatch.setattr(deepspeed, "_hf_deepspeed_config_weak_ref", lambda: kept)
    key = "FSDP_CPU_RAM_EFFICIENT_LOADING"
    monkeypatch.setenv(key, "true")
    assert is_deepspeed_zero3_enabled()
    with spreading.whole():
        assert not is_deepspeed_zero3_enabled() and key not in os.environ
    assert os.environ[key] == "true"


def test_a_model_left_in_parts_is_told(tmp_path):
    trainer = SimpleNamespace(args=SimpleNamespace(should_save=True))
    with pytest.raises(InputError, match="zero3_save_16bit_model"):
        spreading.check_saved(trainer, tmp_path)
    (tmp_path / "model-00001-of-00002.safetensors").touch()
    spreading.check_saved(trainer, tmp_path)
