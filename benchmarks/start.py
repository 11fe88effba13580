"""How long it takes until something happens: `hfft --help`, and the first training step beyond the imports it needs.

    python benchmarks/start.py [--turns N] [RECIPE ...]

In each turn, one after the other: Python with the imports of torch and Trainer alone, `hfft --help`, and each recipe
for one step. The first step is counted from the start of the process, as environment.json has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

IMPORTS = "import torch; from transformers import Trainer"


def took(*words: str) -> float:
    """Seconds of a Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - began


def first_step(recipe: str) -> float:
    """Seconds from the start of the process to the first training step of a recipe."""
    with tempfile.TemporaryDirectory(prefix="hfft-start-") as scratch:
        folder = Path(scratch) / "run"
        took("-m", "hfft", "run", recipe, "train.max_steps=1", "probes.names=[]", "--output-dir", str(folder))
        return float(json.loads((folder / "environment.json").read_text())["time"]["first_step"])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("recipes", nargs="*", default=["tiny_textcls", "bert_textcls"])
    asked.add_argument("--turns", type=int, default=5)
    given = asked.parse_args()
    found: dict[str, list[float]] = {}
    for _ in range(given.turns):
        found.setdefault("imports", []).append(took("-c", IMPORTS))
        found.setdefault("hfft --help", []).append(took("-m", "hfft", "--help"))
        for recipe in given.recipes:
            found.setdefault(recipe, []).append(first_step(recipe))
    print(f"{given.turns} turns, load average {os.getloadavg()[0]:.1f}")
    print("| what | seconds, median | least | beyond the imports, median |\n|---|---|---|---|")
    for name, values in found.items():
        beyond = [value - imports for value, imports in zip(values, found["imports"], strict=True)]
        shown = f"{median(beyond):.2f}" if name in given.recipes else ""
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} | {shown} |")


if __name__ == "__main__":
    main()
