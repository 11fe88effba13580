"""Whether fast is as good: the same rows by the usual way and by hfft, over several seeds, test answers row by row.

    python benchmarks/same_score.py tweets --epochs 2 --seeds 3
    python benchmarks/same_score.py FOLDER --epochs 5           # train.csv and test.csv: a text and a label
    python benchmarks/same_score.py CIFAR10 --epochs 2          # train.parquet and test.parquet: see ways/data.py
    python benchmarks/same_score.py tweets --seeds 1 --first 1 --keep FOLDER    # then all of them, from what is kept

Texts: `run_classification.py`'s hyper-parameters, batches padded to their longest row and not to 128 (what is masked
changes no score, only the time). Pictures: the tutorial's loop. Each against hfft, and hfft with `speed:` keys. Test
rows are looked at once for each seed and way; nothing is chosen by them.

The interval of the mean difference is a bootstrap over test rows, drawn alike for all seeds and ways, so that it says
what other rows could have given and not what other seeds could; the differences of each seed are printed beside it.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score
from speed import IMAGES, LIGHTER, SMALL_FIRST, started

sys.path.insert(0, str(Path(__file__).parent / "ways"))
DRAWS, MARGIN = 2000, 0.01
TEXTS = {
    "run_classification.py way": ["text_trainer.py", "--dynamic"],
    "hfft": ["hfft_way.py"],
    "hfft with speed:": ["hfft_way.py", "--set", *LIGHTER],
}
PICTURES = {name: IMAGES[name] for name in ("tutorial loop", "hfft")}
PICTURES |= {"hfft with speed:": ["hfft_way.py", "--set", *SMALL_FIRST]}


def dealt(source: Path, folder: Path, seed: int = 0) -> Path:
    """train.csv, a sixth of which becomes validation.csv, and test.csv, as all ways read them."""
    folder.mkdir(parents=True)
    rows = {}
    for name in ("train", "test"):
        with (source / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            first, *found = [tuple(row) for row in csv.reader(file)]
        rows[name] = found if first[0] == "text" else [(text, label) for label, text in found]
    random.Random(seed).shuffle(rows["train"])
    held = len(rows["train"]) // 7
    rows |= {"validation": rows["train"][:held], "train": rows["train"][held:]}
    for name, part in rows.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *part])
    return folder


def answers(words: list[str], data: Path, epochs: int, seed: int, kept: Path) -> dict[str, Any]:
    """What a whole job found, now or when it was kept. Raises SystemExit where it did not end well."""
    place = kept.absolute() / f"{words[0]}_{len(words)}_{epochs}_{seed}.json"
    if place.is_file():
        return json.loads(place.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    process = started(words, [str(data), "--job", str(place), "--epochs", str(epochs), "--seed", str(seed)])
    process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}; run it alone to see why")
    found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return found


def scores(made: dict[str, Any], truth: np.ndarray, draws: np.ndarray) -> tuple[float, np.ndarray]:
    """(macro-F1, the same of each draw of rows)."""
    classes, names = np.unique(truth), np.array(made["names"])
    ids = {name: place for place, name in enumerate(classes)}
    wanted = np.array([ids[name] for name in truth])
    given = np.array([ids.get(name, -1) for name in names[made["predicted"]]])
    whole = float(f1_score(wanted, given, average="macro", labels=range(len(classes)), zero_division=0))
    return whole, np.array([_macro(wanted[rows], given[rows], len(classes)) for rows in draws])


def _macro(wanted: np.ndarray, given: np.ndarray, classes: int) -> float:
    hits = np.bincount(wanted[wanted == given], minlength=classes)
    both = np.bincount(wanted, minlength=classes) + np.bincount(given[given >= 0], minlength=classes)
    return float(np.mean(2 * hits[both > 0] / both[both > 0]))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("source")
    words.add_argument("--epochs", type=int, default=2)
    words.add_argument("--seeds", type=int, default=2)
    words.add_argument("--first", type=int, default=0, help="the first of the seeds")
    words.add_argument("--train", type=int, default=1500, help="pictures to train on")
    words.add_argument("--test", type=int, help="rows to test on: 4,000 tweets, 1,000 pictures")
    words.add_argument("--keep", type=Path, help="a folder for answers of these very rows and this build of hfft")
    words.add_argument("--ways", nargs="*", help="some of them; the first is what the others are held against")
    asked = words.parse_args()
    import data

    with tempfile.TemporaryDirectory() as room:
        source, folder = Path(asked.source), Path(room) / "data"
        (asked.keep or folder.parent).mkdir(parents=True, exist_ok=True)
        pictures = (source / "train.parquet").is_file()
        if pictures:
            data.pictures(folder, asked.train, asked.test or 1000, source)
            labels = [path.parent.name for path in sorted((folder / "test").glob("*/*.jpg"))]
        else:
            data.tweets(folder, 6000, asked.test or 4000) if asked.source == "tweets" else dealt(source, folder)
            labels = [label for _, label in data.table(folder / "test.csv")]
        truth = np.array(labels)
        draws = np.random.default_rng(0).integers(0, len(truth), (DRAWS, len(truth)))
        found: dict[str, list[tuple[float, np.ndarray]]] = {}
        for seed in range(asked.first, asked.first + asked.seeds):
            for name, way in (PICTURES if pictures else TEXTS).items():
                if asked.ways and name not in asked.ways:
                    continue
                told = answers(way, folder, asked.epochs, seed, asked.keep or Path(room))
                made = scores(told, truth, draws)
                found.setdefault(name, []).append(made)
                print(f"seed {seed}: {name} {made[0]:.4f}, {told['peak']:,.0f} MB", file=sys.stderr, flush=True)
    print(f"\n{source.name}, {asked.epochs} epochs, {asked.seeds} seeds, n = {len(truth):,} test rows of each\n")
    print("| way | test macro-F1, each seed | minus the first, each seed | mean [95 %] | worse by less than a point |")
    print("|---|---|---|---|---|")
    base = next(iter(found.values()))
    for name, made in found.items():
        each = [own[0] - other[0] for own, other in zip(made, base, strict=True)]
        drawn = np.mean([own[1] - other[1] for own, other in zip(made, base, strict=True)], axis=0)
        low, high = np.quantile(drawn, [0.025, 0.975])
        verdict = "" if made is base else "yes" if low > -MARGIN else "no" if high < -MARGIN else "too few rows to tell"
        print(
            f"| {name} | {', '.join(f'{own[0]:.3f}' for own in made)} | {', '.join(f'{one:+.3f}' for one in each)} | "
            f"{np.mean(each):+.3f} [{low:+.3f}, {high:+.3f}] | {verdict} |"
        )


if __name__ == "__main__":
    main()
