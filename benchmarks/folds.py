"""What five folds cost beside their training, as Markdown: whole commands, each a process of its own, from cold.

    python benchmarks/folds.py                                   # about 2,000 tweets; on an idle machine
    python benchmarks/folds.py --rows 150 --recipe tiny_textcls  # a trial

(a) Full fine-tuning: `hfft cv --folds 5` against five times one fold, which is `hfft run` with data.split.fold=1: as a
whole command, and, stricter, the time of its training alone. Goal: at most 1.1. (b) With a frozen backbone: `hfft cv`
against one whole `hfft run` of the same recipe. Goal: at most 1.5. Commands of a pair are run in turns, --times each,
and the least of their times counts: other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hfft import environment

FROZEN = ("adapt.freeze=backbone", "train.learning_rate=1.0e-3")


def seconds(folder: Path, *words: str) -> float:
    """Wall time of one command."""
    code = "import sys; from hfft.cli import main; main(sys.argv[1:])"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--output-dir", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"hfft {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def trained(run: Path) -> float:
    """Seconds of its training, as the run itself wrote them down."""
    return float(json.loads((run / "environment.json").read_text())["seconds"]["train"])


def measured(words: tuple[str, ...], one: tuple[str, ...], folds: int, times: int) -> tuple[list[float], ...]:
    """(seconds of all folds, seconds of one run, seconds of that run's training), one for each time."""
    found: tuple[list[float], ...] = ([], [], [])
    for _ in range(times):
        with tempfile.TemporaryDirectory() as room:
            found[1].append(seconds(Path(room) / "run", "run", *words, *one))
            found[2].append(trained(Path(room) / "run"))
            found[0].append(seconds(Path(room) / "cv", "cv", *words, "--folds", str(folds)))
            every = [trained(Path(room) / "cv" / f"fold-{fold + 1}") for fold in range(folds)]
            print(f"  training of each fold: {', '.join(f'{value:.1f}' for value in every)} s", file=sys.stderr)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--recipe", default="bert_textcls")
    options.add_argument("--rows", type=int, default=2000)
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--epochs", type=int, default=3, help="of full fine-tuning")
    options.add_argument("--frozen-epochs", type=int, default=3, help="of the head on a frozen backbone")
    options.add_argument("--times", type=int, default=1)
    options.add_argument("--only", choices=("a", "b"))
    chosen = options.parse_args()
    made = environment.hardware(os.cpu_count() or 1, [], 1)
    print(f"{datetime.date.today()}, {made['cpu']}, {made['cores']} cores, load {os.getloadavg()[0]:.1f};", end=" ")
    print(f"{chosen.recipe}, {chosen.rows:,} rows, {chosen.folds} folds\n")
    print("| | all folds, s | one, s | of that training, s | ratio | goal |\n|---|---|---|---|---|---|", flush=True)
    words = (chosen.recipe, f"data.limit={chosen.rows}")
    if chosen.only != "b":
        one = (f"data.split.folds={chosen.folds}", "data.split.fold=1")
        mine = (*words, f"train.num_train_epochs={chosen.epochs}")
        many, single, training = (min(part) for part in measured(mine, one, chosen.folds, chosen.times))
        label = f"| full fine-tuning, {chosen.epochs} epochs: all folds against {chosen.folds} times"
        figures = f"{many:.1f} | {single:.1f} | {training:.1f}"
        print(f"{label} one fold's command | {figures} | {many / (chosen.folds * single):.2f} | ≤ 1.1 |")
        print(f"{label} its training alone | {figures} | {many / (chosen.folds * training):.2f} | ≤ 1.1 |", flush=True)
    if chosen.only != "a":
        mine = (*words, f"train.num_train_epochs={chosen.frozen_epochs}", *FROZEN)
        many, single, training = (min(part) for part in measured(mine, (), chosen.folds, chosen.times))
        label = f"| frozen backbone, {chosen.frozen_epochs} epochs: all folds against one whole run"
        print(f"{label} | {many:.1f} | {single:.1f} | {training:.1f} | {many / single:.2f} | ≤ 1.5 |")


if __name__ == "__main__":
    main()
