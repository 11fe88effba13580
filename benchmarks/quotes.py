"""What `hfft check` quotes beside what `hfft run` then takes: seconds, steps, memory and disk, with their ratio.

    python benchmarks/quotes.py [RECIPE[:word[:word...]]...] [--turns N] [--out FILE.json]

Each turn runs check and then run for every recipe, in processes of their own, so that a busy machine is busy for both.
The seconds are those of the quote: from the first line of `hfft run` to its last, without the start of Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

DEFAULT = ("bert_textcls:data.limit=4000", "lite0_imgcls:data.limit=1500:train.num_train_epochs=2")
NEAR = 0.20  # that a quote may be off by


def hfft(*words: str) -> Any:
    """Facts of a verb."""
    done = subprocess.run([sys.executable, "-m", "hfft", *words, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"hfft {' '.join(words)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def turn(recipe: str, words: list[str]) -> dict[str, dict[str, float]]:
    """What → {"quoted", "actual"} of one check and one run."""
    with tempfile.TemporaryDirectory(prefix="hfft-quotes-") as scratch:
        folder = Path(scratch) / "run"
        quote = hfft("check", recipe, *words)["rehearsal"]["quote"]
        facts = hfft("run", recipe, *words, "--output-dir", str(folder))
        made = json.loads((folder / "environment.json").read_text())
        state = max(folder.glob("checkpoints/*/trainer_state.json"), key=lambda path: path.stat().st_mtime)
        held = [folder / "model", *folder.glob("checkpoints/checkpoint-*")]
        disk = sum(path.stat().st_size for place in held for path in place.rglob("*") if path.is_file())
        steps = json.loads(state.read_text())["global_step"]
    spent = facts["time"]
    return {
        "seconds": {"quoted": (quote["low"] + quote["high"]) / 2, "actual": spent["all"] - spent.get("start", 0.0)},
        "steps": {"quoted": quote["steps"], "actual": steps},
        "training step, ms": {"quoted": 1e3 * quote["seconds_per_step"], "actual": 1e3 * spent["train"] / steps},
        "memory, GB": {"quoted": quote["memory_gb"], "actual": made["peak_memory_gb"]},
        "disk, MB": {"quoted": quote["disk_kept_mb"], "actual": disk / 1e6},
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("recipes", nargs="*", default=list(DEFAULT))
    asked.add_argument("--turns", type=int, default=1)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    found: dict[str, list[dict[str, dict[str, float]]]] = {}
    for number in range(given.turns):
        for recipe in given.recipes:
            name, *words = recipe.split(":")
            found.setdefault(recipe, []).append(turn(name, words))
            print(f"turn {number + 1}: {recipe}, load average {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    print("| recipe | what | quoted | actual | actual / quoted | within 20 % | n |\n|---|---|---|---|---|---|---|")
    for recipe, turns in found.items():
        for what in turns[0]:
            quoted, actual = (median(one[what][side] for one in turns) for side in ("quoted", "actual"))
            ratio = median(one[what]["actual"] / one[what]["quoted"] for one in turns)
            near = "yes" if abs(ratio - 1) <= NEAR else "no"
            print(f"| {recipe} | {what} | {quoted:,.1f} | {actual:,.1f} | {ratio:.2f} | {near} | {len(turns)} |")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
