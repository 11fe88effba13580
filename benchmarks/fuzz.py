"""What becomes of bytes that nobody meant: each must be accepted, or refused in one sentence.

    python benchmarks/fuzz.py                       # ten minutes over all doors
    python benchmarks/fuzz.py --seconds 60 --doors recipe csv --seed 7

hypothesis makes the bytes (tests/doors.py: sound files, cut, flipped, spliced, with words that have broken parsers
before). Another process takes them in, so that one that is killed by a library, or never ends, is counted and not the
end; it may have 6 GB of memory. Prints, for each door: inputs tried, sentences, accepted, and what must be 0:
tracebacks, hangs (over 20 s) and deaths. Inputs of the last kinds are kept in --keep.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import doors

HANG = 20.0  # seconds
MEMORY = 6 << 30
BATCH = 100  # inputs of one door at a time
KINDS = ("sentence", "accepted", "traceback", "hang", "death")


def serve(pipe: Connection, threads: int = 1) -> None:
    """In the other process: take bytes in, say what came of them."""
    import torch

    from hfft import gathering

    gathering.quiet()
    torch.set_num_threads(threads)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    with tempfile.TemporaryDirectory() as place:
        while (asked := pipe.recv()) is not None:
            door, data = asked
            try:
                found = doors.tried(door, Path(place), data)
                pipe.send(("accepted", "") if found == "accepted" else ("sentence", found))
            except BaseException:  # whatever it is, it is what is looked for
                pipe.send(("traceback", traceback.format_exc()))


class Taker:
    """The other process, begun anew where it was killed or never came back."""

    def __init__(self) -> None:
        self.process: Any = None

    def take(self, door: str, data: bytes) -> tuple[str, str]:
        if self.process is None or not self.process.is_alive():
            self.pipe, other = multiprocessing.get_context("spawn").Pipe()
            self.process = multiprocessing.get_context("spawn").Process(target=serve, args=(other,), daemon=True)
            self.process.start()
            other.close()
            self._asked("card", b"", 300.0)  # its imports are over
        return self._asked(door, data, HANG)

    def _asked(self, door: str, data: bytes, patience: float) -> tuple[str, str]:
        try:
            self.pipe.send((door, data))
            if self.pipe.poll(patience):
                return self.pipe.recv()  # type: ignore[no-any-return]
            kind = "hang", f"no answer in {patience:g} s"
        except (EOFError, OSError):
            self.process.join(5)
            kind = "death", f"exit code {self.process.exitcode}"
        self.process.kill()
        self.process = None
        return kind

    def close(self) -> None:
        if self.process is not None:
            self.pipe.send(None)
            self.process.join(10)


def tries(door: str, number: int, taker: Taker, counts: Counter[str], keep: Path, ends: float) -> None:
    """One batch of inputs for a door. number: decides which."""

    @seed(number)
    @settings(
        max_examples=BATCH, phases=[Phase.generate], deadline=None, database=None,
        suppress_health_check=list(HealthCheck), derandomize=False,
    )  # fmt: skip
    @given(doors.mutated(door))
    def one(data: bytes) -> None:
        if time.monotonic() > ends:
            return
        kind, told = taker.take(door, data)
        counts[kind] += 1
        if kind not in ("sentence", "accepted"):
            name = f"{door}-{kind}-{hashlib.sha256(data).hexdigest()[:12]}"
            (keep / name).write_bytes(data)
            (keep / f"{name}.txt").write_text(told)
            print(f"{kind}: {keep / name}: {told.strip().splitlines()[-1][:200]}", file=sys.stderr, flush=True)

    one()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--doors", nargs="+", default=list(doors.DOORS), choices=list(doors.DOORS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    began, counts = time.monotonic(), {door: Counter[str]() for door in asked.doors}
    taker, number = Taker(), asked.seed
    while (left := began + asked.seconds - time.monotonic()) > 0:
        for door in asked.doors:
            tries(door, number, taker, counts[door], asked.keep, time.monotonic() + left / len(asked.doors))
        number += 1
    taker.close()
    print(f"{'door':10}{'inputs':>10}" + "".join(f"{kind:>12}" for kind in KINDS))
    total = sum(counts.values(), Counter[str]())
    for door, found in {**counts, "all": total}.items():
        print(f"{door:10}{sum(found.values()):>10,}" + "".join(f"{found[kind]:>12,}" for kind in KINDS))
    print(f"{time.monotonic() - began:.0f} s, seeds {asked.seed} to {number - 1}")
    sys.exit(1 if total["traceback"] + total["hang"] + total["death"] else 0)


if __name__ == "__main__":
    main()
