"""Folders of pictures and masks: which mask belongs to which picture.

In: `Data`. Out: pairs of paths by stem, their split where folders say it, and the files that have no partner. It opens
no picture and must not know what masks mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hfft import pictures, references
from hfft.errors import InputError, listed, meant
from hfft.mask_classes import FILE
from hfft.pictures import ENDINGS, SPLIT_NAMES
from hfft.recipe import Data
from hfft.sources import TABLES

IMAGES: tuple[str, ...] = ("images", "image", "imgs", "img", "jpegimages", "img_dir", "leftimg8bit")
IMAGES += ("pictures", "photos", "frames")
MASKS: tuple[str, ...] = ("masks", "mask", "labels", "label", "annotations", "annotation", "segmentationclass")
MASKS += ("segmentation", "segmentations", "ann_dir", "gtfine", "gt", "ground_truth", "groundtruth", "targets")
OF_IMAGES = ("_leftImg8bit", "_image", "_img", "_rgb", "_sat")
OF_MASKS: tuple[str, ...] = ("_gtFine_labelTrainIds", "_gtFine_labelIds", "_labelTrainIds", "_labelIds", "_label")
OF_MASKS += ("_labels", "_lab", "_L", "_mask", "_masks", "_seg", "_segmentation", "_annotation", "_gt", "_GT")
OF_MASKS += ("_groundtruth",)
# What Cityscapes keeps beside the mask: the same in colours, and which object each pixel is of.
BESIDE = ("_gtFine_color", "_gtFine_instanceIds")
EXPECTED = "expected images/NAME.jpg and masks/NAME.png in it"


@dataclass(frozen=True)
class Pair:
    """A picture and its mask; one of them is None where it has no partner. split: where a folder says it."""

    image: Path | None
    mask: Path | None
    split: str | None = None


@dataclass(frozen=True)
class Found:
    """pairs: in the order of names. roots: the folders that were looked into, the nearest to the pictures first."""

    pairs: list[Pair]
    roots: list[Path]


def find(data: Data) -> Found | None:
    """All pairs of the folder or folders that the recipe names; None where it names something else.

    Raises InputError for a folder in which no pairs can be made out.
    """
    if isinstance(data.data_files, dict):
        return _of_parts(data)
    named = data.data_files if data.path == "imagefolder" else data.path if data.data_files is None else None
    if not isinstance(named, str):
        return None
    root = Path(references.resolve(named)).expanduser()
    if not references.is_folder(root):
        if data.path == "imagefolder":
            raise InputError(f"{named}: no such folder (current folder: {Path.cwd()})")
        return None
    return _of_root(root, data)


def _of_parts(data: Data) -> Found | None:
    """data_files: {train: FOLDER, …}; each holds pictures and masks."""
    files = data.data_files if isinstance(data.data_files, dict) else {}
    folders = {
        split: Path(references.resolve(name)).expanduser() for split, name in files.items() if isinstance(name, str)
    }
    if not any(references.is_folder(path) for path in folders.values()):
        return None
    pairs: list[Pair] = []
    for split, given in files.items():
        if split not in folders or not references.is_folder(folders[split]):
            raise InputError(f"data.data_files.{split}: {given}: expected a folder, as the other splits have")
        if data.split.by == "predefined" and split.lower() not in SPLIT_NAMES:
            raise InputError(f"data.data_files: no split {split!r}; expected train, validation and test")
        both = _both(folders[split], data)
        if both is None:
            raise InputError(f"{folders[split]}: {EXPECTED}; or name its folders: {_named()}")
        pairs += _paired(*both, SPLIT_NAMES.get(split.lower()))
    roots = list(dict.fromkeys([*folders.values(), *(path.parent for path in folders.values())]))
    return Found(pairs, roots)


def _of_root(root: Path, data: Data) -> Found | None:
    official = data.split.by == "predefined"
    inside = {
        path: SPLIT_NAMES[path.name.lower()] for path in pictures.folders(root) if path.name.lower() in SPLIT_NAMES
    }
    above = {path: both for path in inside if (both := _both(path, data))}
    if lone := [path for path in inside if above and path not in above]:
        raise InputError(
            f"{listed(map(str, lone))}: {EXPECTED}, as in {next(iter(above))}; or leave it out by naming the others: "
            f"data.data_files={{train: {next(iter(above))}, …}}, or name its folders: {_named()}"
        )
    if above:
        _splits_wanted(root, (path.name for path in above), official)
        pairs = [pair for path, both in above.items() for pair in _paired(*both, inside[path])]
        return Found(pairs, [root, *above])
    both = _both(root, data)
    if both is None:
        if any(path.suffix.lower() in TABLES and path.name != FILE for path in root.rglob("*")):
            return None
        held = listed(path.name for path in pictures.folders(root)) or "no folder"
        raise InputError(f"{root}: {EXPECTED}, or a table of paths; it holds {held}. To name its folders: {_named()}")
    below = [path for path in pictures.folders(both[0]) if path.name.lower() in SPLIT_NAMES]
    if below and len(below) == len(pictures.folders(both[0])) and not _drawn(both[0], "*"):
        _splits_wanted(both[0], (path.name for path in below), official)
        pairs = []
        for path in below:
            other = next((p for p in pictures.folders(both[1]) if _same_split(p, path)), both[1] / path.name)
            pairs += _paired(path, other, SPLIT_NAMES[path.name.lower()])
        return Found(pairs, [root, *both])
    if official:
        raise InputError(
            f"{root}: data.split.by is predefined: expected folders train, validation and test, with images and masks "
            "in each"
        )
    above_it = [root.parent] if root.name.lower() in SPLIT_NAMES else []
    return Found(_paired(*both, None), [root, *both, *above_it])


def _same_split(one: Path, other: Path) -> bool:
    return SPLIT_NAMES.get(one.name.lower()) == SPLIT_NAMES[other.name.lower()]


def _splits_wanted(root: Path, names: Iterable[str], official: bool) -> None:
    if not official:
        raise InputError(
            f"{root} holds {listed(names)}: type data.split.by=predefined to use these folders as splits, or name one "
            "folder of images and masks"
        )


def _both(root: Path, data: Data) -> tuple[Path, Path] | None:
    """(folder of pictures, folder of masks) in `root`; None where there are none. Raises InputError for several."""
    found: list[Path] = []
    for role, known in (("image", IMAGES), ("mask", MASKS)):
        if role in data.columns:
            path = root / data.columns[role]
            if not references.is_folder(path):
                _refuse_missing(root, role, data.columns[role])
                return None
            found.append(path)
            continue
        held = [path for path in pictures.folders(root) if path.name.lower() in known]
        if len(held) > 1:
            raise InputError(
                f"{root}: {listed(p.name for p in held)} may each hold the {role}s; type data.columns.{role}=NAME"
            )
        found += held
    return (found[0], found[1]) if len(found) == 2 else None


def _refuse_missing(root: Path, role: str, name: str) -> None:
    """Raise InputError where `root` has other folders; one that has none is no folder of pictures."""
    if held := [path.name for path in pictures.folders(root)]:
        raise InputError(
            f"{root}: no folder {name!r}{meant(name, held)}, which data.columns.{role} names; it has {listed(held)}"
        )


def _named() -> str:
    return "data.columns={image: FOLDER, mask: FOLDER}"


def _paired(images: Path, masks: Path, split: str | None) -> list[Pair]:
    """Pictures and masks by stem, below both folders; those without a partner, too."""
    photos, drawn = _by_stem(images), _by_stem(masks) if references.is_folder(masks) else {}
    drawn = {stem: path for stem, path in drawn.items() if not stem.endswith(BESIDE)}
    for folder, held, what in ((images, photos, "images"), (masks, drawn, "masks")):
        if not held:
            raise InputError(f"{folder}: no {what} found in it ({listed(ENDINGS)})")
    pairs: list[Pair] = []
    taken: dict[str, str] = {}
    for stem, path in photos.items():
        bases = [stem, *(stem.removesuffix(end) for end in OF_IMAGES if stem.endswith(end))]
        # The plain name first: x_L.png may be the mask of x_L.jpg.
        names = [base + end for base in bases for end in ("", *OF_MASKS) if base + end in drawn]
        if len(names) > 1:
            raise InputError(f"{path}: {drawn[names[0]]} and {drawn[names[1]]} may each be its mask; move one away")
        if names and names[0] in taken:
            raise InputError(
                f"{drawn[names[0]]} may be the mask of {photos[taken[names[0]]]} and of {path}; rename one"
            )
        taken |= dict.fromkeys(names, stem)
        pairs.append(Pair(path, drawn[names[0]] if names else None, split))
    return pairs + [Pair(None, path, split) for stem, path in drawn.items() if stem not in taken]


def _by_stem(folder: Path) -> dict[str, Path]:
    """Path below the folder without its ending → the picture."""
    out: dict[str, Path] = {}
    for path in _drawn(folder, "**/*"):
        pictures.named(path)
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if out.setdefault(stem, path) != path:
            raise InputError(f"{out[stem]} and {path} have one name; which of them is meant? Move one away")
    return out


def _drawn(root: Path, pattern: str) -> list[Path]:
    """What has the name of a picture; links that lead nowhere and pipes, too: they are told as rows."""
    return sorted(p for p in root.glob(pattern) if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
