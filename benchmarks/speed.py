"""hfft beside other ways of doing the same work, on this machine, in one run: `make bench`. Tables as Markdown.

    python benchmarks/speed.py                          # start, text, images, jobs: some 40 minutes on 2 cores
    python benchmarks/speed.py text images --turns 3    # parts; besides: speed_jobs (17 minutes), image_jobs (8),
    python benchmarks/speed.py frozen_job --files 600   # and a backbone that stays as it is (7)
    python benchmarks/speed.py jobs --rows 6000 --epochs 2
    python benchmarks/speed.py text --texts FOLDER      # train.csv, validation.csv and test.csv: text, label

The other ways are in benchmarks/ways/, each named for what it imitates; every one is a process of its own that waits
for its turn (ways/pace.py), and turns go round, forwards and backwards, so that what else the machine does falls on
all. The first turn of each warms up and does not count. Ratios are of one round's neighbours; medians over rounds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "ways"))
MARK = "@@"
PEERS = os.environ.get("HFFT_PEERS", "")  # a Python that has the peers installed beside hfft's own libraries
LIGHTER = ["adapt.freeze=2", "speed.dropout=0"]  # embeddings and two of six layers stay as they are
SMALL_FIRST = ["adapt.freeze=3", "speed.image_sizes=auto"]
TEXT = {
    "run_classification.py way": ["text_trainer.py"],
    "nlp_example.py way": ["text_loop.py"],
    "simpletransformers": ["text_simpletransformers.py"],
    "bare loop, the same math": ["text_limit.py"],
    "hfft": ["hfft_way.py"],
    "hfft with speed:": ["hfft_way.py", "--set", *LIGHTER],
}
IMAGES = {
    "tutorial loop": ["image_loop.py"],
    "run_image_classification.py way": ["image_trainer.py"],
    "timm's loader and loop": ["image_timm.py"],
    "fastai": ["image_fastai.py"],
    "bare loop, the same math": ["image_limit.py"],
    "hfft": ["hfft_way.py"],
    "hfft with speed:": ["hfft_way.py", "--set", "adapt.freeze=3"],  # sizes change over a run, not in a turn,
}
INSTALLED = ("text_simpletransformers.py", "image_fastai.py")  # the packages themselves
JOBS = ("run_classification.py way", "hfft")
IMAGE_JOBS = {name: IMAGES[name] for name in ("tutorial loop", "hfft")}
IMAGE_JOBS |= {"hfft with speed:": ["hfft_way.py", "--set", *SMALL_FIRST]}
FROZEN = {"hfft, frozen backbone": ["hfft_way.py", "--set", "adapt.freeze=backbone", "train.learning_rate=1e-2"]}
FROZEN_JOB = {"tutorial loop": IMAGES["tutorial loop"]} | FROZEN
IMAGE_JOBS |= FROZEN


RATIOS: list[dict[str, Any]] = []  # for the figure


@dataclass
class Way:
    """name. seconds per row of each turn. peak: of its process, MB."""

    name: str
    process: subprocess.Popen[str]
    turns: list[float] = field(default_factory=list)
    peak: float = 0.0

    def turn(self, counted: bool) -> None:
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        facts = self.told()
        if counted:
            self.turns.append(facts["seconds"] / facts["rows"])

    def told(self) -> dict[str, Any]:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))  # type: ignore[no-any-return]
        raise SystemExit(f"{self.name} ended with {self.process.wait()}; run it alone to see why")

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("stop\n")
        self.process.stdin.flush()
        self.peak = self.told()["peak"]
        self.process.wait()


def started(words: list[str], more: list[str]) -> subprocess.Popen[str]:
    script, *options = words
    command = [PEERS if script in INSTALLED else sys.executable, str(HERE / "ways" / script), *more, *options]
    environment = os.environ | {"PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE / 'ways'}", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def steps(title: str, ways: dict[str, list[str]], data: Path, rows: int, turns: int) -> None:
    """Training throughput of each way, in turn."""
    found = []
    for name, words in ways.items():
        if words[0] in INSTALLED and not PEERS:
            print(f"{name}: left out, not installed; `make bench` installs it")
            continue
        way = Way(name, started(words, [str(data), "--rows", str(rows)]))
        way.turn(counted=False)  # loading and warming up, one after the other
        found.append(way)
    for turn in range(turns):
        for way in found if turn % 2 == 0 else found[::-1]:
            way.turn(counted=True)
    for way in found:
        way.end()
    print(f"\n## {title}: {turns} turns of {rows} rows\n")
    first = found[0]
    print(f"| way | rows/s, median | ratio to the {first.name}, median [lowest, highest] | peak MB |")
    print("|---|---|---|---|")
    for way in found:
        ratios = [base / own for base, own in zip(first.turns, way.turns, strict=True)]
        middle = statistics.median(ratios)
        spread = f"{middle:.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        RATIOS.append({"part": title, "way": way.name, "ratio": middle, "low": min(ratios), "high": max(ratios)})
        print(f"| {way.name} | {1 / statistics.median(way.turns):.1f} | {spread} | {way.peak:,.0f} |", flush=True)


def jobs(title: str, ways: dict[str, list[str]], data: Path, epochs: int, labels: list[str]) -> None:
    """From start to test score, one process after the other, and the score with its paired difference."""
    print(f"\n## {title}, {epochs} epochs, start to test score\n")
    print("Of hfft, `all` is with its probes, baselines and parity check, which the others do not have.\n")
    mine = next(name for name in ways if name.startswith("hfft"))
    print(f"| way | seconds | ratio | training s | ratio | all | peak MB | test macro-F1 | {mine} minus it |")
    print("|---|---|---|---|---|---|---|---|---|")
    found = {}
    for name, words in ways.items():
        answers = data.parent / f"{words[0]}_{len(RATIOS)}_{len(found)}.json"  # not among the rows, nor of another part
        began = time.perf_counter()
        process = started(words, [str(data), "--job", str(answers), "--epochs", str(epochs)])
        process.communicate()
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"{name} ended with {process.returncode}; run it alone to see why")
        told = json.loads(answers.read_text(encoding="utf-8"))
        found[name] = told | {"seconds": told["scored"] or seconds, "all": seconds}
    first = next(iter(found.values()))
    for name, facts in found.items():
        score, paired = compared(facts, found[mine], labels)
        ratio, training = first["seconds"] / facts["seconds"], first["training"] / facts["training"]
        RATIOS.append({"part": title, "way": name, "ratio": ratio, "low": ratio, "high": ratio})
        print(
            f"| {name} | {facts['seconds']:.0f} | {ratio:.2f} | {facts['training']:.0f} | {training:.2f} | "
            f"{facts['all']:.0f} | {facts['peak']:,.0f} | {score} | {'' if name == mine else paired} |",
            flush=True,
        )


def compared(facts: dict[str, Any], own: dict[str, Any], labels: list[str]) -> tuple[str, str]:
    """Macro-F1 with its interval, and hfft's own paired difference to it."""
    import numpy as np

    from hfft import comparing, scoring
    from hfft.records import Predictions

    def predictions(made: dict[str, Any]) -> Predictions:
        names = tuple(made["names"])
        truth = np.array([names.index(label) for label in labels])
        answered = np.array(made["predicted"])
        scores = np.eye(len(names), dtype=np.float32)[answered]
        return Predictions(np.array([str(n) for n in range(len(truth))]), truth, answered, scores, names)

    score = scoring.score(predictions(facts), ["f1"])["f1_macro"]
    (found,) = comparing.compare([("other", predictions(facts)), ("hfft", predictions(own))], ["f1"])
    difference = found.differences["f1_macro"]
    return (
        f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}], n {score.n:,}",
        f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]",
    )


def start(turns: int) -> None:
    """Seconds of `hfft --help`, and of the imports that every training has."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "hfft --help": [sys.executable, "-m", "hfft", "--help"],
        "import torch and Trainer": [sys.executable, "-c", "import torch; from transformers import Trainer"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            taken[name].append(time.perf_counter() - began)
    print(f"\n## Start: {turns} turns\n\n| command | seconds, median [lowest, highest] |\n|---|---|")
    for name, found in taken.items():
        print(f"| {name} | {statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}] |", flush=True)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("parts", nargs="*", default=["start", "text", "images", "jobs"])
    words.add_argument("--turns", type=int, default=3)
    words.add_argument("--rows", type=int, default=6000, help="training rows of the whole jobs")
    words.add_argument("--epochs", type=int, default=2, help="of the whole jobs of texts; of pictures there are 5")
    words.add_argument("--files", type=int, default=240, help="pictures to train on, of the whole jobs on pictures")
    words.add_argument("--texts", type=Path, help="folder with train.csv, validation.csv, test.csv, in place of tweets")
    words.add_argument("--figure", type=Path, help="where a picture of the ratios goes, such as speed.svg")
    words.add_argument("--cifar", type=Path, help="folder with train.parquet and test.parquet, in the place of digits")
    asked = words.parse_args()
    import data

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    began = time.perf_counter()
    cores, today = len(os.sched_getaffinity(0)), datetime.date.today().isoformat()
    print(f"{today}, {cores} cores, {processor()}, {platform.machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as room:
        texts = asked.texts or Path(room) / "texts"
        if {"text", "jobs", "speed_jobs"} & {*asked.parts} and not asked.texts:
            data.tweets(texts, asked.rows, 2000)
        if "start" in asked.parts:
            start(asked.turns)
        if "text" in asked.parts:
            steps("Text, training", TEXT, texts, 256, asked.turns)
        if "images" in asked.parts:
            pictures = data.pictures(Path(room) / "pictures", 1000, 500, asked.cifar)
            # A turn is two steps, some seconds: three of them said 2.6 in one run and 3.4 in another of the same day.
            steps("Images, training", IMAGES, pictures, 64, 2 * asked.turns + 1)
        if "jobs" in asked.parts:
            labels = [label for _, label in data.table(texts / "test.csv")]
            jobs(
                f"Text, {asked.rows:,} rows, whole jobs",
                {name: TEXT[name] for name in JOBS},
                texts,
                asked.epochs,
                labels,
            )
        if "speed_jobs" in asked.parts:
            labels = [label for _, label in data.table(texts / "test.csv")]
            ways = {name: TEXT[name] for name in ("nlp_example.py way", "hfft", "hfft with speed:")}
            jobs(f"Text with speed: {asked.rows:,} rows", ways, texts, asked.epochs, labels)
        for part, ways in {"image_jobs": IMAGE_JOBS, "frozen_job": FROZEN_JOB}.items():
            if part in asked.parts:
                pictures = data.pictures(Path(room) / part, asked.files, 300, asked.cifar)
                labels = [path.parent.name for path in sorted((pictures / "test").glob("*/*.jpg"))]
                jobs(f"{part}: {asked.files} files of 500 x 375", ways, pictures, 5, labels)
    print(f"\nAll of it: {(time.perf_counter() - began) / 60:.0f} minutes")
    if asked.figure:
        drawn(asked.figure, f"{cores} cores, {processor()}, {today}")


def drawn(path: Path, machine: str) -> None:
    """A picture of all ratios, a panel for each part; bars are medians, lines reach from the lowest to the highest."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parts = list(dict.fromkeys(row["part"] for row in RATIOS))
    sizes = [sum(row["part"] == part for row in RATIOS) + 2 for part in parts]
    figure, panels = pyplot.subplots(
        len(parts), figsize=(8, 0.36 * sum(sizes) + 0.6), height_ratios=sizes, squeeze=False, layout="constrained"
    )
    for part, panel in zip(parts, panels[:, 0], strict=True):
        rows = [row for row in RATIOS if row["part"] == part][::-1]
        middle = [row["ratio"] for row in rows]
        spread = [[row["ratio"] - row["low"] for row in rows], [row["high"] - row["ratio"] for row in rows]]
        colours = ["#1f5f99" if row["way"].startswith("hfft") else "#b6bec7" for row in rows]
        panel.barh([row["way"] for row in rows], middle, xerr=spread, color=colours, ecolor="#1c2127")
        panel.bar_label(panel.containers[-1], [f" {value:.1f}" for value in middle], label_type="center", color="white")
        panel.set_title(part, loc="left", fontsize=10)
        panel.set_xlabel(f"times as fast as {rows[-1]['way']}", fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(machine, fontsize=8)
    figure.savefig(path)


def processor() -> str:
    """The processor's name, on Linux."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


if __name__ == "__main__":
    main()
