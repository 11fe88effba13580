"""Pictures and masks that move together: of every pixel of every output, where it came from is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from hfft import augmenting, scene_pixels
from hfft.recipe import Augment

SIZE = (32, 48)
SHAPES = ((45, 61), (20, 31), (32, 48), (97, 40))  # odd, smaller than the window, its size, higher than wide


def plain(size: tuple[int, int] = SIZE) -> transformers.SegformerImageProcessor:
    """Pixels of 0 to 1."""
    sides = {"height": size[0], "width": size[1]}
    return transformers.SegformerImageProcessor(size=sides, image_mean=[0.0] * 3, image_std=[1.0] * 3)


def ramp(height: int, width: int) -> tuple[Image.Image, np.ndarray]:
    """A picture whose red is its row and green its column, and a mask with a class of its own for each pixel."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)
    return Image.fromarray(image), (rows * width + columns).astype(np.int16)


def drawn(augment: Augment | None, shape: tuple[int, int], window: bool, seed: int = 0):
    """(pixels of 0 to 255, labels) of the ramp."""
    with augmenting.seeded(seed):
        pixels, labels = scene_pixels.pixels_of(augment, plain(), window)(*ramp(*shape))
    return pixels * 255, labels


CHOICES = itertools.product((None, 0.4), (None, [0.5, 2.0]), (False, True), (None, 0.4))
EVERY = [Augment(crop=crop, scale=scale, flip=flip, color_jitter=jitter) for crop, scale, flip, jitter in CHOICES]


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_and_its_label_are_of_the_same_place(shape, window):
    offsets, outside = [], 0
    for seed, augment in enumerate(EVERY * 3):
        pixels, labels = drawn(augment, shape, window, seed)
        assert pixels.shape == (3, *SIZE) and labels.shape == SIZE
        assert pixels.dtype == torch.float32 and labels.dtype == torch.int64
        known = labels != scene_pixels.IGNORED
        outside += int((~known).sum())
        assert not pixels[:, ~known].any(), "nothing is seen where nothing is labelled"
        assert known.any() and labels[known].min() >= 0 and labels.max() < shape[0] * shape[1]
        if augment.color_jitter:  # colours are no places any more, but the same places are seen
            same = Augment(crop=augment.crop, scale=augment.scale, flip=augment.flip)
            assert torch.equal(labels, drawn(same, shape, window, seed)[1])
            continue
        places = torch.stack([labels // shape[1], labels % shape[1]])
        off = (pixels[:2] - places)[:, known]
        assert off.abs().max() <= 1.01, (augment, seed)
        offsets.append(off.mean(dim=1))
    mean = torch.stack(offsets).mean(dim=0)
    assert mean.abs().max() < 0.06, "and on the average of exactly the same"
    assert outside > 0, "some were padded"


def test_without_augment_pixels_are_those_of_the_processor():
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (77, 103, 3), dtype=np.uint8))
    processor = transformers.SegformerImageProcessor(size={"height": 32, "width": 48})
    for augment in (None, Augment()):
        pixels, _ = scene_pixels.pixels_of(augment, processor, False)(image, np.zeros((77, 103), np.int16))
        expected = processor([image], return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(pixels, expected, atol=1e-5, rtol=0)


def test_without_augment_a_window_is_the_middle_as_it_is():
    pixels, labels = drawn(None, (45, 61), True)
    assert labels[0, 0] == (45 - 32) // 2 * 61 + (61 - 48) // 2
    assert torch.equal(pixels[0].round().long() * 61 + pixels[1].round().long(), labels), "no pixel was resampled"
    _, small = drawn(None, (20, 31), True)
    assert (small != -100).sum() == 20 * 31
    assert (small[0] == -100).all() and (small[-1] == -100).all() and (small[16] != -100).sum() == 31


def test_a_crop_keeps_its_share_of_the_area_and_reaches_every_edge():
    shares, edges = [], set()
    for seed in range(200):
        _, labels = drawn(Augment(crop=0.4), (90, 90), False, seed)
        rows, columns = labels // 90, labels % 90
        height, width = (int(side.max() - side.min()) + 1 for side in (rows, columns))
        shares.append(height * width / 90**2)
        assert 0.7 < height / width < 1.43
        ends = (rows.min() <= 1, rows.max() >= 88, columns.min() <= 1, columns.max() >= 88)
        edges |= {place for place, reached in enumerate(ends) if reached}
    assert 0.37 < min(shares) < 0.45 and 0.93 < max(shares) <= 1
    assert 0.6 < np.mean(shares) < 0.75 and len(edges) == 4


def test_scale_is_even_on_a_logarithmic_scale_and_pads_with_nothing():
    steps, filled = [], []
    for seed in range(200):
        _, labels = drawn(Augment(scale=[0.5, 2.0]), (90, 120), False, seed)
        known = (labels != -100).any(dim=1)
        rows = (labels // 120).where(labels != -100, 0).max(dim=1).values[known]
        steps.append(float(rows[-1] - rows[0]) / max(len(rows) - 1, 1) / (90 / 32))  # source pixels per output pixel
        filled.append(float(known.float().mean()))
    smaller = np.mean(np.array(steps) > 1.02)
    assert 0.4 < smaller < 0.6, "as often enlarged as made smaller"
    assert min(steps) < 0.56 and max(steps) > 1.8 and 0.5 <= min(filled) < 0.6 and max(filled) == 1


def test_a_mask_of_another_size_is_refused():
    image, ids = ramp(20, 30)
    with pytest.raises(ValueError, match=r"20, 30.*30, 20"):
        scene_pixels.pixels_of(None, plain(), False)(image, ids.T)


def test_one_seed_is_one_draw_and_another_is_another():
    augment = Augment(crop=0.4, scale=[0.5, 2.0], flip=True, color_jitter=0.4)
    first, again, other = (drawn(augment, (45, 61), False, seed) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])
