"""Pictures that are no independent ones: frames of a video, or a series of one scene, told by names and likeness.

In: rows with `image` and `print`, and `Data`. Out: sentences. Look-alikes are searched for by the leak guard; where all
neighbours are alike it takes them for different pictures, and rightly, but what is dealt at random is no test then.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import numpy as np

from hfft.errors import listed
from hfft.measures import percent
from hfft.perceptual import PRINT
from hfft.recipe import Data
from hfft.records import SPLITS

ALIKE = 0.8  # share of neighbours more alike than two at random: 0.5 in unrelated photos, 0.94 of a frame a second
FEW = 20  # neighbours, below which that share says little
DRAWS = 5  # random partners of each picture
PATTERNS = ("^(.*)_", "^(.*)-")  # what a person may type, the simplest first
FOLDER = "([^/]+)/[^/]+$"  # a folder for each video


def told(rows: datasets.Dataset, data: Data) -> tuple[str, ...]:
    """What should be known of rows that are dealt without their groups; nothing where they have some."""
    if "group" in rows.column_names or not len(rows):
        return ()
    paths = [Path(image["path"] or "") for image in rows["image"][:]]
    share, pairs = likeness(paths, rows["print"][:])
    if pairs < FEW or share < ALIKE:
        return ()
    pattern, groups = _guess(paths)
    found = []
    places = rows["split"][:] if "split" in rows.column_names else ["train"] * len(rows)
    if len(set(places)) < 3:
        typed = f"{pattern!r} ({len(set(groups))} groups: {listed(sorted(set(groups)), 4)})" if pattern else "REGEX"
        by = "" if data.split.by == "predefined" else "data.split.by=group and "
        found.append(
            f"pictures whose file names follow each other look alike (of {pairs:,} neighbours, {percent(share)} are "
            "more alike than two at random): frames of a video, or series of one scene. Dealt at random, test holds "
            f"neighbours of what is trained on, and its scores come out too good. Type {by}data.group_pattern={typed}"
        )
    found += _straddling(groups, places, pattern) if pattern else []
    return tuple(found)


def likeness(paths: Sequence[Path], prints: Sequence[bytes]) -> tuple[float, int]:
    """(share of neighbours that are more alike than two pictures drawn at random, neighbours).

    Neighbours are pictures of one folder whose names differ in their last number alone and follow each other. Alike is
    the correlation of grey thumbnails. The share is the probability that a neighbour is nearer than any other picture
    (the area under the ROC curve), so 0.5 where the order of names says nothing.
    """
    pairs = np.array(list(_neighbours(paths)), dtype=np.int64).reshape(-1, 2)
    if len(pairs) < FEW:
        return 0.5, len(pairs)
    grey = np.frombuffer(b"".join(prints), dtype=PRINT)["grey"].reshape(len(prints), -1).astype(np.float32)
    grey -= grey.mean(axis=1, keepdims=True)
    grey /= np.maximum(np.sqrt((grey**2).sum(axis=1, keepdims=True)), 1e-6)
    near = (grey[pairs[:, 0]] * grey[pairs[:, 1]]).sum(axis=1)
    draws = np.random.default_rng(0)
    others = [(grey[pairs[:, 0]] * grey[draws.permutation(len(grey))[: len(pairs)]]).sum(axis=1) for _ in range(DRAWS)]
    return float(np.mean([near > other for other in others])), len(pairs)


def _neighbours(paths: Sequence[Path]) -> Iterator[tuple[int, int]]:
    series: dict[tuple[Path, str], list[tuple[int, int]]] = defaultdict(list)
    for row, path in enumerate(paths):
        if match := re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem):
            series[path.parent, f"{match[1]}*{match[3]}"].append((int(match[2]), row))
    for members in series.values():
        ordered = [row for _, row in sorted(members)]
        yield from itertools.pairwise(ordered)


def _guess(paths: Sequence[Path]) -> tuple[str | None, list[str]]:
    """(a pattern that parts the files into series, the series of each); None where none of the simple ones does."""
    names = [path.name for path in paths]
    for pattern, told in [*((pattern, names) for pattern in PATTERNS), (FOLDER, [path.as_posix() for path in paths])]:
        found = [re.search(pattern, name) for name in told]
        groups = [match.group(1) for match in found if match]
        if len(groups) == len(names) and 1 < len(set(groups)) <= len(names) / 3:
            return pattern, groups
    return None, []


def _straddling(groups: Sequence[str], places: Sequence[str], pattern: str | None) -> list[str]:
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for group, place in zip(groups, places, strict=True):
        held[group][place] += 1
    both = {name: count for name, count in sorted(held.items()) if len(count) > 1}
    if not both:
        return []
    shown = listed((f"{name} ({_counts(count)})" for name, count in both.items()), 4)
    many = "a series of pictures lies" if len(both) == 1 else f"{len(both)} series of pictures lie"
    return [
        f"{many} on both sides of the data's own splits: {shown}. Type data.group_pattern={pattern!r} to leave theirs "
        "out of the earlier split, and data.on_leak=warn with it to keep them and see the scores with and without"
    ]


def _counts(count: Counter[str]) -> str:
    return ", ".join(f"{count[name]:,} in {name}" for name in SPLITS if count[name])
