"""CIFAR-10 with three rare classes: what `hfft imbalance benchmarks/recipes/cifar10_thinned.yaml` reads.

    python benchmarks/thin.py data/cifar10 data/cifar10_thinned

Of 15,000 training pictures 3,000 become validation, 300 of each class; of what is left, CLASSES keep one row in FACTOR.
Validation and test stay balanced, as is usual for long-tailed CIFAR (Cui et al. 2019): each class counts alike there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

CLASSES = ("bird", "horse", "truck")  # an animal that is often confused, one that is not, and a vehicle
FACTOR, HELD_BACK, SEED = 20, 300, 42


def main(source: Path, target: Path) -> None:
    """Write train.parquet, validation.parquet and test.parquet into `target`."""
    table = pq.read_table(source / "train.parquet")
    rng = np.random.default_rng(SEED)
    kept: list[int] = []
    held: list[int] = []
    labels = np.array(table["label"].to_pylist(), dtype=object)
    for name in sorted(set(labels)):
        rows = rng.permutation(np.flatnonzero(labels == name))
        rest = rows[HELD_BACK:]
        held += rows[:HELD_BACK].tolist()
        kept += rest[: len(rest) // FACTOR if name in CLASSES else None].tolist()
    target.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", kept), ("validation", held)):
        pq.write_table(table.take(sorted(rows)), target / f"{part}.parquet")
        counts = pc.value_counts(table.take(rows)["label"]).to_pylist()
        print(part, len(rows), {entry["values"]: entry["counts"] for entry in counts})
    (target / "test.parquet").write_bytes((source / "test.parquet").read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
