"""Masks: the same class indices whatever they were drawn in, or a reason that names what is wrong."""

import io
import json
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from hfft import hues, mask_classes, masks
from hfft.errors import InputError
from hfft.masks import IGNORED, Legend
from hfft.schema_data import Data

IDS = np.array([[0, 1, 2], [2, 1, 255]])
ABC = Legend(("a", "b", "c"), {0: 0, 1: 1, 2: 2, 255: IGNORED})
WANTED = [[0, 1, 2], [2, 1, IGNORED]]


def stored(image: Image.Image, kind: str = "PNG", **options) -> dict:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return {"bytes": out.getvalue(), "path": None}


def palette(ids: np.ndarray = IDS) -> Image.Image:
    image = Image.fromarray(ids.astype(np.uint8), "L").copy()
    image.putpalette([channel for value in range(256) for channel in (value * 37 % 256, value * 91 % 256, value)])
    return image


def grey_png(ids: np.ndarray, bits: int) -> dict:
    """A grey PNG of 2 or 4 bits, which Pillow reads but does not write."""
    rows = b""
    for row in ids:
        text = "".join(f"{value:0{bits}b}" for value in row)
        rows += b"\0" + int(text.ljust(-len(text) // 8 * -8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return {"bytes": b"\x89PNG\r\n\x1a\n" + body, "path": None}


def grey_tiff(ids: np.ndarray, bits: int) -> dict:
    """A grey TIFF of 2, 4 or 8 bits: a header, one strip of pixels, and nine numbers that say what they are."""
    rows = b""
    for row in ids:
        text = "".join(f"{value:0{bits}b}" for value in row)
        rows += int(text.ljust(-len(text) // 8 * -8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    height, width = ids.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(rows)}
    entries = b"".join(struct.pack("<HHIHxx", tag, 3, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(rows) + len(rows) % 2)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return {"bytes": head + rows + bytes(len(rows) % 2) + directory, "path": None}


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("made", [grey_png, grey_tiff])
def test_few_bits_of_grey_stay_what_they_are(made, bits):
    ids = np.arange(12).reshape(3, 4) % min(2**bits, 11)
    assert (masks.values(made(ids, bits)) == ids).all()


def test_a_webp_without_loss_is_a_mask():
    ids = np.random.default_rng(0).integers(0, 200, (40, 30))
    drawn = Image.fromarray(ids.astype(np.uint8))
    assert (masks.values(stored(drawn, "WEBP", lossless=True)) == ids).all()
    more = stored(drawn, "WEBP", lossless=True, exif=Image.Exif(), icc_profile=b"abc")
    assert (masks.values(more) == ids).all(), "chunks before the pixels"


def test_ids_beyond_sixteen_bits_are_told_where_they_are_written():
    with pytest.raises(InputError, match="id 70000: expected ids of 0 to 65,535"):
        mask_classes.legend(Data(path="x", classes={0: "a", 70000: "b"}), [], list)


@pytest.mark.parametrize(
    "source",
    [
        stored(palette()),
        stored(palette(), transparency=0),
        stored(Image.fromarray(IDS.astype(np.uint8))),
        stored(Image.fromarray(IDS.astype(np.uint16))),
        stored(Image.fromarray(IDS.astype(np.int32)), "TIFF"),
        stored(Image.fromarray(IDS.astype(np.float32)), "TIFF"),
        stored(Image.fromarray(np.repeat(IDS.astype(np.uint8)[..., None], 3, axis=2))),
        stored(Image.fromarray(np.dstack([*[IDS.astype(np.uint8)] * 3, np.full(IDS.shape, 255, np.uint8)]))),
        stored(Image.fromarray(IDS.astype(np.uint8)).convert("LA")),
        stored(Image.fromarray(IDS.astype(np.uint8)), "WEBP", lossless=True, exact=True),
    ],
    ids=["palette", "palette, one clear", "8 bit", "16 bit", "32 bit", "floats", "RGB", "RGBA", "LA", "WebP"],
)
def test_ids_are_what_they_are_in_every_file(source):
    found = ABC.read(source)
    assert found.dtype == np.int16 and found.tolist() == WANTED


def test_two_colours_are_two_ids():
    assert ABC.read(stored(Image.fromarray(np.array([[True, False]])))).tolist() == [[1, 0]]


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_of_grey_are_not_spread_over_255(bits):
    """Pillow multiplies them so that the highest is white: id 1 would be 85 or 17."""
    ids = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    assert masks.values(grey_png(ids, bits)).tolist() == ids.tolist()


def test_a_mask_stands_upright_like_its_picture():
    turned = Image.Exif()
    turned[0x0112] = 6
    assert ABC.read(stored(Image.fromarray(np.array([[0, 1]], np.uint8)), exif=turned)).tolist() == [[0], [1]]


@pytest.mark.parametrize("image", [palette(), palette().convert("RGB"), palette().convert("RGBA")])
def test_colours_are_looked_up_in_the_colour_table(image):
    colours = {name: hues.shown(value * 37 << 16 | value * 91 << 8 | value) for value, name in enumerate("abc")}
    data = Data(path="x", colors=colours | {"ignore": [255 * 37 % 256, 255 * 91 % 256, 255]})
    legend = mask_classes.legend(data, [], list)
    assert legend.names == ("a", "b", "c")
    assert legend.read(stored(image)).tolist() == WANTED


def test_grey_has_colours_too():
    legend = mask_classes.legend(Data(path="x", colors={"ground": "#000000", "cell": "#ffffff"}), [], list)
    assert legend.read(stored(Image.fromarray(np.array([[0, 255]], np.uint8)))).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        ([[0, 3]], "id 3 (1 pixel) is of no class: the 3 classes have 0 to 2, and 255 counts nowhere"),
        ([[7, 3, 3]], "ids 3 (2 pixels), 7 (1 pixel) are of no class"),
        ([[0, 70_000]], "id 70000 (1 pixel) is of no class"),
        ([[0, -1]], "id -1 (1 pixel) is of no class"),
    ],
)
def test_ids_above_the_class_count(ids, told):
    with pytest.raises(ValueError) as error:
        ABC.read(stored(Image.fromarray(np.array(ids, np.int32)), "TIFF"))
    assert str(error.value).startswith(told)


def test_an_unlisted_colour():
    legend = mask_classes.legend(Data(path="x", colors={"a": "#ff0000", "b": "#00ff00"}), [], list)
    image = Image.new("RGB", (4, 4), "red")
    image.putpixel((1, 2), (1, 2, 3))
    with pytest.raises(ValueError, match=r"data.colors has no class for the colour #010203 \(1 pixel\) of this mask"):
        legend.read(stored(image))


def test_colours_without_a_colour_table():
    image = Image.new("RGB", (4, 4), (128, 64, 128))
    image.putpixel((0, 0), (0, 0, 142))
    with pytest.raises(ValueError, match=r"a picture in colours \(#804080, #00008e\).*data.colors=\{road: '#00008e'"):
        ABC.read(stored(image))


def bomb() -> bytes:
    whole = stored(Image.new("L", (4, 4)))["bytes"]
    ihdr = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return whole[:16] + ihdr + struct.pack(">I", zlib.crc32(b"IHDR" + ihdr)) + whole[33:]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"bytes": None, "path": ""}, "the mask is missing"),
        ({"bytes": b"", "path": None}, r"the mask is empty \(0 bytes\)"),
        ({"bytes": b"not a picture", "path": None}, "the file is not an image"),
        ({"bytes": stored(Image.effect_noise((64, 64), 9))["bytes"][:-900], "path": None}, "the mask is broken"),
        ({"bytes": bomb(), "path": None}, "the mask is too large"),
        ({"bytes": None, "path": "nowhere.png"}, "no such file"),
        (stored(Image.new("L", (8, 8)), "WEBP"), "a WebP with loss, whose compression changes values"),
        (stored(Image.new("L", (8, 8)), "TIFF", compression="jpeg"), "a TIFF with JPEG inside, whose"),
        (stored(Image.new("L", (8, 8)), "AVIF"), "an AVIF, whose compression changes values"),
        (stored(Image.new("L", (8, 8)), "JPEG2000"), "a JPEG2000, whose compression changes values"),
        (stored(Image.new("L", (8, 8)), "JPEG"), "a JPEG, whose compression changes values; save masks as PNG"),
        (stored(Image.new("RGBA", (2, 2), (0, 0, 0, 9))), "4 pixels of the mask are transparent"),
        (stored(Image.fromarray(np.full((2, 2), 0.5, np.float32)), "TIFF"), "the mask holds fractions"),
    ],
)
def test_what_cannot_be_read_says_why(source, told):
    with pytest.raises(ValueError, match=told):
        ABC.read(source)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "mask.png")
    with pytest.raises(ValueError, match="a pipe or a device"):
        ABC.read({"bytes": None, "path": str(tmp_path / "mask.png")})


@given(
    arrays.arrays(np.int16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, 300)),
)
def test_encoding_loses_nothing(found):
    found[found == -1] = IGNORED
    data = masks.encode(found)
    assert masks.ids({"bytes": data, "path": ""}).tolist() == found.tolist()
    with Image.open(io.BytesIO(data)) as image:
        assert (image.mode == "L") == (found.max() < 254)
    assert masks.pixels(found, 301).sum() == (found >= 0).sum()


def test_255_classes_need_16_bits():
    with Image.open(io.BytesIO(masks.encode(np.array([[3, IGNORED]]), 254))) as image:
        assert image.mode == "L" and np.asarray(image).tolist() == [[3, 255]]
    with Image.open(io.BytesIO(masks.encode(np.array([[3, IGNORED]]), 255))) as image:
        assert image.mode.startswith("I") and np.asarray(image).tolist() == [[3, 65535]]


def legend(given=None, ignore=None, folders=(), held=(0, 1, 255), **more) -> Legend:
    return mask_classes.legend(Data(path="x", classes=given, ignore=ignore, **more), list(folders), lambda: held)


def test_every_form_of_class_names_says_the_same(tmp_path):
    forms = [["a", "b"], {"0": "a", "1": "b"}, {"b": 1, "a": 0}, {"classes": ["a", "b"], "ignore_index": 255}]
    for number, form in enumerate(forms):
        (tmp_path / f"{number}.json").write_text(json.dumps(form))
        found = legend(str(tmp_path / f"{number}.json"))
        assert (found.names, dict(found.places)) == (("a", "b"), {0: 0, 1: 1, 255: IGNORED}), form
    (tmp_path / "classes.json").write_text(json.dumps(forms[0]))
    assert legend(folders=[tmp_path]).names == legend(["a", "b"]).names == legend({"0": "a", "1": "b"}).names
    assert legend().names == ("0", "1"), "without names, the ids are the names"


def test_one_id_counts_nowhere():
    assert dict(legend(["a", "b", "void"], ignore=2).places) == {0: 0, 1: 1, 2: IGNORED}
    assert legend(["void", "a", "b"], ignore=0).names == ("a", "b")
    assert dict(legend({"0": "a", "7": "b", "9": None}).places) == {0: 0, 7: 1, 9: IGNORED, 255: IGNORED}
    two = legend({"0": "ground", "255": "cell"})
    assert (two.names, dict(two.places)[255]) == (("ground", "cell"), 1), "255 is a class where it has a name"
    assert dict(legend({"1": "road", "2": "road", "0": "car"}).places)[2] == 1, "equal names are one class"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"held": (0, 255)}, "expected at least two classes, got one class, '0'; where 255 is a class"),
        ({"held": range(1002)}, "1,001 different values"),
        ({"given": ["a"]}, "data.classes: expected at least two classes, got one class, 'a'"),
        ({"given": ["a", "a"]}, "'a' is in the list twice"),
        ({"given": {"a": 0, "b": 0}}, "id 0 is 'a' and 'b'"),
        ({"given": ["a", " "]}, "id 1: expected a name, got ' '"),
        ({"given": "nowhere.json"}, "nowhere.json: no such file"),
        ({"given": ["road", "car"], "colors": {"raod": "#000000"}}, r"no class 'raod' \(did you mean 'road'\?\)"),
        ({"given": ["road", "car"], "colors": {"road": "#000000"}}, "no colour for 'car'"),
        ({"colors": {"road": "#000000"}}, "data.colors: expected at least two classes, got one class, 'road'"),
    ],
)
def test_classes_that_make_no_sense(given, told):
    with pytest.raises(InputError, match=told):
        legend(**given)


@pytest.mark.parametrize("text", ["", "[1", '{"a": "b"}', "3", '{"classes": ["a", "b"], "ignore_index": "x"}'])
def test_a_classes_file_that_makes_no_sense_is_named(text, tmp_path):
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(InputError, match=r"classes\.json"):
        legend(folders=[tmp_path])
