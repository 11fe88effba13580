"""Malformed masks, folders of pictures and masks, and tables of both. A row is (colour of the first pixel, classes)."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.malformed import case
from tests.malformed.case import Case, Content, Files, Row
from tests.malformed.images import png


def mask(*rows: list[int], mode: str = "L", kind: str = "PNG") -> bytes:
    """A mask of these ids, or 4 x 4 of id 0 with a pixel of id 1."""
    ids = np.array(rows or [[1, 0, 0, 0], *[[0] * 4] * 3], np.uint8)
    return png(Image.fromarray(ids).convert(mode), kind=kind)


COUNT = 12
PICTURES: Files = {f"p/images/{i:02}.png": png((i * 20, 10, 0)) for i in range(COUNT)}
SOUND: Files = PICTURES | {f"p/masks/{i:02}.png": mask() for i in range(COUNT)}
BOTH = '["0", "1"]'
BASE: list[Row] = [((i * 20, 10, 0), BOTH) for i in range(COUNT)]
TABLE = "image,mask\n" + "".join(f"p/images/{i:02}.png,p/masks/{i:02}.png\n" for i in range(COUNT))
NAMED: dict[str, Any] = {"path": "p", "classes": ["ground", "thing"]}


def as_masks(made: Case) -> Case:
    """The same case with the task of masks."""
    tree = yaml.safe_load(made.files["mine.yaml"]) | {"task": "semantic_segmentation", "metrics": ["mean_iou"]}
    return dataclasses.replace(
        made, files=made.files | {"mine.yaml": yaml.safe_dump(tree, allow_unicode=True).encode()}
    )


def refused(name: str, files: Files, sentence: str, **data: Any) -> Case:
    return as_masks(case.refused(name, files, sentence, data or {"path": "p"}))


def read(name: str, files: Files, *odd: Row, base: list[Row] = BASE, **data: Any) -> Case:
    return as_masks(case.read(name, files, *odd, base=base, data=data or {"path": "p"}))


def one(name: str, content: Content, sentence: str, at: str = "p/masks/03.png", **data: Any) -> Case:
    """One file of twelve is odd, and its sentence names it."""
    return refused(name, SOUND | {at: content}, f"1 row cannot be used ({at}: {sentence}", **data)


def without(path: str) -> Files:
    return {name: content for name, content in SOUND.items() if name != path}


def moved(files: Files, *places: tuple[str, str]) -> Files:
    """The same files with beginnings of their names replaced."""
    for old, new in places:
        files = {name.replace(old, new): content for name, content in files.items()}
    return files


def turned(path: Path) -> None:
    """A picture that lies on its side, as cameras write it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path.write_bytes(png(Image.new("RGB", (6, 4)), exif=exif))


def splits(*names: str) -> Files:
    return {name.replace("p/", f"p/{split}/"): content for split in names for name, content in SOUND.items()}


COLOURS = {"ground": "#000000", "thing": "#ff0000"}
RED = png(Image.fromarray(np.array([[[255, 0, 0], [0, 0, 0]]] * 2, np.uint8)).resize((4, 4), 0))
PAINTED = PICTURES | {f"p/masks/{i:02}.png": RED for i in range(COUNT)}

CASES = [
    # --- what the two folders hold
    refused("image without mask", without("p/masks/03.png"), "p/images/03.png: there is no mask for this image"),
    refused("mask without image", without("p/images/03.png"), "p/masks/03.png: there is no image for this mask"),
    one("mask of another size", mask([0, 1], [1, 0]), "the mask has 2 x 2 pixels, and its image 4 x 4"),
    refused(
        "mask drawn on a picture that lies on its side",
        SOUND | {"p/images/03.png": turned, "p/masks/03.png": mask(*[[0, 1, 0, 0, 0, 0]] * 4)},
        "p/masks/03.png: the mask has 6 x 4 pixels, and its image 4 x 6 once it is turned upright, as its EXIF data says",
    ),
    one(
        "id above the class count",
        mask(*[[0, 1, 2, 7]] * 4),
        "ids 2 (4 pixels), 7 (4 pixels) are of no…0 to 1",
        **NAMED,
    ),
    one("all ignored", mask(*[[255] * 4] * 4), "no pixel of the mask counts"),
    one("corrupt mask", png(Image.effect_noise((64, 64), 9))[:-900], "the mask is broken"),
    one("corrupt picture", png(Image.effect_noise((64, 64), 9))[:-900], "the image is broken", "p/images/03.png"),
    one("empty mask", b"", "the mask is empty (0 bytes)"),
    one("mask that is a text", b"0 1 1 0", "the file is not an image"),
    one("mask as JPEG", mask(kind="JPEG"), "the mask is a JPEG, whose compression changes values; save masks as PNG"),
    one("transparent mask", png((0, 0, 0, 0), "RGBA"), "16 pixels of the mask are transparent"),
    one("mask in colours", RED, "the mask is a picture in colours (#000000, #ff0000): say which class each one is"),
    refused(
        "unlisted colour",
        PAINTED | {"p/masks/03.png": png((1, 2, 3))},
        "p/masks/03.png: data.colors has no class for the colour #010203 (16 pixels) of this mask",
        path="p",
        colors=COLOURS,
    ),
    refused(
        "colours of other classes",
        PAINTED,
        "data.colors: no class 'thing'",
        path="p",
        colors=COLOURS,
        classes=["ground", "x"],
    ),
    refused(
        "one image",
        {name: SOUND[name] for name in ("p/images/03.png", "p/masks/03.png")},
        "only 1 image to train on (p/images/03.png); expected at least 3",
    ),
    refused(
        "two images",
        {n: c for n, c in SOUND.items() if n[-6:] in ("02.png", "03.png")},
        "only 2 images to train on (p/images/02.png, p/images/03.png)",
    ),
    refused(
        "two masks of one image",
        SOUND | {"p/masks/03_mask.png": mask()},
        "p/images/03.png: p/masks/03.png and p/masks/03_mask.png may each be its mask",
    ),
    refused(
        "two images of one name",
        SOUND | {"p/images/03.bmp": png(kind="BMP")},
        "p/images/03.bmp and p/images/03.png have one name",
    ),
    refused(
        "nothing but background",
        PICTURES | {f"p/masks/{i:02}.png": mask(*[[0] * 4] * 4) for i in range(COUNT)},
        "expected at least two classes, got one class, '0'",
    ),
    refused(
        "binary masks of 0 and 255",
        PICTURES | {f"p/masks/{i:02}.png": mask(*[[0, 255, 0, 0]] * 4) for i in range(COUNT)},
        "type data.classes={0: background, 255: object}",
    ),
    refused(
        "too few after dropping",
        {n: c for n, c in SOUND.items() if n[-6:] < "04.png"} | {"p/masks/01.png": b"", "p/masks/02.png": b""},
        "(p/masks/01.png: the mask is empty (0 bytes); p/masks/02.png: …). Then there are only 2 images to train on",
        path="p",
        on_bad_rows="drop",
    ),
    # --- which folders
    refused(
        "no masks",
        PICTURES,
        "p: expected images/NAME.jpg and masks/NAME.png in it, or a table of paths; it holds images",
    ),
    refused("empty masks", PICTURES | {"p/masks/none.txt": b""}, "p/masks: no masks found in it"),
    refused("no folder at all", {"p/x.txt": b"x"}, "p: expected images/NAME.jpg and masks/NAME.png"),
    refused(
        "several folders of images",
        SOUND | moved(PICTURES, ("images", "img")),
        "p: images, img may each hold the images; type data.columns.image=NAME",
    ),
    refused(
        "a folder that is not there",
        SOUND,
        "p: no folder 'maks' (did you mean 'masks'?)",
        path="p",
        columns={"mask": "maks"},
    ),
    refused("splits not asked for", splits("train", "test"), "p holds test, train: type data.split.by=predefined"),
    refused(
        "splits that are not there",
        SOUND,
        "data.split.by is predefined: expected folders train, validation and test",
        path="p",
        split={"by": "predefined"},
    ),
    refused(
        "a split that is a file",
        splits("train") | {"x": b"x"},
        "data.data_files.test: x: expected a folder",
        path="imagefolder",
        data_files={"train": "p/train", "test": "x"},
    ),
    refused(
        "no test to speak of",
        splits("train", "test") | moved(splits("test"), ("p/test", "p/more")),
        "no split 'more'",
        path="imagefolder",
        data_files={"train": "p/train", "more": "p/more"},
        split={"by": "predefined"},
    ),
    # --- which classes
    refused("classes file", SOUND | {"p/classes.json": b"{"}, "p/classes.json: not readable as JSON"),
    refused(
        "classes file of something else",
        SOUND | {"p/classes.json": json.dumps({"a": "b"}).encode()},
        "p/classes.json: expected [",
    ),
    refused("classes of no kind", SOUND, "data.classes: expected names, such as [road, car]", path="p", classes=3),
    refused(
        "no such classes file", SOUND, "data.classes: nowhere.json: no such file", path="p", classes="nowhere.json"
    ),
    refused(
        "colour of no kind",
        SOUND,
        "data.colors: 'a': expected a colour such as '#804080'",
        path="p",
        colors={"a": "red"},
    ),
    refused(
        "one colour for two",
        SOUND,
        "#ff0000 stands for 'a' and for 'b'",
        path="p",
        colors={"a": "#ff0000", "b": [255, 0, 0]},
    ),
    # --- groups
    refused("pattern without a group", SOUND, "data.group_pattern: '^a' has no group", path="p", group_pattern="^a"),
    refused(
        "pattern that is none", SOUND, "data.group_pattern: '(' is no regular expression", path="p", group_pattern="("
    ),
    refused(
        "pattern that is nowhere",
        SOUND,
        "finds no group in 12 of 12 file names, such as 00.png, 01.png",
        path="p",
        group_pattern="^(x)",
        split={"by": "group"},
    ),
    refused(
        "groups, dealt at random",
        SOUND,
        "data.group_pattern is given, but data.split.by is random",
        path="p",
        group_pattern="^(.)",
    ),
    # --- tables
    refused(
        "table without masks",
        SOUND | {"t.csv": b"image\np/images/00.png\n"},
        "t.csv: no column 'mask' for mask; it has image",
        path="t.csv",
    ),
    refused(
        "table with a gap",
        SOUND | {"t.csv": TABLE.replace("p/masks/03.png", "").encode()},
        "row 4: p/images/03.png: there is no mask for this image",
        path="t.csv",
    ),
    refused(
        "table that names nothing",
        SOUND | {"t.csv": TABLE.replace("masks/03", "nowhere/03").encode()},
        "row 4: p/nowhere/03.png: no such file",
        path="t.csv",
    ),
    # --- what is read all the same
    read("plain", SOUND),
    read("bad rows left out", SOUND | {"p/masks/03.png": b""}, base=BASE[:3] + BASE[4:], path="p", on_bad_rows="drop"),
    read("suffixes", {name.replace(".png", "_mask.png") if "masks" in name else name: c for name, c in SOUND.items()}),
    read("other names of folders", moved(SOUND, ("p/images", "p/JPEGImages"), ("p/masks", "p/SegmentationClass"))),
    read(
        "folders that the recipe names",
        moved(SOUND, ("p/images", "p/a"), ("p/masks", "p/b")),
        path="p",
        columns={"image": "a", "mask": "b"},
    ),
    read("folders within folders", moved(SOUND, ("images/0", "images/x/0"), ("masks/0", "masks/x/0"))),
    read(
        "splits below",
        splits("train", "val", "test"),
        base=3 * BASE,
        path="p",
        split={"by": "predefined"},
        on_leak="warn",
    ),
    read(
        "splits within",
        moved(
            splits("train", "test"),
            ("p/train/images", "p/images/train"),
            ("p/train/masks", "p/masks/train"),
            ("p/test/images", "p/images/test"),
            ("p/test/masks", "p/masks/test"),
        ),
        base=2 * BASE,
        path="p",
        split={"by": "predefined"},
        on_leak="warn",
    ),
    read(
        "masks in colours",
        PAINTED,
        base=[(colour, '["ground", "thing"]') for colour, _ in BASE],
        path="p",
        colors=COLOURS,
    ),
    read("grey saved as RGB", SOUND | {"p/masks/03.png": mask(mode="RGB")}),
    read("table of paths", SOUND | {"t.csv": TABLE.encode()}, path="t.csv"),
    read("hidden files", SOUND | {"p/images/.x.png": b"", "p/masks/.DS_Store": b""}),
]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


CASES += [
    one("mask that is a pipe", pipe, "the file cannot be read (a pipe or a device)"),
    one("mask that leads nowhere", nowhere, "no such file"),
    one("mask that is a folder", lambda path: path.mkdir(), "the file cannot be read"),
]
