"""What the probes cost without a model: 1,000 texts of a tweet's length, 1,000 pictures of 224 px.

    python benchmarks/probes.py            # under a minute; or names of probes

Prints Markdown tables for RESULTS.md. Pictures go through a pool of two threads, as `hfft probe` does it.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from hfft import perturbing, rooms

ROWS, THREADS = 1000, 2
PARTS = ["@united the flight was late again, gate B7 at 18:45", "I don't think it's fine to charge $25 for a bag"]
PARTS += ["thank you Maria, the crew is really great", "we will not fly with you again https://t.co/x1y2z3"]
PARTS += ["my card has been swallowed by the machine", "still waiting for a reply to my message of Monday"]


def texts(rng: random.Random) -> list[str]:
    """About 100 characters each, as tweets have."""
    return [" and ".join(rng.sample(PARTS, 2)) + f" {row}!" for row in range(ROWS)]


def pictures(rng: np.random.Generator) -> list[Image.Image]:
    """Soft shapes in colour with some grain, 50 different ones in turn."""
    found = []
    for _ in range(50):
        pixels = np.stack([gaussian_filter(rng.normal(size=(224, 224)), 9, mode="wrap") for _ in range(3)], axis=-1)
        grainy = 120 + 50 * pixels / pixels.std() + rng.normal(0, 4, pixels.shape)
        found.append(Image.fromarray(np.uint8(np.clip(grainy, 0, 255))))
    return [found[row % len(found)] for row in range(ROWS)]


def timed(call: Callable[[], list[object]]) -> tuple[float, float, int]:
    """(wall seconds, CPU seconds, rows that changed)"""
    cpu, wall = time.process_time(), time.perf_counter()
    changed = sum(found is not None for found in call())
    return time.perf_counter() - wall, time.process_time() - cpu, changed


def measure(probe: ModuleType, rows: list[object], severity: int, pool: ThreadPoolExecutor) -> list[str]:
    def one(row: int) -> object:
        return perturbing.perturbed(probe, rows[row], severity, str(row))

    order = range(len(rows))
    wall, cpu, changed = timed(
        lambda: [one(row) for row in order] if probe.INPUT == "text" else list(pool.map(one, order))
    )
    return [f"`{perturbing.title(probe)}`", str(severity), f"{wall:.2f}", f"{cpu:.2f}", f"{changed:,}"]


def main() -> None:
    probes = [rooms.find("probes", name) for name in sys.argv[1:] or rooms.names("probes")]
    rows = {"text": texts(random.Random(0)), "image": pictures(np.random.default_rng(0))}
    with ThreadPoolExecutor(THREADS) as pool:
        for kind, title in (("text", "1,000 texts, one thread"), ("image", f"1,000 pictures, {THREADS} threads")):
            heads = ["probe", "severity", "s", "CPU s", "changed"]
            print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
            for probe in probes:
                if kind == probe.INPUT:  # the strongest severity: the largest kernels, the most words
                    print(f"| {' | '.join(measure(probe, rows[kind], probe.SEVERITIES, pool))} |", flush=True)


if __name__ == "__main__":
    main()
