"""All that is said about one set of probabilities: calibration errors beside what noise would show, proper scores.

In: probabilities, labels, answers, units. Out: plain facts. numpy, scipy. It must not know whether a temperature was
applied, nor any file.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hfft import binning, nulls, tempering
from hfft.binning import BINS
from hfft.means import loss, mean
from hfft.records import Score

KINDS = {"ece": binning.equal_width, "adaptive_ece": binning.equal_mass}


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """bool (n, classes) of class indices (n,); what is bool (n, classes) stays."""
    return labels if labels.ndim == 2 else labels[:, None] == np.arange(classes)


def brier(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each row's squared error (n,), of which metrics/brier.py is the mean: summed over the classes (Brier 1950; 0 to
    2), of two classes that of one of them (0 to 1), and the classes' mean with several per row.

    >>> brier(np.array([[0.75, 0.25]]), np.array([0])).tolist()
    [0.0625]
    """
    squares = (scores - one_hot(labels, scores.shape[1])) ** 2
    return squares.mean(axis=1) if labels.ndim == 2 or squares.shape[1] == 2 else squares.sum(axis=1)


def measured(
    scores: np.ndarray, labels: np.ndarray, predicted: np.ndarray, names: tuple[str, ...], units: np.ndarray | None
) -> dict[str, Any]:
    """The facts. scores: (n, classes), n > 0. labels, predicted: class indices (n,), or bool (n, classes).

    {nll, brier: scores; classwise_ece: with a null and one entry per class; and, with one class per row: ece and
    adaptive_ece with interval and null; lean: confidence minus accuracy; bins: of the diagram}.
    """
    p = scores.astype(np.float64)
    several, n = labels.ndim == 2, len(labels)
    truth = one_hot(labels, p.shape[1])
    answer = None if several else p[np.arange(n), predicted]
    tops = {} if answer is None else {kind: place(answer) for kind, place in KINDS.items()}
    cells = nulls.Cells(p, None if several else predicted, binning.equal_width(p), BINS, tops)
    # Classes of one row come together, which independent draws would not: a row's are turned as one.
    drawn = np.arange(n) if several and units is None else units
    seen, draws = nulls.seen(cells, truth), nulls.shown(cells, truth, drawn)
    facts: dict[str, Any] = {
        "nll": dataclasses.asdict(loss(tempering.log_loss(scores, labels), units)),
        "brier": dataclasses.asdict(loss(brier(p, labels), units)),
        "classwise_ece": _classwise(seen["classes"], draws["classes"], names, truth.sum(axis=0), n),
    }
    if answer is None:
        return facts
    hits = (predicted == labels).astype(float)
    for kind, place in tops.items():
        null = _null(draws[kind])
        value, (low, high, method) = float(seen[kind]), binning.interval(answer, hits, place, units)
        above = value > null["high"]
        score = Score(value, low if above else 0.0, high, n, method)  # noise alone would do: the truth may be 0
        facts[kind] = dataclasses.asdict(score) | {"null": null, "miscalibrated": above}
    facts["lean"] = dataclasses.asdict(mean(answer - hits, units, (-1.0, 1.0)))
    facts["bins"] = binning.diagram(answer, hits, tops["ece"])
    return facts


def _classwise(seen: np.ndarray, draws: np.ndarray, names: tuple[str, ...], rows: np.ndarray, n: int) -> dict[str, Any]:
    """Mean over the classes, then each class: value beside its null. rows: of each class."""
    whole, null = float(seen.mean()), _null(draws.mean(axis=1))
    each = []
    for k, name in enumerate(names):
        own = _null(draws[:, k])
        value = float(seen[k])
        each.append({"name": name, "value": value, "n": n, "rows": int(rows[k])})
        each[-1] |= {"null": own, "miscalibrated": value > own["high"]}
    return {"value": whole, "n": n, "null": null, "miscalibrated": whole > null["high"], "classes": each}


def _null(draws: np.ndarray) -> dict[str, Any]:
    """What a perfectly calibrated model would show: on average, and at most in 95 % of the draws."""
    # Sums in another order differ by rounding; a model without any noise must not be called miscalibrated for that.
    return {"mean": float(draws.mean()), "high": float(nulls.threshold(draws)) + 1e-9, "draws": len(draws)}
