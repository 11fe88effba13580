"""How a way of training is measured: it asks after every step whether to go on, and is told the seconds of a turn.

A way runs in a process of its own, so that no way's allocator, threads or patches touch another's. The driver wakes one
at a time: it writes `go`, the way takes optimizer steps until it has seen `--rows` rows, answers one line, and sleeps.
What the machine does besides thus falls on all ways alike, and only a turn's own seconds count.

With `--job FILE` nobody paces it: the way trains for its epochs, answers the test rows and writes them.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

MARK = "@@"


class Pace:
    """rows: of a turn. Call `step(rows)` after each optimizer step; it returns when the next may be taken."""

    def __init__(self, rows: int) -> None:
        self.rows, self.done, self.began = rows, 0, 0.0

    def start(self) -> None:
        """Say that everything is loaded, and wait for the first turn."""
        self._wait()

    def step(self, rows: int) -> None:
        self.done += rows
        if self.done < self.rows:
            return
        say(seconds=time.perf_counter() - self.began, rows=self.done)
        self.done = 0
        self._wait()

    def _wait(self) -> None:
        if sys.stdin.readline().strip() != "go":
            say(peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # Linux: kB
            sys.stdout.flush()
            raise SystemExit(0)
        self.began = time.perf_counter()


class Free:
    """No pace: a whole job."""

    def start(self) -> None:
        return

    def step(self, rows: int) -> None:
        return


def say(**facts: Any) -> None:
    """One line for the driver, told apart from what libraries print."""
    print(MARK + json.dumps(facts), flush=True)


def asked() -> argparse.Namespace:
    """data: the folder of data.py. pace: of a measured turn, or none for a whole job. job: where its answers go."""
    words = argparse.ArgumentParser()
    words.add_argument("data", type=Path)
    words.add_argument("--rows", type=int, default=128, help="of a turn")
    words.add_argument("--job", type=Path)
    words.add_argument("--epochs", type=int, default=2)
    words.add_argument("--size", type=int, default=224)
    words.add_argument("--seed", type=int, default=42)
    words.add_argument("--dynamic", action="store_true", help="rows padded to their batch's longest, where it is asked")
    words.add_argument("--set", nargs="*", default=[], help="key=value, for hfft's recipe")
    found = words.parse_args()
    found.pace = Free() if found.job else Pace(found.rows)
    return found


def finish(
    job: Path, predicted: list[int], names: list[str], trained: int, training: float, scored: float | None = None
) -> None:
    """What a whole job found: classes of the test rows in their order, and what it took.

    scored: seconds to the test score, where the work goes on after it."""
    facts = {"predicted": predicted, "names": names, "trained": trained, "training": training, "scored": scored}
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # hfft's verbs are children, as are workers
    facts["peak"] = max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024
    job.write_text(json.dumps(facts), encoding="utf-8")
