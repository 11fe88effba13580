"""One picture, whatever its file: upright 8-bit RGB, or a reason that a person can act on."""

import io
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hfft.errors import InputError
from hfft.flattening import flatten
from hfft.modalities import image_classification
from hfft.pictures import rgb, thumbnail
from hfft.recipe import Model


def stored(image: Image.Image, kind: str = "PNG", **options) -> dict:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return {"bytes": out.getvalue(), "path": None}


def pixel(image: Image.Image) -> tuple[int, ...]:
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def test_every_mode_becomes_rgb():
    red = Image.new("RGB", (4, 4), "red")
    assert pixel(rgb(stored(red))) == (255, 0, 0)
    assert pixel(rgb(stored(red.convert("P")))) == (255, 0, 0)
    assert pixel(rgb(stored(red.convert("CMYK"), "TIFF"))) == (255, 0, 0)
    assert pixel(rgb(stored(Image.new("L", (4, 4), 77)))) == (77, 77, 77)
    assert pixel(rgb(stored(Image.new("1", (4, 4), 1)))) == (255, 255, 255)
    jpeg = pixel(rgb(stored(red.convert("CMYK"), "JPEG", quality=100)))
    assert jpeg[0] > 250 and max(jpeg[1:]) < 5


def test_transparency_lies_on_white():
    assert pixel(rgb(stored(Image.new("RGBA", (4, 4), (255, 0, 0, 0))))) == (255, 255, 255)
    assert pixel(rgb(stored(Image.new("RGBA", (4, 4), (255, 0, 0, 255))))) == (255, 0, 0)
    assert pixel(rgb(stored(Image.new("LA", (4, 4), (0, 0))))) == (255, 255, 255)
    keyed = Image.new("P", (4, 4), 0)
    keyed.putpalette([10, 20, 30] * 256)
    assert pixel(rgb(stored(keyed, transparency=0))) == (255, 255, 255)
    assert pixel(rgb(stored(keyed))) == (10, 20, 30)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (65535, 255), (257 * 100, 100), (250, 1)])
def test_16_bits_are_scaled_alike_in_every_picture(value, expected):
    """A dark 16-bit picture stays dark: its own highest value does not decide."""
    image = Image.fromarray(np.full((4, 4), value, dtype=np.uint16))
    assert pixel(rgb(stored(image))) == (expected,) * 3


@pytest.mark.parametrize(("highest", "expected"), [(1.0, 255), (255.0, 255), (65535.0, 255), (100_000.0, 255)])
def test_floats_by_the_usual_ranges(highest, expected):
    values = np.array([[0, highest], [highest / 2, np.nan]], dtype=np.float32)
    out = np.asarray(flatten(Image.fromarray(values)))[..., 0]
    assert out[0].tolist() == [0, expected] and abs(int(out[1, 0]) - 128) <= 1 and out[1, 1] == 0


def test_pictures_stand_upright():
    image = Image.new("RGB", (4, 2), "blue")
    image.putpixel((0, 0), (255, 0, 0))
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held to the side
    out = rgb(stored(image, exif=turned))
    assert out.size == (2, 4) and out.getpixel((1, 0)) == (255, 0, 0)


def test_the_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert pixel(rgb(stored(frames[0], "GIF", save_all=True, append_images=frames[1:]))) == (255, 0, 0)


def test_reasons(tmp_path, monkeypatch):
    large = stored(Image.new("RGB", (40, 40)))
    (tmp_path / "zero.png").write_bytes(b"")
    for source, reason in (
        ({"bytes": b"", "path": None}, "the image is empty (0 bytes)"),
        ({"bytes": None, "path": str(tmp_path / "zero.png")}, "the image is empty (0 bytes)"),
        ({"bytes": None, "path": ""}, "the image is missing"),
        ({"bytes": None, "path": None}, "the image is missing"),
        ({"bytes": None, "path": str(tmp_path / "none.png")}, "no such file"),
        ({"bytes": None, "path": str(tmp_path)}, "the file cannot be read (Is a directory)"),
        ({"bytes": b"<html>", "path": None}, "the file is not an image"),
        ({"bytes": large["bytes"][:60], "path": None}, "the image is broken ("),
    ):
        with pytest.raises(ValueError) as caught:
            rgb(source)
        assert str(caught.value).startswith(reason) and "\n" not in str(caught.value)
    for limit in (1000, 500):  # Pillow warns above the limit, and refuses above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match="the image is too large"):
            rgb(large)


@pytest.mark.parametrize("limit", [1000, 500])
def test_too_large_is_refused_whatever_the_warning_filter(limit, monkeypatch):
    large = stored(Image.new("RGB", (40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="the image is too large"):
            rgb(large)


def test_importing_leaves_the_warning_filters_alone():
    code = "import warnings, PIL.Image, hfft.pictures\n"
    code += "print([f for f in warnings.filters if f[2] is PIL.Image.DecompressionBombWarning])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def processor(images: list[Image.Image], return_tensors: str) -> dict:
    return {"pixel_values": [np.asarray(image, dtype=np.float32).transpose(2, 0, 1) for image in images]}


def test_pictures_are_decoded_when_read_in_spawned_workers_too():
    rows = image_classification.as_rows([Image.new("RGB", (2, 1), "red")]).add_column("labels", [1])
    prepared = image_classification.prepare(rows, processor, Model("any"))
    copy = pickle.loads(pickle.dumps(prepared))  # what a spawned worker gets
    assert copy[0]["pixel_values"].tolist() == [[[255, 255]], [[0, 0]], [[0, 0]]] and copy[0]["labels"] == 1


def test_a_picture_that_has_gone_or_broken_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^nowhere\.png: no such file \(current folder: "):
        image_classification.as_rows(["nowhere.png"])
    path = tmp_path / "x.png"
    path.write_bytes(stored(Image.new("RGB", (2, 1)))["bytes"])
    prepared = image_classification.prepare(image_classification.as_rows([path]), processor, Model("any"))
    assert prepared[0]["pixel_values"].shape == (3, 1, 2)
    path.write_bytes(b"<html>")
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: the file is not an image$"):
        prepared[0]
    path.unlink()
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: no such file$"):
        prepared[0]
    unnamed = image_classification.prepare(image_classification.as_rows([b"<html>"]), processor, Model("any"))
    with pytest.raises(InputError, match=r"^a picture given as bytes: the file is not an image$"):
        unnamed[0]


SAMPLES = [
    stored(Image.effect_noise((24, 16), 60).convert(mode), kind)["bytes"]
    for kind, mode in (
        ("PNG", "RGBA"),
        ("JPEG", "RGB"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("TIFF", "CMYK"),
        ("WEBP", "RGB"),
    )
]


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.data())
def test_damaged_bytes_are_a_picture_or_a_reason(data, changes, draw):
    """Cut anywhere, changed anywhere: never another exception."""
    damaged = bytearray(data[: draw.draw(st.integers(0, len(data)))])
    for place, value in changes:
        if place < len(damaged):
            damaged[place] = value
    try:
        assert rgb({"bytes": bytes(damaged), "path": None}).mode == "RGB"
    except ValueError as error:
        assert str(error).startswith("the ")


@given(st.integers(1, 300), st.integers(1, 300))
def test_thumbnails_fit(width, height):
    small = Image.open(io.BytesIO(thumbnail(Image.new("RGB", (width, height), "red"))))
    assert max(small.size) <= 96
    if max(width, height) > 96 or max(width, height) <= 48:
        assert max(small.size) > 48


def test_a_tiny_picture_is_enlarged_without_smoothing():
    image = Image.new("RGB", (2, 1), "black")
    image.putpixel((1, 0), (255, 255, 255))
    small = Image.open(io.BytesIO(thumbnail(image)))
    assert small.size == (96, 48) and set(small.get_flattened_data()) == {(0, 0, 0), (255, 255, 255)}
