"""What a trial of `hfft tune` costs beside its training: python benchmarks/tuning.py [ROWS]

MiniLM on tweets, six trials of one epoch each, once with all of it trained and once with its backbone frozen. Overhead
is the time from one trial's start to the next one's, less the time that Trainer trained; of the first trial, which
reads the data and computes features, apart. Goal: 2 seconds or less after the first.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from hfft import trialling, tuning

TRIALS = 6


def measured(root: Path, *words: str) -> list[float]:
    """Overhead of each trial, seconds."""
    begun: list[float] = []
    trained = trialling.trained

    def timed(*given: object, **named: object) -> float:
        begun.append(time.perf_counter())
        return trained(*given, **named)  # type: ignore[arg-type]

    trialling.trained = timed  # type: ignore[assignment]
    try:
        given = (*words, "train.num_train_epochs=1")
        space = ["train.learning_rate=2e-5..2e-4"]
        tuning.run("bert_textcls", given, space, str(root), TRIALS, prune=False, say=lambda _: None)
    finally:
        trialling.trained = trained
    begun.append(time.perf_counter())  # the page of the search counts to the last
    found = []
    for number in range(TRIALS):
        spent = json.loads((root / f"trial-{number}" / "environment.json").read_text())["seconds"]["train"]
        found.append(begun[number + 1] - begun[number] - spent)
    return found


def main(rows: int) -> None:
    print(f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores; {rows} rows")
    with tempfile.TemporaryDirectory() as room:
        for name, words in (("all trained", ()), ("frozen", ("adapt.freeze=backbone",))):
            first, *rest = measured(Path(room) / name, f"data.limit={rows}", *words)
            shown = ", ".join(f"{seconds:.1f}" for seconds in rest)
            print(f"{name}: first {first:.1f} s, then {shown} s beside training; largest {max(rest):.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
