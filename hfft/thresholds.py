"""From which probability on a class applies, where several may: one threshold per class, tuned on validation.

In: labels and probabilities of the validation rows. Out: thresholds, kept beside the model, and predictions by them.
One half maximises accuracy; F1 of a rare class is highest well below it (Lipton, Elkan & Naryanaswamy 2014). It must
never see test rows. numpy only.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from hfft.errors import InputError, counted, listed
from hfft.records import VALIDATION, Predictions, read_json, write_json

HALF = 0.5
# The best cut of few rows follows their noise. So its log-odds are shrunk towards those of one half by k / (k + SHRUNK)
# for k positive rows, and below FEW of them one half stays. Simulated (docs/multi-label.md): against one half the mean
# F1 on new rows then falls by 0.006 at worst, where the unshrunk cut loses up to 0.03, and rises by up to 0.2.
FEW, SHRUNK = 5, 10.0
RULE = f"F1 of each class is highest on {{}}, log-odds shrunk by k / (k + {SHRUNK:g}) for k rows of the class"


def tune(predictions: Predictions) -> np.ndarray:
    """Thresholds, float64 (classes,): a class applies where its probability is at least that.

    predictions: of validation rows, labels bool (n, classes). A class with fewer than five rows that have it, or that
    lack it, keeps one half.
    """
    out = np.full(len(predictions.names), HALF)
    for place in range(len(predictions.names)):
        labels, scores = predictions.labels[:, place], predictions.scores[:, place].astype(np.float64)
        having = int(labels.sum())
        if min(having, len(labels) - having) >= FEW:
            out[place] = shrunk(best_cut(labels, scores), having)
    return out


def best_cut(labels: np.ndarray, scores: np.ndarray) -> float:
    """The threshold of the highest F1, midway between two scores; of equal ones the nearest to one half.

    labels: bool (n,). scores: float (n,).

    >>> best_cut(np.array([True, True, False, False]), np.array([0.9, 0.3, 0.2, 0.1]))
    0.25
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    below = np.append(ordered[1:], 0.0)
    taken = np.arange(1, len(scores) + 1)
    f1 = 2 * np.cumsum(labels[order]) / (taken + labels.sum())
    cuts = (ordered + below) / 2
    able = np.flatnonzero(ordered > below)  # equal scores are taken together
    if not len(able):
        return HALF
    best = able[f1[able] >= f1[able].max() - 1e-12]
    return float(cuts[best[np.argmin(np.abs(cuts[best] - HALF))]])


def shrunk(threshold: float, having: int) -> float:
    """The threshold nearer to one half, the fewer rows of the class it was found on.

    >>> shrunk(0.5, 20), round(shrunk(0.1, 10), 3), round(shrunk(0.1, 10_000), 3)
    (0.5, 0.25, 0.1)
    """
    inside = min(max(threshold, 1e-6), 1 - 1e-6)
    odds = having / (having + SHRUNK) * math.log(inside / (1 - inside))
    return 1 / (1 + math.exp(-odds))


def applied(predictions: Predictions, thresholds: np.ndarray) -> Predictions:
    """The same probabilities, with the classes that apply by these thresholds, float (classes,)."""
    return dataclasses.replace(predictions, predicted=predictions.scores >= thresholds)


def write(path: Path, thresholds: np.ndarray, predictions: Predictions, split: str = VALIDATION) -> None:
    """Thresholds by class name with the rows they were found on, for people and for `read`."""
    having = predictions.labels.sum(axis=0).tolist()
    rows = zip(predictions.names, thresholds.tolist(), having, strict=True)
    classes = {name: {"threshold": threshold, "rows": n} for name, threshold, n in rows}
    rule = RULE.format(split.replace("_", "-"))
    write_json(path, {"tuned_on": split, "rows": predictions.n, "rule": rule, "classes": classes})


def read(path: Path, names: tuple[str, ...]) -> np.ndarray:
    """Thresholds in the order of `names`, float (classes,); one half for all where there is no file.

    Raises InputError where the file does not fit the model.
    """
    if not path.is_file():
        return np.full(len(names), HALF)
    classes: dict[str, Any] = read_json(path).get("classes", {})
    if set(classes) != set(names):
        raise InputError(f"{path}: expected thresholds of {listed(names)}, got those of {listed(classes)}")
    return np.array([float(classes[name]["threshold"]) for name in names])


def sentence(thresholds: np.ndarray, predictions: Predictions) -> str:
    """What was tuned on how many rows, and what that means for the validation score."""
    lowest, highest = thresholds.min(), thresholds.max()
    kept = int((thresholds == HALF).sum())
    few = f"; {counted(kept, 'class')} keep{'s' * (kept == 1)} 0.5" if kept else ""
    return (
        f"thresholds: {lowest:.2f} to {highest:.2f}, tuned for F1 on {predictions.n:,} validation rows{few}. The "
        "validation scores are flattered by that; the test rows take no part in it"
    )
