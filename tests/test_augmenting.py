"""Augmentation: keeps size and scale, is drawn the same way every time, and never touches rows that are held back."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from hfft import augmenting, backbones, recipe, rooms
from hfft.errors import InputError
from hfft.recipe import Augment
from tests.layouts import BERT, LABELS, VIT, fit, image_rows

IMAGES = rooms.find("modalities", "image_classification")


@pytest.fixture(scope="module")
def processor():
    return backbones.load(recipe.build(VIT).model, IMAGES, LABELS).processor


def pixels(rows) -> torch.Tensor:
    return torch.stack([row["pixel_values"] for row in rows])


def test_flip_alone_gives_the_picture_or_its_mirror_image(processor):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    side = augmenting._geometry(processor)["input_size"][1]
    picture = Image.fromarray(values).resize((side, side))
    change = augmenting.pixels_of(Augment(flip=True), processor)
    plain = augmenting.pixels_of(Augment(), processor)(picture)
    seen = set()
    for seed in range(20):
        with augmenting.seeded(seed):
            out = change(picture)
        assert torch.equal(out, plain) or torch.equal(out, plain.flip(-1))
        seen.add(torch.equal(out, plain))
    assert seen == {True, False}


def test_crop_keeps_size_and_at_least_its_share(processor):
    side = augmenting._geometry(processor)["input_size"][1]
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3)))
    change = augmenting.pixels_of(Augment(crop=0.5), processor)
    spans = []
    for seed in range(40):
        with augmenting.seeded(seed):
            out = change(ramp)
        assert out.shape == (3, side, side)
        spans.append(float(out.max() - out.min()))
    widest = augmenting.pixels_of(Augment(), processor)(ramp)
    whole = float(widest.max() - widest.min())
    assert min(spans) > 0.5 * whole, "half of the area at a ratio of at most 4/3 leaves 0.61 of the width"
    assert min(spans) < 0.85 * whole


def test_the_draw_depends_on_seed_epoch_and_picture_only(processor):
    rows = image_rows()
    spec, augment = recipe.build(VIT).model, Augment(flip=True, crop=0.3)
    first, again, other = (IMAGES.prepare(rows, processor, spec, augment, seed) for seed in (1, 1, 2))
    torch.manual_seed(5)
    one = pixels(first)
    torch.manual_seed(6)
    assert torch.equal(one, pixels(again)), "global random numbers do not matter"
    backwards = pixels(again.select(range(len(again) - 1, -1, -1)))
    assert torch.equal(one.flip(0), backwards), "neither does the order of rows"
    assert not torch.equal(one, pixels(other))
    first.format["format_kwargs"]["transform"].epoch = 1
    assert not torch.equal(one, pixels(first))


def test_global_random_numbers_are_left_alone():
    def draws() -> tuple[float, float]:
        return random.random(), float(torch.rand(1))

    random.seed(3)
    torch.manual_seed(3)
    expected = draws()
    random.seed(3)
    torch.manual_seed(3)
    with augmenting.seeded(9):
        draws()
    assert draws() == expected


def test_training_with_augmentation_sees_new_pictures_each_epoch_and_resumes_bit_for_bit(tmp_path):
    train = {"num_train_epochs": 2, "save_strategy": "steps", "eval_strategy": "steps", "save_steps": 3}
    train |= {"eval_steps": 3, "max_steps": -1, "save_total_limit": 5}
    augment = {"flip": True, "crop": 0.3}
    fit("vit", tmp_path / "whole", train, augment=augment)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "model")
    for point in (tmp_path / "cut" / "checkpoints").glob("checkpoint-*"):
        if point.name != "checkpoint-3":
            shutil.rmtree(point)
    fit("vit", tmp_path / "cut", train, augment=augment, resume=tmp_path / "cut" / "checkpoints" / "checkpoint-3")
    whole, cut = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut, "resumed in the middle of an epoch"
    fit("vit", tmp_path / "plain", train)
    assert (tmp_path / "plain" / "model" / "model.safetensors").read_bytes() != whole


def test_texts_are_refused():
    texts = rooms.find("modalities", "text_classification")
    wanted = recipe.build({**BERT, "augment": {"flip": True}})
    with pytest.raises(InputError, match=r"augment: .*pictures"):
        texts.encoder(None, wanted.model, wanted.augment)
