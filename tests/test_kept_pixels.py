"""Pictures kept from epoch to epoch: decoded once, the same training bit for bit, and nothing left behind."""

from __future__ import annotations

import os
import pickle
from types import SimpleNamespace

import pytest
import torch

from hfft import jpegs, keeping, kept_pixels, picture_rows, recipe
from hfft.errors import InputError
from hfft.kept_pixels import Kept
from hfft.modalities.image_classification import Decoding
from hfft.recipe import Augment
from hfft.run_folder import RunFolder
from tests.layouts import fit

TWO = {"num_train_epochs": 2, "max_steps": -1, "eval_strategy": "epoch"}
SHAPE = (3, 4, 5)


def picture(seed: int) -> torch.Tensor:
    return torch.randint(256, SHAPE, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_a_picture_is_made_once_whoever_asks_for_it(tmp_path):
    kept_pixels.begin(tmp_path / "a" / "x", 3, SHAPE)
    one = Kept(tmp_path / "a" / "x", 3, SHAPE)
    for place in (2, 0):
        assert torch.equal(one.get(place, lambda place=place: picture(place)), picture(place))
    for other in (one, pickle.loads(pickle.dumps(one)), Kept(tmp_path / "a" / "x", 3, SHAPE)):
        again = [other.get(place, lambda: pytest.fail("made again")) for place in (0, 2)]
        assert torch.equal(again[0], picture(0)) and torch.equal(again[1], picture(2))
        assert again[0].stride() == (1, 15, 3), "in memory as convolutions want it"
    kept_pixels.begin(tmp_path / "a" / "x", 3, SHAPE)
    fresh = Kept(tmp_path / "a" / "x", 3, SHAPE)
    assert torch.equal(fresh.get(0, lambda: picture(7)), picture(7)), "what another training left is not used"


def test_what_was_cut_off_before_it_was_whole_is_made_again(tmp_path):
    kept_pixels.begin(tmp_path / "x", 2, SHAPE)
    with (tmp_path / "x").open("r+b") as file:
        file.seek(60)
        file.write(b"half of a picture")
    assert torch.equal(Kept(tmp_path / "x", 2, SHAPE).get(1, lambda: picture(1)), picture(1))


@pytest.mark.parametrize("augment", [{}, {"flip": True, "erase": 0.5}])
def test_training_is_the_same_with_and_without_bit_for_bit(augment, tmp_path, monkeypatch):
    made, weights = {}, {}
    for asked in ("auto", False):
        count = []
        monkeypatch.setattr(
            picture_rows.jpegs, "pixels", lambda source, c=count, f=jpegs_pixels: c.append(1) or f(source)
        )
        speed = {"cache_images": asked, "precision": "fp32"}  # which reads no picture to measure anything
        fit("vit", tmp_path / str(asked), TWO, augment=augment, changes={"speed": speed})
        made[asked] = len(count)
        weights[asked] = (tmp_path / str(asked) / "model" / "model.safetensors").read_bytes()
        assert not (tmp_path / str(asked) / keeping.ROOM).exists()
    assert weights["auto"] == weights[False]
    # Both epochs' rows, or once; without a cache, each validation reads its first picture twice: first for its size.
    assert made == {False: 4 * 64 + 2, "auto": 2 * 64}


jpegs_pixels = jpegs.pixels


def test_a_disk_that_fills_up_in_between_costs_time_and_no_pixels(tmp_path, monkeypatch):
    kept_pixels.begin(tmp_path / "f", 3, SHAPE)
    kept, made, real = Kept(tmp_path / "f", 3, SHAPE), [], os.pwrite

    def full(file: int, data: bytes, place: int) -> int:
        if place == 0:
            raise OSError(28, "No space left on device")
        return real(file, data[: len(data) // 2] if len(data) > 1 else data, place)

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(2):
        for row in range(2):
            assert torch.equal(kept.get(row, lambda row=row: made.append(row) or picture(row)), picture(row))
    assert made == [0, 1, 0, 1]


def test_what_is_kept_goes_however_training_ends(tmp_path):
    run, one = RunFolder(tmp_path), SimpleNamespace(world_size=1, local_process_index=0)
    with pytest.raises(ZeroDivisionError), keeping.room(run, one):
        (tmp_path / keeping.ROOM).mkdir()
        raise ZeroDivisionError
    assert not (tmp_path / keeping.ROOM).exists()


def test_random_crops_are_another_part_of_the_picture_each_time():
    assert Decoding(None, Augment(flip=True)).keeps and not Decoding(None, Augment(flip=True, crop=0.5)).keeps


def test_a_full_disk_is_told_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_pixels, "LEFT", 0.0)
    with pytest.raises(
        InputError, match=r"^speed.cache_images: train: 64 pictures are not kept for the next epoch: the d"
    ):
        fit("vit", tmp_path / "true", TWO, changes={"speed": {"cache_images": True}})


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        (
            "tiny_imgcls",
            ["speed.cache_images=true", "augment.crop=0.5"],
            "speed.cache_images: augment.crop cuts another",
        ),
        ("tiny_textcls", ["speed.cache_images=true"], "speed.cache_images is for image_classification"),
        ("tiny_semseg", ["speed.image_sizes=auto"], "speed.image_sizes is for image_classification"),
        (
            "tiny_imgcls",
            ["speed.image_sizes=auto", "train.minutes=1"],
            "speed.image_sizes: train.minutes may end before",
        ),
        ("tiny_imgcls", ["speed.image_sizes=auto", "adapt.freeze=backbone"], "each picture is seen once, at full size"),
        ("tiny_imgcls", ["speed.image_sizes=[64, 32]"], "speed.image_sizes: sides go from small to large"),
        ("tiny_imgcls", ["speed.image_sizes=small"], "speed.image_sizes: expected auto, or sides in pixels"),
        ("tiny_imgcls", ["speed.image_sizes=[4]"], "speed.image_sizes: a side is a whole number of pixels, 8 or more"),
        ("tiny_imgcls", ["speed.allocator=1"], "speed.allocator"),
    ],
)
def test_keys_that_cannot_be_meant(name, words, said):
    with pytest.raises(InputError) as caught:
        recipe.load(name, words)
    assert said in str(caught.value)
