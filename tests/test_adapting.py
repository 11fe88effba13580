"""Freezing, features computed once, gradual unfreezing and rates by depth: what is trained, and that it is the same."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import timm
import torch
import transformers
from safetensors.torch import load_file

from hfft import (
    adapting,
    anatomy,
    backbones,
    freezing,
    optimizing,
    precomputing,
    recipe,
    remembering,
    rooms,
    trainer_arguments,
    training,
)
from hfft.errors import InputError
from hfft.recipe import Adapt, Lora
from hfft.run_folder import RunFolder
from tests.adaptations import EPOCHS, TOGETHER, built, dropping, fit, losses, made
from tests.layouts import BERT, SMALL, image_rows, text_rows
from tests.processes import together
from tests.test_rehearsing import play

HERE = Path(__file__).parent
FAST = EPOCHS | {"learning_rate": 0.5, "num_train_epochs": 2, "per_device_train_batch_size": 16}
TEXTS = rooms.find("modalities", "text_classification")


def weights(root: Path) -> dict[str, torch.Tensor]:
    return load_file(root / "model" / "model.safetensors")


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each tensor."""
    assert set(one) == set(other)
    return {name: float((one[name].double() - other[name].double()).abs().max()) for name in one}


def before(kind: str) -> dict[str, torch.Tensor]:
    return made(built(kind, {}, {})).model.state_dict()


def moved(kind: str, root: Path) -> set[str]:
    """Tensors that training changed."""
    return {name for name, gap in apart(weights(root), before(kind)).items() if gap}


@pytest.mark.parametrize(("kind", "smoothing"), [("bert", 0.1), ("timm", 0.0)])
def test_features_computed_once_give_the_weights_of_training_through_the_backbone(
    kind, smoothing, tmp_path, monkeypatch
):
    options = FAST | {"label_smoothing_factor": smoothing}
    _, backbone, said = fit(kind, tmp_path / "once", {"freeze": "backbone"}, options)
    assert [line.partition(" of ")[0] for line in said] == ["features: 64 rows for training and 64 for validation"]
    monkeypatch.setattr(precomputing, "NEAR", -1.0)
    _, _, told = fit(kind, tmp_path / "through", {"freeze": "backbone"}, options)
    assert len(told) == 1 and "not computed once: its head on these features does not give the model's log" in told[0]
    assert max(apart(weights(tmp_path / "once"), weights(tmp_path / "through")).values()) < 1e-5
    assert max(apart(weights(tmp_path / "once"), before(kind)).values()) > 0.01, "the head learnt something"
    heads = {name for name in weights(tmp_path / "once") if "classifier" in name}
    assert moved(kind, tmp_path / "once") == moved(kind, tmp_path / "through") == heads and len(heads) == 2
    assert all(parameter.requires_grad for parameter in backbone.model.parameters())
    assert not list((tmp_path / "once").glob(".features*"))
    assert sum(f.stat().st_size for f in tmp_path.glob("once/checkpoints/*/model.safetensors")) < 20_000


def test_features_are_drawn_by_a_sampler_and_weighed_like_rows(tmp_path, monkeypatch):
    more = {"sampler": "over_sampling", "loss": {"name": "focal", "weights": {"ham": 3.0}}}
    train = EPOCHS | {"num_train_epochs": 2, "learning_rate": 0.5}
    done, _, said = fit("bert", tmp_path / "once", {"freeze": "backbone"}, train, **more)
    assert "computed once" in said[0]
    monkeypatch.setattr(precomputing, "features", lambda *_: (_ for _ in ()).throw(precomputing.Unfit("not here")))
    other, _, _ = fit("bert", tmp_path / "through", {"freeze": "backbone"}, train, **more)
    assert [row["loss"] for row in done.history if "loss" in row] == pytest.approx(
        [row["loss"] for row in other.history if "loss" in row], rel=1e-4
    )
    found = apart(weights(tmp_path / "once"), weights(tmp_path / "through"))
    assert max(found.values()) < 1e-5


@pytest.mark.parametrize("kind", ["bert", "timm"])
def test_a_second_run_on_the_same_backbone_and_rows_computes_nothing_and_comes_out_the_same(kind, tmp_path):
    rows = text_rows(tmp_path) if kind == "bert" else image_rows()
    rows = rows.add_column("id", [f"c{i}-x" for i in range(len(rows))])
    wanted, modality = built(kind, {"freeze": "backbone"}, FAST), rooms.find("modalities", built(kind, {}, {}).task)

    def trained(name: str, rows: datasets.Dataset, shift: float = 0.0) -> str:
        run, said, backbone = RunFolder(tmp_path / name), list[str](), made(wanted)
        first = next(p for name, p in backbone.model.named_parameters() if p.ndim > 1)
        first.data += shift
        args = trainer_arguments.arguments(wanted, run)
        training.fit(wanted, args, backbone, modality, rows, rows, run, say=said.append)
        return said[0].rpartition("each, ")[2]

    remembering.forget()
    assert trained("first", rows).startswith("computed once in ")
    assert trained("second", rows) == "known from an earlier run"
    assert trained("fewer", rows.select(range(60))).startswith("computed")
    assert trained("others", rows, 0.1).startswith("computed"), "another backbone"
    kept = weights(tmp_path / "second")
    assert set(apart(weights(tmp_path / "first"), kept).values()) == {0.0}
    remembering.forget()
    assert trained("afresh", rows).startswith("computed")
    assert set(apart(weights(tmp_path / "afresh"), kept).values()) == {0.0}


def test_large_features_are_kept_in_a_file_that_goes_with_them(tmp_path, monkeypatch):
    wanted, rows, room = built("timm", {}, {}), image_rows(), tmp_path / "room"
    args, backbone = trainer_arguments.arguments(wanted, RunFolder(tmp_path / "run")), made(wanted)
    where, spec = anatomy.dissect(backbone.model).head[0], wanted.model
    ask = (backbone, where, rooms.find("modalities", wanted.task), rows, rows.select(range(9)), spec, args, room)
    small = precomputing.features(*ask)
    assert not room.exists()
    monkeypatch.setattr(precomputing, "IN_MEMORY", 0)
    monkeypatch.setattr(precomputing, "CHUNK", 10)
    large = precomputing.features(*ask)
    assert {path.name for path in room.iterdir()} == {"train.npy", "validation.npy"}
    assert np.allclose(large.train.features, small.train.features, rtol=1e-3, atol=1e-4)
    assert np.ptp(small.train.features, axis=0).max() > 0.1, "pictures differ"
    assert large.train.labels.tolist() == rows["labels"][:] and len(large.validation) == 9
    del large
    gc.collect()
    assert not room.exists()


def test_a_head_over_tokens_is_given_the_first_token_only(tmp_path):
    model = transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**SMALL, num_labels=3)).eval()
    plain, rows = made(built("bert", {}, {})), text_rows(tmp_path)
    args = trainer_arguments.arguments(built("bert", {}, {}), RunFolder(tmp_path / "run"))
    backbone = backbones.Backbone(model, plain.processor, ())
    where = anatomy.dissect(model).head
    spec = recipe.build(BERT).model
    found = precomputing.features(backbone, *where, TEXTS, rows, rows, spec, args, tmp_path / "room")
    assert where == ("classifier",) and found.train.features.shape == (64, 1, 32)
    expected = model(**TEXTS.collator(plain.processor)([dict(plain.processor(rows[5]["text"]))])).logits
    got = found.model(found.train[5]["features"][None])["logits"]
    assert torch.allclose(got, expected, atol=1e-5)


def test_what_cannot_be_computed_once_is_trained_through_the_backbone_and_said(tmp_path):
    crops = {"augment": {"crop": 0.5}}
    _, _, said = fit("vit", tmp_path / "a", {"freeze": "backbone"}, {"max_steps": 1}, **crops)
    assert said == [
        "features are not computed once: augment changes the training rows each time they are read; every step runs "
        "through the frozen backbone"
    ]
    args = SimpleNamespace(train_sampling_strategy="group_by_length")
    stream = datasets.IterableDataset.from_generator(lambda: iter([]))
    assert adapting.changing(built("bert", {}, {}), args, stream) == "the training rows are a stream"
    assert "lengths" in adapting.changing(built("bert", {}, {}), args, datasets.Dataset.from_dict({}))


def test_the_first_blocks_stay_with_the_statistics_of_their_batch_norms(tmp_path):
    fit("timm", tmp_path / "a", {"freeze": 2}, FAST | {"num_train_epochs": 1, "learning_rate": 0.1})
    frozen = ("timm_model.conv_stem", "timm_model.bn1", "timm_model.blocks.0.", "timm_model.blocks.1.")
    expected = {name for name in before("timm") if not name.startswith(frozen)}
    assert moved("timm", tmp_path / "a") == expected
    assert any("running_mean" in name for name in expected) and len(expected) < len(before("timm")) - 10


def test_frozen_parts_are_in_evaluation_mode_while_the_rest_trains():
    model = made(built("bert", {}, {})).model.train()
    found = anatomy.dissect(model)
    frozen = freezing.Freezing(model, found.places, found.depth)
    inputs = {"input_ids": torch.arange(5, 12)[None]}

    def in_training() -> set[str]:
        model.train()
        model(**inputs)
        return {name for name, module in model.named_modules() if module.training}

    frozen.up_to(1, found.top)
    on = in_training()
    assert {"", "bert", "bert.encoder", "bert.encoder.layer.1", "bert.pooler", "dropout", "classifier"} <= on
    assert not [name for name in on if name.startswith(("bert.embeddings", "bert.encoder.layer.0"))]
    frozen.up_to(found.top, found.top)
    assert in_training() == {"classifier"}
    frozen.end()
    assert len(in_training()) == len(list(model.modules()))


def test_blocks_are_found_in_the_models_own_structure():
    expected = {"test_vit": 6, "test_resnet": 4, "test_convnext": 4, "test_nfnet": 4, "test_efficientnet": 5}
    for name, blocks in expected.items():
        config = transformers.TimmWrapperConfig(architecture=name, num_labels=3)
        found = anatomy.dissect(transformers.TimmWrapperForImageClassification(config))
        assert (name, found.blocks) == (name, blocks)
    hidden = {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]}
    bart = {"d_model": 8, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 2}
    bart |= {"decoder_attention_heads": 2}
    for kind, config, blocks in (
        ("BertForSequenceClassification", transformers.BertConfig(**SMALL), 2),
        ("DebertaV2ForSequenceClassification", transformers.DebertaV2Config(**SMALL), 2),
        ("ViTForImageClassification", transformers.ViTConfig(**SMALL), 2),
        ("ResNetForImageClassification", transformers.ResNetConfig(**hidden), 2),
        ("BartForSequenceClassification", transformers.BartConfig(**bart), 5),
    ):
        model = getattr(transformers, kind)(config)
        found = anatomy.dissect(model)
        assert (kind, found.blocks) == (kind, blocks)
        depths = [found.depth(name) for name, _ in model.named_parameters()]
        assert {0, 1, blocks, found.top + 1} <= set(depths)


def test_vgg_layers_are_blocks_each_with_its_norm():
    with torch.device("meta"):
        timm_model = timm.create_model("vgg11_bn", num_classes=3)
    model = SimpleNamespace(timm_model=timm_model, config=None)
    model.named_modules, model.named_children = timm_model.named_modules, timm_model.named_children
    model.modules, model.named_parameters = timm_model.modules, timm_model.named_parameters
    found = anatomy.dissect(model)
    assert (found.blocks, found.head) == (8, ("head.fc",))
    assert found.places["features.0"] == found.places["features.1"] == 1 != found.places["features.4"]
    assert found.places["pre_logits.fc1"] == found.top


def test_parameters_made_anew_belong_to_the_head_wherever_they_are():
    model = made(built("bert", {}, {})).model
    found = anatomy.dissect(model, ("bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight"))
    assert found.head == ("classifier", "bert.pooler.dense")
    assert found.depth("bert.pooler.dense.weight") == found.depth("classifier.bias") == found.top + 1


def test_how_many_parameters_are_trained_is_what_is_trained(tmp_path):
    every = made(built("bert", {}, {})).parameters
    for kind, adapt in (
        ("bert", {"freeze": 1}),
        ("timm", {"freeze": 0}),
        ("bert", {"lora": {"r": 3}}),
        ("timm", {"lora": {"r": 2}}),
        ("vit", {"freeze": "backbone"}),
    ):
        wanted = built(kind, adapt, {})
        backbone = made(wanted)
        count = adapting.trained(wanted.adapt, backbone)
        args = trainer_arguments.arguments(wanted, RunFolder(tmp_path))
        model = adapting.Adaptation(wanted, args, backbone, lambda _: None).model
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count, (kind, adapt)
    assert adapting.trained(Adapt(), made(built("bert", {}, {}))) == every
    assert adapting.told(Adapt(), made(built("bert", {}, {}))) == f"{every / 1e6:.1f} M parameters"
    told = adapting.told(Adapt(lora=Lora(r=3)), made(built("bert", {}, {})))
    assert told == "2,403 of 1.0 M parameters trained"


@pytest.mark.parametrize(
    ("adapt", "said"),
    [
        (
            {"freeze": 3},
            "3 blocks are to be frozen, but this model has 2 blocks (bert.encoder.layer); type a number up",
        ),
        ({"freeze": "bakbone"}, "adapt.freeze: expected none, backbone, or the number of blocks"),
        ({"unfreeze": True}, "unfreeze needs something that is frozen at first; type adapt.freeze=backbone"),
        ({"freeze": 1, "lora": {}}, "lora freezes everything but its adapters and the head; leave adapt.freeze out"),
        ({"freeze": "backbone", "layer_decay": 0.9}, "freeze: backbone trains the head alone, at one rate"),
        ({"layer_decay": 1.5}, "adapt.layer_decay: input should be less than 1"),
        ({"freez": 1}, "adapt.freez: unknown key (did you mean 'freeze'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(adapt, said):
    with pytest.raises(InputError) as caught:
        wanted = built("bert", adapt, {})
        adapting.trained(wanted.adapt, made(wanted))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_without_blocks_is_told_so():
    nothing = anatomy.Anatomy(("head",), "", 0, {"": 1})
    for ask in (lambda: freezing.level(2, nothing), lambda: freezing.rates(0.9, nothing)):
        with pytest.raises(InputError, match=r"^adapt\.\w+: .*no row of blocks could be found in this model; \w+"):
            ask()
    assert freezing.level("backbone", nothing) == nothing.top


def test_each_epoch_one_more_block_is_trained(tmp_path):
    embeddings = {name for name in before("bert") if ".embeddings." in name}
    layers = [{name for name in before("bert") if f"layer.{n}." in name} for n in range(2)]
    top = {name for name in before("bert") if "pooler" in name or "classifier" in name}
    expected = [top - {n for n in top if "pooler" in n}, top | layers[1], top | layers[1] | layers[0]]
    model = made(built("bert", {}, {})).model
    found = anatomy.dissect(model)
    frozen = freezing.Freezing(model, found.places, found.depth)
    follow = freezing.Unfreezing(frozen, found, found.top)
    for epoch, names in enumerate([*expected, set(before("bert")), set(before("bert"))]):
        follow.on_epoch_begin(None, SimpleNamespace(epoch=epoch + 0.0), None)
        assert {name for name, p in model.named_parameters() if p.requires_grad} == names, epoch
    follow = freezing.Unfreezing(frozen, found, 1)
    follow.on_epoch_begin(None, SimpleNamespace(epoch=1.5), None)
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == embeddings
    last = FAST | {"load_best_model_at_end": False}
    fit("bert", tmp_path / "run", {"freeze": "backbone", "unfreeze": True}, last)
    still = {name for name in layers[1] if "key.bias" in name}  # softmax does not see it
    assert moved("bert", tmp_path / "run") - still == expected[1] - still


@pytest.mark.parametrize("adapt", [{"freeze": "backbone", "unfreeze": True}, {"lora": {"r": 2}}])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(adapt, tmp_path):
    train = FAST | {"learning_rate": 1e-2, "optim": "adamw_torch"}
    more = {"model": dropping(0.1)}
    fit("bert", tmp_path / "whole", adapt, train, **more)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "model")
    for later in sorted((tmp_path / "cut" / "checkpoints").glob("checkpoint-*")):
        if later.name != "checkpoint-4":
            shutil.rmtree(later)
    point = tmp_path / "cut" / "checkpoints" / "checkpoint-4"
    fit("bert", tmp_path / "cut", adapt, train, point, **more)
    whole, cut = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_rates_fall_with_depth_and_norms_and_biases_do_not_decay(tmp_path):
    wanted = built("bert", {"layer_decay": 0.5}, {"learning_rate": 1.0})
    args, backbone = trainer_arguments.arguments(wanted, RunFolder(tmp_path)), made(wanted)
    adapted = adapting.Adaptation(wanted, args, backbone, lambda _: None)
    _, options = optimizing.optimizer(args, backbone.model, adapted.rates)
    names = {id(parameter): name for name, parameter in backbone.model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in options["params"] for p in group["params"]}
    assert len(rates) == len(names) and options["params"][0]["lr"] == 1.0
    assert rates["classifier.weight"] == rates["bert.pooler.dense.bias"] == 1.0
    assert rates["bert.encoder.layer.1.attention.self.query.weight"] == 0.5
    assert rates["bert.encoder.layer.0.output.LayerNorm.weight"] == 0.25
    assert rates["bert.embeddings.word_embeddings.weight"] == 0.125
    decays = {names[id(p)]: group["weight_decay"] for group in options["params"] for p in group["params"]}
    spared = {name for name, decay in decays.items() if decay == 0}
    assert spared == {name for name in decays if name.endswith("bias") or "LayerNorm" in name}
    assert decays["classifier.weight"] == args.weight_decay > 0


def test_two_processes_do_what_one_does(tmp_path):
    together("tests.adaptations", str(tmp_path / "two"))
    found = json.loads((tmp_path / "two" / "losses.json").read_text())
    train = {"max_steps": -1, "num_train_epochs": 2, "per_device_train_batch_size": 16}
    for name, adapt in TOGETHER.items():
        expected = losses(fit("bert", tmp_path / name, adapt, train)[0])
        assert len(expected) == 8 and found[name] == pytest.approx(expected, rel=2e-4), name


def test_a_rehearsal_tells_what_does_not_fit_and_still_plays_the_rest(tmp_path):
    done = play(tmp_path, "bert", adapt={"freeze": 9, "average": 5})
    assert [problem.step for problem in done.problems] == ["adapt", "adapt"]
    assert "5 checkpoints are to be averaged, but this run makes 3 checkpoints" in done.problems[0].what
    assert "this model has 2 blocks" in done.problems[1].what
    assert done.quote is not None


@pytest.mark.parametrize("adapt", [{"freeze": "backbone"}, {"freeze": 1, "unfreeze": True}])
def test_a_rehearsal_plays_each_of_them(adapt, tmp_path):
    done = play(tmp_path, "bert", adapt=adapt, train={"per_device_train_batch_size": 8, "num_train_epochs": 3})
    assert done.problems == () and done.quote.steps == 18
    assert bool(done.notes) == ("unfreeze" in adapt)
