"""Pictures read the short way: the very pixels of Pillow and of the checkpoint's processor, or the long way."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hfft import backbones, fitted_pixels, jpegs, pictures, recipe, rooms
from hfft.recipe import Augment
from tests.layouts import VIT

IMAGES = rooms.find("modalities", "image_classification")
CFG = {"input_size": [3, 64, 64], "interpolation": "bicubic", "crop_pct": 0.875, "mean": [0.5] * 3, "std": [0.5] * 3}
NORM = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
PROCESSORS = {
    "timm": lambda: transformers.TimmWrapperImageProcessor(CFG, "test_resnet"),
    "timm, bilinear": lambda: transformers.TimmWrapperImageProcessor(
        CFG | {"interpolation": "bilinear"}, "test_resnet"
    ),
    "timm, squashed": lambda: transformers.TimmWrapperImageProcessor(CFG | {"crop_mode": "squash"}, "test_resnet"),
    "ViT": lambda: transformers.ViTImageProcessor(size={"height": 64, "width": 64}, **NORM),
    "CLIP": lambda: transformers.CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=64, **NORM),
    "not normalised": lambda: transformers.ViTImageProcessor(size={"height": 64, "width": 64}, do_normalize=False),
}


def drawn(height: int, width: int, seed: int = 0) -> Image.Image:
    """Smooth colours with edges and some noise."""
    draws = np.random.default_rng(seed)
    base = np.asarray(Image.fromarray(draws.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((width, height)))
    return Image.fromarray((base * 0.9 + draws.integers(0, 25, (height, width, 3))).astype(np.uint8))


def stored(image: Image.Image, kind: str = "JPEG", **options) -> dict:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return {"bytes": out.getvalue(), "path": None}


@settings(max_examples=40)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([20, 75, 90, 100]),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
)
def test_jpeg_files_have_the_pixels_that_pillow_reads(height, width, quality, chroma, progressive):
    source = stored(drawn(height, width), quality=quality, subsampling=chroma, progressive=progressive)
    assert np.array_equal(jpegs.pixels(source), np.asarray(pictures.rgb(source)))


def test_plain_jpeg_files_go_the_short_way(monkeypatch):
    assert jpegs.alike(), "this torchvision decodes as this Pillow does"
    plain, grey = stored(drawn(40, 50)), stored(drawn(40, 50).convert("L"))
    expected = [np.asarray(pictures.rgb(source)) for source in (plain, grey)]
    monkeypatch.setattr(jpegs, "upright", None)
    assert all(np.array_equal(jpegs.pixels(s), e) for s, e in zip((plain, grey), expected, strict=True))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("L", "GIF")]
)
def test_whatever_the_file_pixels_are_pillows(mode, kind, orientation):
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    source = stored(drawn(31, 44).convert(mode), kind, **({} if kind == "GIF" else {"exif": exif}))
    assert np.array_equal(jpegs.pixels(source), np.asarray(pictures.rgb(source)))


@pytest.mark.parametrize("cut", [0, 3, 200, -2, -60])
def test_damaged_files_end_in_the_same_words(cut):
    source = {"bytes": stored(drawn(60, 80))["bytes"][:cut], "path": None}
    with pytest.raises(ValueError) as expected:
        pictures.rgb(source)
    with pytest.raises(ValueError) as got:
        jpegs.pixels(source)
    assert str(got.value) == str(expected.value)


def test_cut_off_within_but_closed_by_its_marker_is_read_as_pillow_reads_it():
    whole = stored(drawn(60, 80))["bytes"]
    source = {"bytes": whole[:-300] + whole[-2:], "path": None}
    assert np.array_equal(jpegs.pixels(source), np.asarray(pictures.rgb(source)))


def test_another_jpeg_library_is_found_out_and_not_used(monkeypatch):
    source, by_torchvision = stored(drawn(40, 50)), jpegs._by_torchvision
    monkeypatch.setattr(jpegs, "_by_torchvision", lambda data: by_torchvision(data) ^ 1)
    jpegs.alike.cache_clear()
    try:
        assert not jpegs.alike()
        assert np.array_equal(jpegs.pixels(source), np.asarray(pictures.rgb(source)))
    finally:
        monkeypatch.undo()
        jpegs.alike.cache_clear()


@pytest.mark.parametrize("name", PROCESSORS)
@settings(max_examples=15)
@given(height=st.integers(8, 200), width=st.integers(8, 200), seed=st.integers(0, 9))
def test_two_steps_give_what_the_processor_gives_and_the_quick_one_nearly(name, height, width, seed):
    processor = made(name)
    fitting, image = fitted_pixels.of(processor), drawn(height, width, seed)
    assert fitting is not None
    small, mild = fitting.resize(np.array(image)), np.array(image) // 2 + 64
    expected = processor([image], return_tensors="pt")["pixel_values"]
    assert torch.equal(fitting.scale(fitted_pixels.stacked([small, small])), expected.repeat(2, 1, 1, 1))
    quick = fitting.quick(mild)
    assert small.dtype == quick.dtype == torch.uint8 and small.stride()[0] == quick.stride()[0] == 1
    apart = (fitting.resize(mild).int() - quick.int()).abs()
    assert int(apart.max()) <= fitted_pixels.APART and float((apart > 0).float().mean()) < 0.02
    if name in ("ViT", "CLIP", "not normalised"):
        assert not apart.any(), "these processors resize with torch themselves"


_made: dict = {}


def made(name: str):
    if name not in _made:
        _made[name] = PROCESSORS[name]()
    return _made[name]


def test_a_processor_that_does_more_is_used_as_it_is():
    processor = made("timm")
    more = transformers.TimmWrapperImageProcessor(CFG, "test_resnet")
    more.val_transforms.transforms.append(lambda values: values + 1)
    turned = transformers.TimmWrapperImageProcessor(CFG, "test_resnet")
    turned.val_transforms.transforms[0].size = 90
    assert fitted_pixels.of(more) is None and fitted_pixels.of(lambda images, return_tensors: {}) is None
    rows = IMAGES.as_rows([drawn(50, 70)])
    plain, other, zoomed = (IMAGES.collator(p)(list(IMAGES.prepare(rows, p, None))) for p in (processor, more, turned))
    assert torch.equal(plain["pixel_values"] + 1, other["pixel_values"])
    assert (
        fitted_pixels.of(turned) is not None
        and fitted_pixels.of(processor).by_torch
        and not torch.equal(plain["pixel_values"], zoomed["pixel_values"])
    )


def test_a_batch_is_the_processors_and_lies_as_convolutions_want_it():
    processor = backbones.load(recipe.build(VIT).model, IMAGES, ("a", "b")).processor
    images = [drawn(40, 33, seed) for seed in range(5)]
    rows = IMAGES.as_rows(images).add_column("labels", [0, 1, 0, 1, 1])
    prepared = IMAGES.prepare(rows, processor, None)
    assert all(row["pixel_values"].dtype == torch.uint8 for row in prepared), "small until they are a batch"
    batch = IMAGES.collator(processor)(list(prepared))
    training = IMAGES.collator(processor)(list(IMAGES.prepare(rows, processor, None, Augment())))
    assert torch.allclose(training["pixel_values"], batch["pixel_values"], atol=2.01 / 255 / 0.22)
    assert torch.equal(batch["pixel_values"], processor(images, return_tensors="pt")["pixel_values"])
    assert batch["labels"].tolist() == [0, 1, 0, 1, 1]
    assert batch["pixel_values"].is_contiguous(memory_format=torch.channels_last)
