"""Time, peak memory and size of the page of a run with 77 classes and 10,000 test rows, as Markdown.

    python benchmarks/report.py
    python benchmarks/report.py --rows 100000

The run is made up (see tests/test_reporting.py) with everything a page may show: 14 slices, 5 probes at 5 severities,
200 mistakes with 3 nearest training rows each, calibration. `hfft report` then runs in a process of its own, so that
the time holds Python's start and all imports, and the memory is that of this process alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import behaviours  # noqa: E402
from tests.test_reporting import INTENTS, build  # noqa: E402


def measured(command: list[str]) -> tuple[float, float]:
    """(seconds, peak MB) of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="test rows")
    rows = parser.parse_args().rows
    hfft = [sys.executable, "-m", "hfft", "report"]
    print("| page | s | peak MB | page KB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("text", "image"):
            runs = [Path(folder) / f"{kind}_{letter}" for letter in "ab"]
            for run, skill in zip(runs, (0.9, 0.88), strict=True):
                made = build(run, INTENTS, rows, skill, kind)
                behaviours.add(made, kind)
                made.model.mkdir()
                (made.model / "config.json").write_text("{}")
            pages = {f"{kind}s, one run": ([runs[0]], runs[0] / "report.html")}
            pages[f"{kind}s, two runs compared"] = (runs, Path(folder) / f"comparison_{kind}_a_{kind}_b.html")
            for name, (given, page) in pages.items():
                seconds, memory = measured([*hfft, *map(str, given)])
                print(f"| {name} | {seconds:.1f} | {memory:,.0f} | {page.stat().st_size / 1000:,.0f} |", flush=True)
        seconds, memory = measured([*hfft, folder])
        size = (Path(folder) / "index.html").stat().st_size / 1000
        print(f"| index of four runs | {seconds:.1f} | {memory:,.0f} | {size:,.0f} |")


if __name__ == "__main__":
    main()
