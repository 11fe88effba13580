"""How many planted label errors are found, by how much of all labels the judge disagrees with.

python -m benchmarks.label_errors     # from the root of a checkout; a minute. The table in docs/labels.md.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np

from hfft import doubting
from tests.test_doubting import planted

EDGES = (0.03, 0.06, 0.10, 0.15, 0.25, 1.0)
NOISE, CLASSES, SEPARATION, SEEDS = (0.01, 0.02, 0.05, 0.1), (2, 3, 10), (1, 1.5, 2, 2.5, 3, 3.5, 4, 5), range(3)


def measure(noise: float, classes: int, separation: float, seed: int) -> tuple[float, float, float, float]:
    """(share disagreed with, recall, precision, flagged share - wrong share) of 2,000 rows."""
    predictions, wrong = planted(2000, classes, noise, seed, separation)
    flagged = [int(doubt.id.removeprefix("row")) for doubt in doubting.suspicious(predictions, "test")]
    hits = wrong[flagged].sum()
    disagreed = (predictions.labels != predictions.predicted).mean()
    return disagreed, hits / wrong.sum(), hits / max(1, len(flagged)), len(flagged) / 2000 - wrong.mean()


def main() -> None:
    cells = defaultdict(list)
    for setting in itertools.product(NOISE, CLASSES, SEPARATION, SEEDS):
        disagreed, *rest = measure(*setting)
        cells[next(edge for edge in EDGES if disagreed <= edge), setting[0]].append(rest)
    print("disagrees up to | planted | data sets | recall | precision | largest gap of shares")
    for (edge, noise), found in sorted(cells.items()):
        recall, precision, gap = np.array(found).T
        print(
            f"{edge:15.0%} | {noise:7.0%} | {len(found):9} | {recall.mean():6.2f} | {precision.mean():9.2f} | "
            f"{abs(gap).max():.3f}"
        )


if __name__ == "__main__":
    main()
