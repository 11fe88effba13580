"""Features: one vector per row, in the order of the rows, whatever shares its batch."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
import transformers

from hfft import backbones, features, recipe, rooms, trainer_arguments, yardsticks
from hfft.errors import InputError
from hfft.run_folder import RunFolder
from tests.layouts import BERT, LABELS, VIT, image_rows, text_rows


def as_batch(modality, rows, processor, spec):
    """Pixels as the model gets them."""
    return modality.collator(processor)(list(modality.prepare(rows, processor, spec)))["pixel_values"]


def setting(base, tmp_path, batch=8, **model):
    """(backbone, modality, model section, arguments) of a tiny random model."""
    wanted = recipe.build({**base, "model": base["model"] | model, "train": {"per_device_eval_batch_size": batch}})
    modality = rooms.find("modalities", wanted.task)
    transformers.set_seed(0)
    backbone = backbones.load(wanted.model, modality, LABELS)
    return (
        backbone,
        modality,
        wanted.model,
        trainer_arguments.arguments(wanted, RunFolder(tmp_path / "run"), fitting=False),
    )


def extract(base, tmp_path, rows, batch=8, **model):
    backbone, modality, spec, args = setting(base, tmp_path, batch, **model)
    return features.extract(backbone, modality, rows, spec, args)


@pytest.mark.parametrize("kind", ["bert", "vit", "resnet"])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_batch_size_changes_nothing(kind, batch, tmp_path):
    rows = (text_rows(tmp_path) if kind == "bert" else image_rows()).select(range(12))
    base = BERT if kind == "bert" else VIT
    model = {"name": "timm/test_resnet"} if kind == "resnet" else {}
    one = extract(base, tmp_path, rows, batch=batch, **model)
    all_at_once = extract(base, tmp_path, rows, batch=64, **model)
    assert one.dtype == np.float32 and one.ndim == 2 and len(one) == 12
    assert abs(one - all_at_once).max() < 1e-5
    assert one.std(axis=0).max() > 1e-3 * abs(one).max() > 0, "rows differ"


@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_rows_keep_their_order(kind, tmp_path):
    rows = (text_rows(tmp_path) if kind == "bert" else image_rows()).select(range(12))
    order = np.random.default_rng(0).permutation(12)
    base = BERT if kind == "bert" else VIT
    straight, shuffled = extract(base, tmp_path, rows), extract(base, tmp_path, rows.select(order))
    assert abs(straight[order] - shuffled).max() < 1e-5
    assert abs(straight - shuffled).max() > 1e-3


def test_one_row_is_a_row(tmp_path):
    assert extract(BERT, tmp_path, text_rows(tmp_path).select([3])).shape == (1, 32)


def test_texts_are_the_mean_over_their_tokens(tmp_path):
    backbone, modality, spec, args = setting(BERT, tmp_path)
    found = features.extract(backbone, modality, text_rows(tmp_path).select(range(9)), spec, args)
    text = text_rows(tmp_path)["text"][5]
    with torch.no_grad():
        hidden = backbone.model.bert(**backbone.processor(text, return_tensors="pt")).last_hidden_state
    assert found[5] == pytest.approx(hidden[0].mean(0).numpy(), abs=1e-5)


def test_pairs_are_read_together(tmp_path):
    columns = {"text": ["one two", "three"], "text_pair": ["four", "five six seven"]}
    pairs = datasets.Dataset.from_dict(columns)
    both, first = extract(BERT, tmp_path, pairs), extract(BERT, tmp_path, pairs.select_columns(["text"]))
    assert both.shape == first.shape and abs(both - first).max() > 1e-3


@pytest.mark.parametrize("name", ["timm/test_vit", "timm/test_resnet", "timm/test_efficientnet"])
def test_pictures_are_what_the_classifier_gets(name, tmp_path):
    """The head's last layer on the features gives the model's own outputs."""
    backbone, modality, spec, args = setting(VIT, tmp_path, name=name)
    rows = image_rows().select(range(6))
    found = torch.tensor(features.extract(backbone, modality, rows, spec, args))
    pixels = as_batch(modality, rows, backbone.processor, spec)
    with torch.no_grad():
        expected = backbone.model.eval()(pixels).logits
        assert torch.allclose(backbone.model.timm_model.get_classifier()(found), expected, atol=1e-5)


def small(name):
    """A tiny random transformers image classifier, and the width of its features."""
    if name == "vit":
        config = transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32,
            patch_size=16, num_labels=3,
        )  # fmt: skip
        return transformers.ViTForImageClassification(config), 16
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], num_labels=3)
    return transformers.ResNetForImageClassification(config), 12


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_transformers_pictures_are_pooled(name, tmp_path):
    _, modality, spec, args = setting(VIT, tmp_path)
    model, width = small(name)
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32})
    backbone = backbones.Backbone(model.eval(), processor, ())
    rows = image_rows().select(range(6))
    found = features.extract(backbone, modality, rows, spec, args)
    assert found.shape == (6, width)
    if name == "resnet":
        pixels = as_batch(modality, rows, processor, spec)
        with torch.no_grad():
            assert model.classifier(torch.tensor(found)).numpy() == pytest.approx(
                model(pixels).logits.numpy(), abs=1e-5
            )


def test_dropout_is_off_and_weights_stay(tmp_path):
    base = {**BERT, "model": BERT["model"] | {"config": BERT["model"]["config"] | {"hidden_dropout_prob": 0.5}}}
    backbone, modality, spec, args = setting(base, tmp_path)
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    rows = text_rows(tmp_path).select(range(8))
    backbone.model.train()
    once, twice = (features.extract(backbone, modality, rows, spec, args) for _ in range(2))
    assert (once == twice).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.model.state_dict().items())


def test_damaged_weights_are_an_error(tmp_path):
    backbone, modality, spec, args = setting(BERT, tmp_path)
    torch.nn.init.constant_(backbone.model.bert.embeddings.LayerNorm.weight, float("nan"))
    with pytest.raises(InputError, match="features are not numbers"):
        features.extract(backbone, modality, text_rows(tmp_path).select(range(4)), spec, args)


def test_a_model_without_a_mask_is_averaged_over_all_its_tokens():
    config = transformers.FNetConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, intermediate_size=8, max_position_embeddings=16
    )
    model = transformers.FNetForSequenceClassification(config).eval()
    ids = torch.arange(12).reshape(2, 6)
    expected = model.base_model(input_ids=ids).last_hidden_state.mean(1)
    assert torch.allclose(features.Pooled(model)(input_ids=ids)["features"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("error", "told"), [(KeyError("last"), True), (AttributeError("body"), True), (MemoryError(), False)]
)
def test_a_body_that_is_not_understood_costs_the_probe_and_not_the_scores(error, told, tmp_path, monkeypatch):
    def broken(*_):
        raise error

    rows = text_rows(tmp_path)
    rows = rows.add_column("label", [LABELS[row % len(LABELS)] for row in range(len(rows))])
    wanted = recipe.build(BERT | {"model": BERT["model"] | {"pretrained": True}})
    monkeypatch.setattr(backbones, "load", broken)
    if not told:
        with pytest.raises(MemoryError):
            yardsticks.seen(wanted, rooms.find("modalities", wanted.task), rows, rows, None, print)
        return
    found, notes = yardsticks.seen(wanted, rooms.find("modalities", wanted.task), rows, rows, None, print)
    assert found is None and type(error).__name__ in notes[0]
