"""Another answer than the likeliest class: a number per class that is added to the log-probabilities before the argmax.

In: probabilities and labels of validation rows, a metric; or the rows of each class in train. Out: biases, and answers
by them, kept beside the model. It must never see test rows and changes no probability. numpy only.

Of two classes a bias is a threshold on the probability of one of them. The likeliest class makes the fewest errors;
where every class is to count alike, rare ones have to be answered sooner (Menon et al. 2021, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfft.counts import Counts, count
from hfft.errors import InputError, listed
from hfft.records import VALIDATION, read_json, write_json

Value = Callable[[Counts], np.ndarray]
TINY = float(np.finfo(np.float32).tiny)  # a probability that was stored as 0 is one that float32 could not hold
# The best bias of few rows follows their noise: so it is shrunk by k / (k + SHRUNK) for k rows of the class, and below
# FEW of them it stays 0. Simulated (docs/imbalance_bakeoff.md): macro-F1 on new rows falls by 0.006 on average at the
# worst, where the likeliest class is right already, and rises by up to 0.023 where it is not; with 10, by 0.009.
FEW, SHRUNK = 5, 20.0
CUTS = 400  # biases tried for a class in one pass, at most
SWEEPS = 5
EQUAL = 1e-12
FORM = "argmax(log(probability) + bias)"


def adjustment(rows: Sequence[int], tau: float) -> np.ndarray:
    """-tau log(share of each class among training rows), the largest class at 0; float (classes,).

    Post-hoc logit adjustment: Menon et al. 2021, eq. 9. It is exact for the mean recall of the classes where
    probabilities are calibrated, and needs no row to be tuned on.

    >>> adjustment([80, 20], 1.0).round(3).tolist()
    [0.0, 1.386]
    """
    counts = np.asarray(rows, dtype=float)
    return tau * (np.log(counts.max()) - np.log(counts))


def decided(scores: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The answer to each row, int (n,). scores: probabilities (n, classes)."""
    return np.asarray((_logs(scores) + bias).argmax(axis=1))


def tune(scores: np.ndarray, labels: np.ndarray, value: Value) -> np.ndarray:
    """Biases, float (classes,), for which the metric is high on these rows; 0 for all where none is better than that.

    scores: probabilities (n, classes). labels: class indices (n,). value: of `Counts` (..., classes), more is better.
    Coordinate search: one class after the other, the rarest first, until nothing moves. The commonest class is the
    reference and keeps 0; a class with fewer than five rows keeps 0, too.
    """
    classes = scores.shape[1]
    rows = np.bincount(labels, minlength=classes)
    able = [k for k in np.argsort(rows, kind="stable")[: classes - 1] if rows[k] >= FEW]
    bias, logs = np.zeros(classes), _logs(scores)
    plain = best = reached(logs, bias, labels, value)
    for _ in range(SWEEPS):
        before = best
        for k in able:
            found, other = _best(logs, bias, labels, int(k), value)
            if found > best + EQUAL:
                best, bias[k] = found, other
        if best <= before + EQUAL:
            break
    bias = shrunk(bias, rows)
    return bias if reached(logs, bias, labels, value) > plain + EQUAL else np.zeros(classes)


def shrunk(bias: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Biases nearer to 0, the fewer rows of the class they were found on.

    >>> shrunk(np.array([0.0, 1.0, 1.0]), np.array([180, 20, 180])).tolist()
    [0.0, 0.5, 0.9]
    """
    return np.asarray(bias * rows / (rows + SHRUNK))


def reached(logs: np.ndarray, bias: np.ndarray, labels: np.ndarray, value: Value) -> float:
    """The metric of the answers by these biases."""
    return float(value(_occurring(count(labels, (logs + bias).argmax(axis=1), logs.shape[1]))))


def of_two(names: Sequence[str], bias: np.ndarray) -> tuple[str, float] | None:
    """Of two classes: (the one whose bias is larger, the probability from which on it is answered); else None.

    >>> of_two(["no", "yes"], np.array([0.0, 1.0986]))
    ('yes', 0.25)
    """
    if len(names) != 2:
        return None
    k = int(np.argmax(bias))
    return names[k], round(1 / (1 + math.exp(bias[k] - bias[1 - k])), 4)


def write(path: Path, names: Sequence[str], bias: np.ndarray, facts: Mapping[str, Any], rows: Sequence[int]) -> None:
    """Biases by class name with how they were found, for people and for `read`. rows: of each class, where found."""
    each = zip(names, bias.tolist(), rows, strict=True)
    classes = {name: {"bias": value, "rows": int(n)} for name, value, n in each}
    write_json(path, {**facts, "form": FORM, "classes": classes})


def read(path: Path, names: Sequence[str]) -> np.ndarray:
    """Biases in the order of `names`, float (classes,). Raises InputError where the file does not fit the model."""
    classes: dict[str, Any] = read_json(path).get("classes", {})
    if set(classes) != set(names):
        raise InputError(f"{path}: expected biases of {listed(names)}, got those of {listed(classes)}")
    return np.array([float(classes[name]["bias"]) for name in names])


def how(facts: Mapping[str, Any]) -> str:
    """Half a sentence on a decision as stored: "decided by …"."""
    two = facts["threshold"]
    cut = f": {two['class']} from {two['probability']:.2f} on, before any temperature" if two else ""
    if facts["metric"] is None:
        return f"decided by log-probability less {facts['tau']:g} log(share of the class in train){cut}"
    kind = facts.get("from", VALIDATION).replace("_", "-")
    return f"decided by a bias per class, tuned for {facts['metric']} on {facts['rows']:,} {kind} rows{cut}"


def _logs(scores: np.ndarray) -> np.ndarray:
    return np.log(np.clip(scores.astype(np.float64), TINY, 1.0))


def _occurring(counts: Counts) -> Counts:
    """Averages run over the classes with true rows, as when scored."""
    there = counts.support.reshape(-1, counts.support.shape[-1])[0] > 0
    return Counts(counts.hits, counts.support, counts.predicted, occurring=there)


def _best(logs: np.ndarray, bias: np.ndarray, labels: np.ndarray, k: int, value: Value) -> tuple[float, float]:
    """(the highest metric that a bias of class k alone can reach, that bias); of equal ones the nearest to 0.

    Row i is answered k from a bias of t_i on, how far the best other class is above it. Sorted by t, each cut between
    two rows is one set of answers. Only cuts right after a row that is truly k, or that the other class is wrong about,
    can be best. That k is answered nowhere is not tried.
    """
    n, classes = logs.shape
    others = logs + bias
    others[:, k] = -np.inf
    rival = others.argmax(axis=1)
    t = others[np.arange(n), rival] - logs[:, k]
    order = np.argsort(t, kind="stable")
    t, rival, truth = t[order], rival[order], labels[order]
    after = np.append(t[1:], t[-1] + 2.0)
    ends = np.flatnonzero(after > t + EQUAL)  # rows that are alike are taken together
    spots = np.union1d(_thinned(ends, truth == k), _thinned(ends, (truth != k) & (truth != rival)))
    cuts, taken = (t[spots] + after[spots]) / 2, spots + 1
    # Of each cut: what the rows after it add to the other classes, and those before it to class k.
    place = np.searchsorted(taken, np.arange(n), side="right")
    shape, size = (len(taken) + 1, classes), (len(taken) + 1) * classes
    said = np.bincount(place * classes + rival, minlength=size).reshape(shape)
    right = np.bincount((place * classes + rival)[rival == truth], minlength=size).reshape(shape)
    predicted, hits = (part[::-1].cumsum(axis=0)[::-1][1:] for part in (said, right))
    predicted[:, k], hits[:, k] = taken, np.cumsum(truth == k)[spots]
    support = np.broadcast_to(np.bincount(labels, minlength=classes), hits.shape)
    values = np.asarray(value(_occurring(Counts(hits, support, predicted))))
    good = np.flatnonzero(values >= values.max() - EQUAL)
    best = good[np.argmin(np.abs(cuts[good]))]
    return float(values[best]), float(cuts[best])


def _thinned(ends: np.ndarray, gained: np.ndarray) -> np.ndarray:
    """Of places to cut at those with something gained since the last one; CUTS of them at most, evenly."""
    worth = ends[np.diff(np.cumsum(gained)[ends], prepend=0) > 0]
    return worth[np.unique(np.linspace(0, len(worth) - 1, CUTS).round().astype(int))] if len(worth) else worth
