"""Images as data: class folders, rows of pixel numbers, and decoding one picture safely.

In: paths, bytes or numbers. Out: `datasets.Dataset` rows or RGB pictures. Knows nothing of models.
"""

from __future__ import annotations

import errno
import functools
import io
import math
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from hfft.errors import InputError, listed
from hfft.flattening import upright
from hfft.steering import on_one_line

if TYPE_CHECKING:  # imported by the two that make tables: `hfft predict` needs none, and it takes a second
    import datasets

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SPLIT_NAMES = {"train": "train", "training": "train", "test": "test"} | dict.fromkeys(
    ("validation", "val", "valid", "dev", "eval"), "validation"
)
# What Pillow may take a file for, whatever it is called. It knows forty formats more; one of them (EPS) hands the file
# to another program, and most are read by code that nobody has looked at for years.
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
CHANNELS = (1, 3, 4)
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF tag, and its values that turn a picture by 90 degrees

T = TypeVar("T")


class Header(NamedTuple):
    """Upright size in pixels, Pillow's mode, and whether there is more than one frame."""

    width: int
    height: int
    mode: str
    moving: bool


class UnfitError(ValueError):
    """What was decoded cannot be used; the message says why, and is told as it stands."""


def rgb(source: dict[str, Any]) -> Image.Image:
    """Decode {"bytes": …, "path": …} upright, as RGB, transparency on white, 16 bits scaled to 8, first frame.

    Raises ValueError with a reason a person can act on.
    """
    return decoded(source, lambda opened, data: upright(opened), "image")


def decoded(source: dict[str, Any], use: Callable[[Image.Image, bytes], T], what: str) -> T:
    """What `use` makes of the opened picture {"bytes": …, "path": …} and of its file's bytes. what: for the messages.

    Raises ValueError with a reason a person can act on: no such file, a pipe, too large, no picture, broken.
    """
    if source["bytes"] is None and not source["path"]:
        raise ValueError(f"the {what} is missing")
    try:
        data = source["bytes"] if source["bytes"] is not None else _bytes(Path(source["path"]))
    except FileNotFoundError as error:
        raise ValueError("no such file") from error
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError("no file has such a name") from error
    if not data:
        raise ValueError(f"the {what} is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=formats()) as opened:
            # Pillow itself only warns up to twice this limit; a 94 KiB file can hold 100 million pixels.
            if Image.MAX_IMAGE_PIXELS is not None and opened.width * opened.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            return use(opened, data)
    except UnfitError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise ValueError(f"the {what} is too large (more than {limit} million pixels)") from error
    except Image.UnidentifiedImageError as error:
        raise ValueError("the file is not an image") from error
    except Exception as error:  # damaged bytes make decoders raise nearly anything, such as struct.error
        raise ValueError(f"the {what} is broken ({' '.join(str(error).split())[:80]})") from error


def header(source: dict[str, Any]) -> Header:
    """What the first bytes of {"bytes": …, "path": …} say, the pixels not decoded. Raises OSError as Pillow does."""
    held = io.BytesIO(source["bytes"]) if source["bytes"] is not None else source["path"]
    with Image.open(held, formats=formats()) as opened:
        width, height = opened.size
        # Formats that keep EXIF at the end would have to be decoded for it; cameras write JPEG.
        if "exif" in opened.info and opened.getexif().get(ORIENTATION, 1) in SIDEWAYS:
            width, height = height, width
        return Header(width, height, opened.mode, bool(getattr(opened, "is_animated", False)))


@functools.cache
def formats() -> tuple[str, ...]:
    """FORMATS, as far as this Pillow was built with them."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _bytes(path: Path) -> bytes:
    """Reading a pipe would wait for ever, and a device may never end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "a pipe or a device")
    return path.read_bytes()


def thumbnail(image: Image.Image, side: int = 96) -> bytes:
    """A small PNG or JPEG, whichever fits the picture: tiny ones are enlarged without smoothing."""
    out = io.BytesIO()
    if max(image.size) <= side // 2:
        scale = side // max(image.size)
        image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(out, "PNG")
        return out.getvalue()
    small = image.copy()
    small.thumbnail((side, side))
    small.save(out, "JPEG", quality=85)
    return out.getvalue()


def at_most(image: Image.Image, side: int) -> Image.Image:
    """The picture with its shorter side brought down to `side`, or the very same where it is hardly larger."""
    shorter = min(image.size)
    if shorter <= 1.25 * side:
        return image
    size = (round(image.width * side / shorter), round(image.height * side / shorter))
    return image.resize(size, Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    """Every pixel kept; little time spent on making the file small."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def in_folders(root: Path) -> bool:
    """Does any folder in `root` hold a picture, at any depth?"""
    return any(_is_picture(path) for folder in folders(root) for path in folder.rglob("*"))


def from_folder(root: Path, predefined: bool) -> datasets.Dataset:
    """One class per folder, or with `predefined` root/SPLIT/CLASS. Adds the column `split` then.

    Listed here because `datasets` takes a class folder named `test` for a split and drops the other classes.
    """
    import datasets

    parts = folders(root)
    rows: list[dict[str, Any]] = []
    if predefined:
        for part in parts:
            if part.name.lower() not in SPLIT_NAMES:
                raise InputError(f"{part}: data.split.by is predefined: expected folders train, validation and test")
            rows += [row | {"split": SPLIT_NAMES[part.name.lower()]} for row in _classes(part)]
    else:
        if parts and all(p.name.lower() in SPLIT_NAMES for p in parts) and not any(_files(p, "*") for p in parts):
            held = listed(p.name for p in parts)
            raise InputError(f"{root} holds {held}: type data.split.by=predefined to use these folders as splits")
        rows = list(_classes(root))
    if not rows:
        raise InputError(f"{root}: no images found; expected {root.name}/CLASS/picture.jpg ({listed(ENDINGS)})")
    for row in rows:
        named(row["image"]["path"])
    texts = ["label", "split"] if predefined else ["label"]
    features = {"image": datasets.Image(decode=False)} | {name: datasets.Value("string") for name in texts}
    return datasets.Dataset.from_list(rows, features=datasets.Features(features))


def from_numbers(table: datasets.Dataset, shape: tuple[int, ...], label: str, shown: str) -> datasets.Dataset:
    """Rows of pixel numbers as lossless images under `image`; every column but `label` is a pixel, row by row.

    shape: (height, width) or (height, width, channels). Raises InputError when count or range do not fit.
    """
    import datasets

    if len(shape) == 3 and shape[2] not in CHANNELS:
        raise InputError(f"data.pixels {list(shape)}: expected 1 (grey), 3 (RGB) or 4 (RGBA) channels, got {shape[2]}")
    columns = [name for name in table.column_names if name != label]
    if len(columns) != math.prod(shape):
        raise InputError(
            f"{shown}: data.pixels {list(shape)} needs {math.prod(shape)} columns beside {label!r}, "
            f"it has {len(columns)}"
        )
    values = np.column_stack([column.to_numpy() for column in table.with_format("arrow")[:].select(columns).columns])
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise InputError(f"{shown}: expected numbers from 0 to 255 in the {len(columns)} pixel columns")
    if (values % 1).any():
        raise InputError(
            f"{shown}: the pixel columns hold fractions such as {values[values % 1 > 0][0]:g}; scale them to 0 … 255"
        )
    size = shape[:2] if shape[2:] == (1,) else shape  # Pillow knows grey pictures without a third axis only
    pictures = [Image.fromarray(row) for row in values.astype(np.uint8).reshape(-1, *size)]
    encoded = [datasets.Image().encode_example(picture) for picture in pictures]
    kind = datasets.Features({"image": datasets.Image(decode=False)})
    return datasets.Dataset.from_dict({"image": encoded}, features=kind)


def _classes(root: Path) -> Iterable[dict[str, Any]]:
    for folder in folders(root):
        for path in _files(folder, "**/*"):
            yield {"image": {"path": str(path), "bytes": None}, "label": folder.name}


def named(path: Path | str) -> None:
    """Raise InputError for a name that is not UTF-8: nothing could be said of it, nor written."""
    name = str(path)
    if not name.isprintable() and name.encode("utf-8", "replace").decode() != name:
        raise InputError(f"{on_one_line(name)}: the name of this picture or folder is not UTF-8; rename it")


def folders(root: Path) -> list[Path]:
    """Those in it, hidden ones left out."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if _is_picture(path))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()
