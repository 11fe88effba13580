"""Augmentation: keeps size and scale, is drawn the same way every time, and never touches rows that are held back."""

from __future__ import annotations

import random

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from hfft import augmenting, backbones, recipe, rooms
from hfft.errors import InputError
from hfft.recipe import Augment
from tests.layouts import BERT, CHECKPOINTS, LABELS, VIT, fit, image_rows, whole_and_resumed

IMAGES = rooms.find("modalities", "image_classification")


@pytest.fixture(scope="module")
def processor():
    return backbones.load(recipe.build(VIT).model, IMAGES, LABELS).processor


def pixels(rows) -> torch.Tensor:
    """As the model gets them."""
    return IMAGES.collator(rows.format["format_kwargs"]["transform"].processor)(list(rows))["pixel_values"]


def test_flip_alone_gives_the_picture_or_its_mirror_image(processor):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    side = augmenting.geometry(processor)["input_size"][1]
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
    side = augmenting.geometry(processor)["input_size"][1]
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
    _, whole, cut = whole_and_resumed("vit", tmp_path, {}, {"flip": True, "crop": 0.3})
    assert whole == cut, "resumed in the middle of an epoch"
    fit("vit", tmp_path / "plain", CHECKPOINTS)
    assert (tmp_path / "plain" / "model" / "model.safetensors").read_bytes() != whole


@pytest.mark.parametrize("asked", [{"randaugment": True}, {"color_jitter": 0.4}, {"erase": 1.0}, {"crop": 0.3}])
def test_every_change_is_drawn_by_seed_epoch_and_picture_and_never_mirrors(asked, processor):
    rows, spec = image_rows().select(range(8)), recipe.build(VIT).model
    first, again = (IMAGES.prepare(rows, processor, spec, Augment(**asked), 1) for _ in range(2))
    np.random.seed(1)
    one = pixels(first)
    np.random.seed(2)
    assert torch.equal(one, pixels(again)), "global random numbers do not matter"
    assert not torch.equal(one, pixels(IMAGES.prepare(rows, processor, spec, Augment(), 1))), "something changes"
    first.format["format_kwargs"]["transform"].epoch = 1
    assert not torch.equal(one, pixels(first)), "otherwise in each epoch"
    change = augmenting.pixels_of(Augment(**asked), processor)
    assert not any("Flip" in type(step).__name__ for step in change.transforms), "flips are asked for by their own key"


def test_a_picture_is_changed_alike_wherever_its_file_lies(processor, tmp_path):
    spec, draws, made = recipe.build(VIT).model, np.random.default_rng(0), []
    pictures = [Image.fromarray(draws.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in range(6)]
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        for place, picture in enumerate(pictures):
            picture.save(folder / f"{place}.png")
        files = {"image": [str(folder / f"{place}.png") for place in range(6)]}
        rows = datasets.Dataset.from_dict(files).cast_column("image", datasets.Image(decode=False))
        made.append(pixels(IMAGES.prepare(rows, processor, spec, Augment(crop=0.3), 1)))
    assert torch.equal(*made)


def test_erasing_blanks_with_the_mean_colour_and_nothing_else(processor):
    rows, spec = image_rows().select(range(8)), recipe.build(VIT).model
    plain = pixels(IMAGES.prepare(rows, processor, spec, Augment(flip=False, crop=None), 1))
    gone = pixels(IMAGES.prepare(rows, processor, spec, Augment(erase=1.0), 1)) != plain
    erased = pixels(IMAGES.prepare(rows, processor, spec, Augment(erase=1.0), 1))[gone]
    assert 0.01 < float(gone.float().mean()) < 0.5 and not erased.any(), "0 after normalisation is the mean"


def test_validation_pixels_are_those_of_the_processor_whatever_is_asked_for(processor, tmp_path, monkeypatch):
    seen, prepare = [], IMAGES.prepare

    def spied(rows, *given):
        out = prepare(rows, *given)
        seen.append((given[2:], pixels(out)))
        return out

    monkeypatch.setattr(IMAGES, "prepare", spied)
    augment = {"flip": True, "crop": 0.3, "randaugment": True, "erase": 0.5, "mixup": 0.2, "cutmix": 1.0}
    for asked in ({}, augment):
        fit("vit", tmp_path / str(len(asked)), {"max_steps": 1}, augment=asked)
    (_, plain), (none, validation), (given, train), (nothing, held) = seen
    assert none == nothing == () and given[0] == Augment(**augment)
    assert torch.equal(validation, held) and torch.equal(validation, plain)
    assert not torch.equal(train, plain)


def test_keys_for_pictures_are_refused_for_texts():
    texts = rooms.find("modalities", "text_classification")
    for key, value in {"flip": True, "crop": 0.5, "randaugment": True, "erase": 0.2, "mixup": 0.2}.items():
        with pytest.raises(InputError, match=rf"augment: {key} is for pictures, and the rows are texts; leave it out"):
            recipe.build({**BERT, "augment": {key: value}})
        with pytest.raises(InputError, match=r"augment: .*pictures"):
            texts.encoder(None, recipe.build(BERT).model, Augment(**{key: value}))
