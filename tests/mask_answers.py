"""Predicted masks without a model: images with a difficulty of their own, and a class that few of them hold."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image
from scipy.sparse import csr_array
from scipy.special import expit

from hfft.mask_records import MaskPredictions
from hfft.records import SplitReport, fingerprint, write_json
from hfft.run_folder import RunFolder

NAMES = ("road", "sky", "tree", "car", "pole")
THERE = np.array([1, 1, 0.9, 0.5, 0.15])  # share of the images that hold a class
SIZE = np.array([4.0, 3.0, 1.0, 0.5, 0.2])
EASE = np.array([2.5, 2.0, 1.0, 0.5, -0.2])


def matrices(rng, n, spread=1.0, pixels=10_000, skill=0.0, there=THERE):
    """Confusion matrices, int64 (n, K, K): what is missed goes to the other classes, mostly those of the image."""
    held = rng.random((n, len(NAMES))) < there
    held[~held.any(axis=1), 0] = True
    area = held * rng.gamma(1.5, SIZE, held.shape)
    area /= area.sum(axis=1, keepdims=True)
    found = expit(EASE + skill + rng.normal(0, spread, (n, 1)) + rng.normal(0, 0.7 * spread, held.shape))
    to = (held + 0.02) * SIZE
    cells = np.zeros((n, len(NAMES), len(NAMES)))
    for k in range(len(NAMES)):
        share = to.copy()
        share[:, k] = 0
        share /= share.sum(axis=1, keepdims=True)
        cells[:, k] = (area * (1 - found))[:, [k]] * share
        cells[:, k, k] = area[:, k] * found[:, k]
    return np.rint(pixels * cells).astype(np.int64)


def boundaries(cells):
    """Boundary counts that go with them, int64 (n, K, 4)."""
    hits = np.diagonal(cells, axis1=1, axis2=2)
    sides = [np.ceil(np.sqrt(part)).astype(np.int64) for part in (cells.sum(2), hits, cells.sum(1), hits)]
    return np.stack(sides, axis=2)


def predictions(n=40, seed=0, groups=None, cells=None, names=NAMES, **kwargs):
    """MaskPredictions; cells (n, K, K) where they are given."""
    cells = matrices(np.random.default_rng(seed), n, **kwargs) if cells is None else np.asarray(cells)
    ids = np.array([f"{place:012x}-mask" for place in range(len(cells))], dtype=object)
    flat = csr_array(cells.reshape(len(cells), -1))
    return MaskPredictions(ids, flat, boundaries(cells), tuple(names), groups)


METRICS = ["mean_iou", "mean_dice", "pixel_accuracy", "mean_accuracy", "boundary_f1"]


def run(root, made, gates=None, worst=True):
    """The folder of a scored run by hand: no model in it, and no baseline."""
    folder = RunFolder(root)
    (root / "model").mkdir(parents=True)
    write_json(folder.model / "config.json", {"model_type": "hfft_fcn"})
    recipe = {
        "task": "semantic_segmentation",
        "data": {"path": "frames", "classes": list(NAMES)},
        "model": {"name": "timm/test_resnet", "image_size": [48, 64]},
        "metrics": METRICS,
        "gates": gates or {},
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    held = dict(zip(made.names, np.count_nonzero(made.totals[1], axis=0).tolist(), strict=True))
    pixels = dict(zip(made.names, made.matrix.sum(axis=1).tolist(), strict=True))
    splits = ("train", "validation", "test")
    prints = {split: fingerprint([f"{split}{row}" for row in made.ids]) for split in splits}
    rows, counts = dict.fromkeys(splits, made.n), dict.fromkeys(splits, held)
    report = SplitReport({"by": "predefined"}, counts, prints, [], {}, rows, dict.fromkeys(splits, pixels))
    write_json(folder.split, report.facts())
    made.write(folder.predictions("test"))
    order = np.argsort(made.own_iou)[:5] if worst else []
    shown = io.BytesIO()
    Image.new("RGB", (30, 10), (230, 159, 0)).save(shown, "JPEG")
    table = {
        "id": [made.ids[i] for i in order],
        "label": [made.shown(made.totals[1][i] > 0) for i in order],
        "prediction": ["road taken for <sky>: 12 % of its pixels" for _ in order],
        "confidence": [float(made.own_iou[i]) for i in order],
        "text": pa.array([f"{i}.png" for i in order], pa.string()),
        "text_pair": pa.array([None for _ in order], pa.string()),
        "image": [shown.getvalue() for _ in order],
    }
    pq.write_table(pa.table(table), folder.mistakes("test"))
    return folder
