"""Malformed pictures, folders of pictures, and tables of pictures. A row is (colour of the first pixel, class)."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from tests.malformed import case
from tests.malformed.case import Case, Content, Files, Row

RED, BLACK, WHITE = (255, 0, 0), (0, 0, 0), (255, 255, 255)
BROKEN = "1 row cannot be used (row 9: p/a/x"


def png(
    colour: Any = "red", mode: str = "RGB", size: tuple[int, int] = (4, 4), kind: str = "PNG", **options: Any
) -> bytes:
    """A picture of one colour, or any picture, as the bytes of a file."""
    out = io.BytesIO()
    picture = colour if isinstance(colour, Image.Image) else Image.new(mode, size, colour)
    picture.save(out, kind, **options)
    return out.getvalue()


def floats(*values: float) -> bytes:
    return png(Image.fromarray(np.array([values], np.float32)), kind="TIFF")


COLOURS = {f"p/{label}/{i}.png": ((i * 20, {"a": 200, "b": 10}[label], 0), label) for label in "ab" for i in range(8)}
SOUND: Files = {name: png(colour) for name, (colour, _) in COLOURS.items()}
BASE = list(COLOURS.values())


def as_images(made: Case) -> Case:
    """The same case with the task of pictures."""
    tree = yaml.safe_load(made.files["mine.yaml"]) | {"task": "image_classification"}
    return dataclasses.replace(
        made, files=made.files | {"mine.yaml": yaml.safe_dump(tree, allow_unicode=True).encode()}
    )


def refused(name: str, files: Files, sentence: str, **data: Any) -> Case:
    return as_images(case.refused(name, files, sentence, data or {"path": "p"}))


def read(name: str, files: Files, *odd: Row, base: list[Row] = BASE, **data: Any) -> Case:
    return as_images(case.read(name, files, *odd, base=base, data=data or {"path": "p"}))


def one(name: str, content: Content, expected: Any, path: str = "p/a/x.png") -> Case:
    """A seventeenth file: its first colour, None where it is passed over, or the sentence that refuses it."""
    files = SOUND | {path: content}
    if isinstance(expected, str):
        return refused(name, files, f"p: {BROKEN}" + expected)
    return read(name, files, *([(expected, Path(path).parts[1])] if expected else []))


def upright() -> bytes:
    """Red lies bottom left in the file, and top left for whoever looks at the picture."""
    picture = Image.new("RGB", (2, 4), "blue")
    picture.paste(RED, (0, 2, 1, 4))
    turned = Image.Exif()
    turned[0x0112] = 6
    return png(picture, exif=turned)


def palette(**options: Any) -> bytes:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0] * 256)
    return png(picture, **options)


FRAMES = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
PICTURES = [
    one("picture cut off", png(size=(64, 64))[:80], ".png: the image is broken (image file is truncated"),
    one("jpeg cut off", png(Image.effect_noise((64, 64), 60), kind="JPEG")[:900], ".jpg: the image is broken (", "p/a/x.jpg"),
    one("picture of zero bytes", b"", ".png: the image is empty (0 bytes)"),
    one("text called .jpg", b"hello", ".jpg: the file is not an image", "p/a/x.jpg"),
    one("svg called .png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", ".png: the file is not an image"),
    one("a web page called .png", b"<html>404</html>", ".png: the file is not an image"),
    one("bad picture whose name has a line end", b"junk", "⟨U+000A⟩y.png: the file is not an image", "p/a/x\ny.png"),
    one("400 million pixels", png(0, "1", (20_000, 20_000)), ".png: the image is too large (more than 89 million pixels)"),
    one("4 billion pixels, said the header", png()[:16] + b"\x7f\xff\xff\xff" * 2 + png()[24:], ".png: the "),
    one("1 × 1", png(size=(1, 1)), RED),
    one("1 × 3,000", png(size=(1, 3000)), RED),
    one("CMYK", png((0, 0, 0, 0), "CMYK", kind="TIFF"), WHITE, "p/a/x.tif"),
    one("16-bit grey", png(257 * 100, "I;16"), (100, 100, 100)),
    one("1-bit", png(1, "1"), WHITE),
    one("palette", palette(), RED),
    one("palette with a transparent colour", palette(transparency=0), WHITE),
    one("grey with transparency", png((0, 0), "LA"), WHITE),
    one("transparent", png((255, 0, 0, 0), "RGBA"), WHITE),
    one("animated gif", png(FRAMES[0], kind="GIF", save_all=True, append_images=FRAMES[1:]), RED, "p/a/x.gif"),
    one("animated webp", png(FRAMES[0], kind="WEBP", save_all=True, append_images=FRAMES[1:], lossless=True), RED, "p/a/x.webp"),
    one("turned by its EXIF", upright(), RED),
    one("png called .jpg", png(), RED, "p/a/x.jpg"),
    one("tiff of fractions", floats(0.0, 1.0), BLACK, "p/a/x.tif"),
    one("tiff without numbers", floats(float("nan"), 1.0), BLACK, "p/a/x.tif"),
    one("tiff of infinities", floats(float("-inf"), float("inf")), BLACK, "p/a/x.tif"),
    one("tiff below zero", floats(-5.0, -5.0), BLACK, "p/a/x.tif"),
]  # fmt: skip

FOLDERS = [
    one("ending in capitals", png(), RED, "p/a/X.PNG"),
    one("ending that is none", b"<svg/>", None, "p/a/x.svg"),
    one("folders in folders", png(), RED, "p/a/deep/er/x.png"),
    one("picture beside the classes", png(), None, "p/x.png"),
    one("folder called .png", Path.mkdir, None),
    one("pipe called .png", os.mkfifo, None),
    one("picture that links to itself", lambda path: path.symlink_to("x.png"), None),
    one("picture that links to nothing", lambda path: path.symlink_to("gone.png"), None),
    one("folder that links to its own class", lambda path: path.symlink_to("../a"), None, "p/a/loop"),
    one("folder that links to all classes", lambda path: path.symlink_to(".."), None, "p/a/loop"),
    one("class that links to itself", lambda path: path.symlink_to("c"), None, "p/c"),
    one("empty class", Path.mkdir, None, "p/c"),
    one("class of other files", b"hello", None, "p/c/x.txt"),
    one("Thumbs.db", b"junk", None, "p/a/Thumbs.db"),
    one("hidden picture", b"junk", None, "p/a/._0.png"),
    one("hidden folder", png(), None, "p/.git/x.png"),
    one("class called test", png(), RED, "p/test/x.png"),
    refused("class in capitals", SOUND | {"p/A/x.png": png()}, "'A' (1 row) and 'a'"),
    one("class called 🎉", png(), RED, "p/🎉/x.png"),
    one("pattern signs in names", png(), RED, "p/a[1]/x*.png"),
    one("line ends in names", png(), RED, "p/new\nline/x\ny.png"),
    one("table beside the classes", b"x,y\n1,2\n", None, "p/notes.csv"),
    one("metadata of another program", b'{"file_name": "a/0.png", "label": "z"}\n', None, "p/metadata.jsonl"),
    refused("class called ' a '", SOUND | {"p/ a /x.png": png()}, "' a ' (1 row) and 'a'"),
    refused("picture whose name is no text", SOUND | {os.fsdecode(b"p/a/\xff.png"): png()}, "p/a/⟨U+DCFF⟩.png: the name of this picture or folder is not UTF-8"),
    refused("class whose name is no text", SOUND | {os.fsdecode(b"p/\xff/x.png"): png()}, "p/⟨U+DCFF⟩/x.png: the name of this picture or folder is not UTF-8"),
    refused("one class folder", {"p/a/1.png": png(), "p/a/2.png": png("blue")}, "p: expected at least two classes, got 'a'"),
    refused("no class folder", {"p/1.png": png()}, "p: no images found; expected p/CLASS/picture.jpg"),
    refused("no picture anywhere", {"p/a/x.txt": b"hello"}, "p: no images found"),
    refused("picture for a folder", {"p.png": png()}, "p.png: unknown ending", path="p.png"),
    refused("imagefolder of nothing", SOUND, "data.path is imagefolder, but data.data_files is missing", path="imagefolder"),
    refused("imagefolder that is not there", SOUND, "q: no such folder", path="imagefolder", data_files="q"),
    refused("imagefolder as a list", SOUND, "p: expected a file, this is a folder", path="imagefolder", data_files=["p"]),
    refused("folder of 5,000 letters", SOUND, "xxx…", path="x" * 5000),
    refused("classes taken for splits", SOUND, "p/a: data.split.by is predefined: expected folders train, validation and test", path="p", split={"by": "predefined"}),
    refused("splits without train", {f"p/test/{label}/x.png": png() for label in "ab"}, "expected a train split, got test", path="p", split={"by": "predefined"}),
]  # fmt: skip


def row(name: str, path: str, expected: Any, files: Files | None = None) -> Case:
    """A seventeenth row of a CSV file of paths."""
    lines = ["image,label", *(f"{known},{label}" for known, (_, label) in COLOURS.items()), f'"{path}",a']
    written = {"rows.csv": "\n".join(lines).encode()} | SOUND | (files or {})
    if isinstance(expected, str):
        return refused(name, written, f"rows.csv: 1 row cannot be used (row 17: {expected}", path="rows.csv")
    return read(name, written, (expected, "a"), path="rows.csv")


PATHS = [
    row("relative path", "p/../p/a/1.png", COLOURS["p/a/1.png"][0]),
    row("path of a missing file", "p/a/gone.png", "p/a/gone.png: no such file"),
    row("empty path of a picture", "", "the image is missing"),
    row("path of a folder", "p/a", "p/a: the file cannot be read (Is a directory)"),
    row("path of a pipe", "pipe.png", "pipe.png: the file cannot be read (a pipe or a device)", {"pipe.png": os.mkfifo}),
    row("path of an endless device", "/dev/zero", "/dev/zero: the file cannot be read (a pipe or a device)"),
    row("path that links to itself", "loop.png", "loop.png: the file cannot be read (Too many levels", {"loop.png": lambda path: path.symlink_to("loop.png")}),
    row("path with a zero byte", "p/\0.png", "p/⟨U+0000⟩.png: no file has such a name"),
    row("path of 5,000 letters", "x" * 5000, "xxx…: the file cannot be read (File name too long)"),
    row("path with a space at the end", "p/a/0.png ", "p/a/0.png : no such file"),
    row("path of another system", "p\\a\\0.png", "p\\a\\0.png: no such file"),
    row("address on the web", "http://127.0.0.1:9/x.png", "http…: no such file"),
]  # fmt: skip


def column(name: str, values: list[Any], sentence: str = "") -> Case:
    """A Parquet file with a column of pictures."""
    out = io.BytesIO()
    pq.write_table(pa.table({"image": values, "label": [("a", "b")[i % 2] for i in range(len(values))]}), out)
    if sentence:
        return refused(name, {"rows.parquet": out.getvalue()}, f"rows.parquet: {sentence}", path="rows.parquet")
    expected = [((i * 10, 5, 5), ("a", "b")[i % 2]) for i in range(12)]
    return read(name, {"rows.parquet": out.getvalue()}, base=expected, path="rows.parquet")


def objects(name: str, values: list[Any], sentence: str) -> Case:
    """JSON lines with a column of pictures."""
    lines = [json.dumps({"image": value, "label": i % 2}) for i, value in enumerate(values)]
    return refused(name, {"rows.jsonl": "\n".join(lines).encode()}, f"rows.jsonl: …{sentence}", path="rows.jsonl")


BYTES = [png((i * 10, 5, 5)) for i in range(12)]
STRUCTS = [{"bytes": data, "path": None} for data in BYTES]
COLUMNS = [
    column("pictures as bytes", BYTES),
    column("pictures as structs", STRUCTS),
    column("bytes of a picture are null", [*BYTES, None], "1 row cannot be used (row 13: the image is missing)"),
    column("bytes of a picture are none", [*BYTES, b""], "1 row cannot be used (row 13: the image is empty (0 bytes))"),
    column("bytes and path are null", [*STRUCTS, {"bytes": None, "path": None}], "1 row cannot be used (row 13: the image is missing)"),
    column("path in a struct is gone", [*STRUCTS, {"bytes": None, "path": "gone.png"}], "1 row cannot be used (row 13: gone.png: no such file)"),
    column("bytes of no picture", [b"junk"] * 12, "12 rows cannot be used (row 1: the file is not an image"),
    column("no picture anywhere in a column", [None] * 12, "column for 'image' holds null: expected images or paths"),
    column("numbers for bytes", [{"bytes": 1, "path": None}] * 12, "column for 'image' holds {'bytes': …: expected images or paths"),
    objects("numbers for pictures", list(range(12)), "column for 'image' holds int64: expected images or paths"),
    objects("lists for pictures", [[[1, 2], [3, 4]]] * 12, "column for 'image' holds List…: expected images or paths"),
    objects("objects for pictures", [{"url": "x"}] * 12, "column for 'image' holds {'url'…: expected images or paths"),
    objects("base64 for pictures", ["iVBORw0KGgo" * 500] * 12, "12 rows cannot be used (row 1: iVBORw0KGgo…File name too long"),
]  # fmt: skip

CASES = [*PICTURES, *FOLDERS, *PATHS, *COLUMNS]
