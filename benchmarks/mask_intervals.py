"""How often intervals of pixel metrics hold the truth: hfft's, and those that resample images without further thought.

    python benchmarks/mask_intervals.py [sets of images per line, default 400]

Made masks of five classes. Each image has a difficulty of its own (logits of its pixels being found vary with a
standard deviation of `spread` between images), so its pixels are no independent witnesses; "car" is in every second
image and "pole" in every seventh. The truth is the value of 100,000 images, for the mean over the classes that a set
holds. Every cell: share of the intervals that hold it / their mean width. Two resampling ways beside hfft's:
percentiles and BCa of 600 resamples of images. "pixels": Wilson's interval as if pixels were independent.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import mask_answers

from hfft import resamples, scoring
from hfft.counts import of_cells
from hfft.intervals import bca, wilson

KEYS = ("mean_iou", "pixel_accuracy", "iou[road]", "iou[car]", "iou[pole]")
METRICS = ("mean_iou", "pixel_accuracy")
RESAMPLES = 600


def percentile(sample, statistic):
    draws = [statistic(sample.counts(part)) for part in sample.resampled(RESAMPLES, 0)]
    values = statistic(sample.counts(sample.times))
    found = {key: np.quantile(np.concatenate([part[key] for part in draws]), [0.025, 0.975]) for key in values}
    return {key: (min(low, values[key]), max(high, values[key])) for key, (low, high) in found.items()}


def intervals(made):
    """{way: {key: (low, high)}}"""
    sample = resamples.of_images([made.cells], [made.edges])
    ours = scoring.score(made, METRICS)
    held = {key: score for key, score in ours.items() if score.value is not None and key in KEYS}

    def statistic(counts):
        found = scoring.statistic(METRICS)(counts)
        iou = counts.hits / np.maximum(counts.support + counts.predicted - counts.hits, 1)
        found |= {f"iou[{name}]": iou[..., place] for place, name in enumerate(made.names)}
        return {key: found[key] for key in held}

    ways = {"hfft": {key: (score.low, score.high) for key, score in held.items()}}
    ways["percentile"] = percentile(sample, statistic)
    spread = bca(sample, statistic, RESAMPLES)
    ways["BCa"] = {key: (interval.low, interval.high) for key, interval in spread.items()}
    counts = made.counts
    ways["pixels"] = {"pixel_accuracy": wilson(int(counts.hits.sum()), int(counts.support.sum()))}
    return ways


def line(images, spread, sets, right):
    rng, tally = np.random.default_rng(images), {}
    for _ in range(sets):
        cells = mask_answers.matrices(rng, images, spread)
        there = cells.sum((0, 2)) > 0
        aim = right | {
            "mean_iou": np.mean([right[f"iou[{n}]"] for n, t in zip(mask_answers.NAMES, there, strict=True) if t])
        }
        for way, found in intervals(mask_answers.predictions(cells=cells)).items():
            for key, (low, high) in found.items():
                tally.setdefault((way, key), []).append((low <= aim[key] <= high, high - low))
    return {pair: np.mean(each, axis=0) for pair, each in tally.items()}


def main(sets):
    print(f"{sets} sets of images a line; share of 95 % intervals that hold the truth / mean width")
    print(f"{'spread':>6} {'images':>6} {'way':>10} " + " ".join(f"{key:>15}" for key in KEYS))
    for spread in (1.0, 2.0):
        many = mask_answers.matrices(np.random.default_rng(99), 100_000, spread)
        right = scoring.points(of_cells(many.sum(0)), METRICS, mask_answers.NAMES)
        for images in (5, 10, 20, 50, 100):
            found = line(images, spread, sets, right)
            for way in ("hfft", "percentile", "BCa", "pixels"):
                cells = (found.get((way, key)) for key in KEYS)
                shown = (f"{part[0]:8.3f} / {part[1]:.2f}" if part is not None else " " * 15 for part in cells)
                print(f"{spread:>6} {images:>6} {way:>10} " + " ".join(shown), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
