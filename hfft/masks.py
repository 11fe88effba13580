"""Masks as data: which class each pixel of a picture has, whatever file that was drawn in.

In: a mask as people store it (palette, grey of 1 to 32 bits, colours) and a `Legend` that says what its values mean.
Out: class indices. Knows nothing of tables and models.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from hfft import hues, pictures
from hfft.errors import counted, listed
from hfft.pictures import UnfitError

IGNORED = -100  # counts nowhere: what losses, too, leave out
UNKNOWN = -1  # a value that the legend does not have
MOST = 32_767  # classes: what int16 can count
COLOURS, IDS = 1 << 24, 1 << 16
LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")
PACKED = ("jpeg", "tiff_jpeg", "webp")  # what a TIFF may hold, and nearly always with loss
STEP = {2: 85, 4: 17}  # bits of a grey PNG or TIFF → what Pillow multiplies its values by, so that the highest is 255


@dataclass(frozen=True)
class Legend:
    """names: the classes, in id order. places: value of a mask → place in `names`, or IGNORED.

    colours: values are colours as `hues.codes` counts them, not ids.
    """

    names: tuple[str, ...]
    places: Mapping[int, int]
    colours: bool = False

    @cached_property
    def table(self) -> np.ndarray:
        """Place of each value, UNKNOWN where there is none: int16, one entry for each possible value."""
        out = np.full(COLOURS if self.colours else IDS, UNKNOWN, dtype=np.int16)
        for value, place in self.places.items():
            if 0 <= value < len(out):
                out[value] = place
        return out

    def read(self, source: dict[str, Any]) -> np.ndarray:
        """Class indices of {"bytes": …, "path": …}, int16 (height, width), upright, IGNORED where nothing counts.

        Raises ValueError that says what is wrong with the file, with its ids and colours as they are stored.
        """
        given = values(source, self.colours)
        inside = given if given.min() >= 0 and given.max() < len(self.table) else np.clip(given, 0, len(self.table) - 1)
        out = self.table[inside]
        if inside is not given:
            out[inside != given] = UNKNOWN
        if (out == UNKNOWN).any():
            raise UnfitError(self._unknown(given[out == UNKNOWN]))
        return out

    def _unknown(self, given: np.ndarray) -> str:
        found, pixels = np.unique(given, return_counts=True)
        order = np.argsort(-pixels, kind="stable")
        if self.colours:
            told = listed((f"{hues.shown(int(found[i]))} ({counted(int(pixels[i]), 'pixel')})" for i in order), 4)
            return f"data.colors has no class for the colour{'s' * (len(found) > 1)} {told} of this mask"
        told = listed((f"{found[i]} ({counted(int(pixels[i]), 'pixel')})" for i in order), 4)
        known = sorted(value for value, place in self.places.items() if place != IGNORED)
        ignored = sorted(value for value, place in self.places.items() if place == IGNORED)
        ids = f"{known[0]} to {known[-1]}" if known[-1] - known[0] == len(known) - 1 else listed(known)
        none = f", and {listed(ignored)} counts nowhere" if ignored else ""
        which = f"ids {told} are" if len(found) > 1 else f"id {told} is"
        typed = f"; name it in data.classes, or type data.ignore={found[0]}" if len(found) == 1 and not ignored else ""
        return f"{which} of no class: the {len(self.names)} classes have {ids}{none}{typed}"


def values(source: dict[str, Any], colours: bool = False) -> np.ndarray:
    """What a mask holds, as it is stored: whole numbers (height, width), upright.

    colours: as colours (`hues.codes`), also of a palette or of grey. Otherwise as ids: a palette's indices, or grey
    values; RGB with three equal channels is grey. Raises ValueError with a reason a person can act on.
    """
    return pictures.decoded(source, lambda opened, data: _values(opened, data, colours), "mask")


def ids(source: dict[str, Any]) -> np.ndarray:
    """Class indices of a mask that `encode` made: int16 (height, width), IGNORED where nothing counts."""
    with Image.open(io.BytesIO(source["bytes"])) as opened:
        wide = opened.mode != "L"
        stored = np.asarray(opened)
    out = stored.astype(np.int16) if not wide else np.where(stored == 65535, 0, stored).astype(np.int16)
    out[stored == (65535 if wide else 255)] = IGNORED
    return out


def encode(indices: np.ndarray, classes: int = 0) -> bytes:
    """Class indices, int (height, width), as a grey PNG: 8 bits, or 16 where there are 255 classes or more.

    classes: how many there are; at least the highest index and one. IGNORED becomes 255, or 65535.
    """
    wide = max(classes, int(indices.max(initial=0)) + 1) >= 255
    plain = np.where(indices == IGNORED, 65535 if wide else 255, indices).astype(np.uint16 if wide else np.uint8)
    out = io.BytesIO()
    Image.fromarray(plain).save(out, "PNG", compress_level=3)
    return out.getvalue()


def digest(indices: np.ndarray, names: Sequence[str]) -> str:
    """What two masks share that say the same of every pixel, by the names of classes and not by their order."""
    held = sorted(np.unique(indices[indices >= 0]).tolist(), key=lambda place: names[place])
    place = np.full(len(names) + 1, len(held), dtype="<i2")  # the last entry is for pixels that count nowhere
    place[held] = np.arange(len(held))
    found = hashlib.blake2b(repr((indices.shape, [names[one] for one in held])).encode(), digest_size=16)
    found.update(place[np.where(indices < 0, -1, indices)].tobytes())
    return found.hexdigest()


def pixels(indices: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of each class, int64 (classes,), those that count nowhere in none."""
    return np.bincount(indices[indices >= 0], minlength=classes).astype(np.int64)


def _values(opened: Image.Image, data: bytes, colours: bool) -> np.ndarray:
    if kind := _lossy(opened, data):
        raise UnfitError(
            f"the mask is {'an' if kind[0] == 'A' else 'a'} {kind}, whose compression changes values; save masks as PNG"
        )
    # Pillow spreads 2 and 4 bits of grey over 0 to 255, and an id must stay what it is.
    step = STEP.get(_bits(opened, data), 1)
    image = _opaque(ImageOps.exif_transpose(opened))
    if colours:
        return _colours(image)
    if image.mode == "1":
        return np.asarray(image).astype(np.int32)
    if image.mode in ("L", "P"):
        return np.asarray(image).astype(np.int32) // step
    if image.mode.startswith("I") or image.mode == "F":
        return _whole(np.asarray(image))
    found = np.asarray(image.convert("RGB"))
    if (found == found[..., :1]).all():
        return found[..., 0].astype(np.int32)
    codes, counts = np.unique(_codes(found), return_counts=True)
    common = listed((hues.shown(int(codes[i])) for i in np.argsort(-counts, kind="stable")), 3)
    raise UnfitError(
        f"the mask is a picture in colours ({common}): say which class each one is, such as "
        f"data.colors={{road: '{hues.shown(int(codes[0]))}', car: '{hues.shown(int(codes[-1]))}'}}"
    )


def _lossy(opened: Image.Image, data: bytes) -> str:
    """What changes values when it is saved; "" for files that give back what was put in."""
    if opened.format in LOSSY:
        return "JPEG" if opened.format == "MPO" else str(opened.format)
    if opened.format == "TIFF" and (packed := opened.info.get("compression")) in PACKED:
        return f"TIFF with {'WebP' if packed == 'webp' else 'JPEG'} inside"
    # A WebP is RIFF chunks: its pixels are in VP8 where they lost something, and in VP8L where they did not.
    return "WebP with loss" if opened.format == "WEBP" and b"VP8L" not in _chunks(data) else ""


def _chunks(data: bytes) -> set[bytes]:
    """Names of the chunks of a RIFF file (four letters and a length, padded to an even number of bytes)."""
    found, place = set(), 12
    while place + 8 <= len(data):
        found.add(data[place : place + 4])
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    return found


def _bits(opened: Image.Image, data: bytes) -> int:
    """Bits of a grey pixel as it is stored; 0 where Pillow leaves values alone."""
    if opened.format == "PNG":
        return data[24] if data[25] == 0 else 0
    if opened.format == "TIFF" and opened.mode == "L":
        return int(opened.tag_v2.get(258, (8,))[0])  # type: ignore[attr-defined]
    return 0


def _opaque(image: Image.Image) -> Image.Image:
    """Without its alpha channel. Raises UnfitError where a pixel is transparent: its class is anybody's guess."""
    if image.mode not in ("LA", "PA", "RGBA", "La", "RGBa"):
        return image
    clear = int((np.asarray(image.getchannel("A" if "A" in image.getbands() else "a")) < 255).sum())
    if clear:
        raise UnfitError(f"{counted(clear, 'pixel')} of the mask are transparent; save it without an alpha channel")
    return image.convert({"LA": "L", "La": "L", "PA": "P"}.get(image.mode, "RGB"))


def _colours(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        raise UnfitError("the mask holds numbers of 16 bits or more, and no colours; leave data.colors out")
    return _codes(np.asarray(image.convert("RGB")))


def _codes(rgb: np.ndarray) -> np.ndarray:
    wide = rgb.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _whole(found: np.ndarray) -> np.ndarray:
    """Numbers of 16 or 32 bits, or floats that are whole."""
    if found.dtype.kind == "f" and not (np.isfinite(found).all() and (found == np.round(found)).all()):
        raise UnfitError("the mask holds fractions; expected a whole number for each pixel, the id of its class")
    return found.astype(np.int64)
