"""A threshold and sets of classes: chosen on some rows, judged on others.

In: calibrated probabilities, labels, and the recipe's `abstain`; later what was chosen. Out: plain facts. numpy, scipy.
It must not know any file. One class per row only.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from hfft import abstaining, conformal
from hfft.means import mean, share
from hfft.schema import Abstain

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)  # of which accuracy is told
POINTS = 100  # of the curve on the page
KINDS = {"lac": conformal.lac, "aps": conformal.aps, "lac_per_class": conformal.lac}


def chosen(
    scores: np.ndarray, labels: np.ndarray, predicted: np.ndarray, names: tuple[str, ...], wanted: Abstain
) -> dict[str, Any]:
    """{"abstain": the promised threshold, "sets": quantiles} from rows that no probability was fitted to.

    scores: (n, classes), calibrated. predicted: the answers, whose own probability is their confidence, whether or not
    they are the likeliest class. A quantile that is None is infinite: too few rows, every class is in the set.
    """
    n, each = len(labels), np.arange(len(labels))
    answer = scores[each, predicted]
    promise = abstaining.promised(answer, predicted != labels, wanted.max_error, wanted.confidence)
    own = {kind: score(scores)[each, labels] for kind, score in KINDS.items()}
    by_class = conformal.per_class(own["lac_per_class"], labels, len(names), wanted.coverage)
    rows = np.bincount(labels, minlength=len(names))
    sets: dict[str, Any] = {"coverage": wanted.coverage, "n": n}
    sets |= {kind: {"quantile": _finite(conformal.quantile(own[kind], wanted.coverage))} for kind in ("lac", "aps")}
    sets["lac_per_class"] = {
        "quantiles": {name: _finite(float(q)) for name, q in zip(names, by_class, strict=True)},
        "rows": {name: int(count) for name, count in zip(names, rows, strict=True)},
    }
    return {"abstain": dataclasses.asdict(promise), "sets": sets}


def judged(
    scores: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    names: tuple[str, ...],
    units: np.ndarray | None,
    stored: dict[str, Any] | None,
) -> dict[str, Any]:
    """{"selective": risk and coverage, "sets": measured coverage and sizes} on test rows, n > 0.

    stored: what `chosen` gave; without it there is no promise to judge and there are no sets.
    """
    wrong = predicted != labels
    answer = scores[np.arange(len(labels)), predicted]
    area, excess = abstaining.areas(answer, wrong, units)
    coverage, risk = abstaining.curve(answer, wrong)
    spots = np.unique(np.ceil(np.linspace(0, 1, POINTS + 1)[1:] * len(labels)).astype(int)) - 1
    selective: dict[str, Any] = {
        "aurc": dataclasses.asdict(area),
        "e_aurc": dataclasses.asdict(excess),
        "curve": [[float(coverage[spot]), float(risk[spot])] for spot in spots],
        "at": [
            {"coverage": c, "accuracy": dataclasses.asdict(abstaining.accuracy_at(c, answer, wrong))} for c in COVERAGES
        ],
        "promise": None,
    }
    if not stored:
        return {"selective": selective, "sets": None}
    selective["promise"] = dict(stored["abstain"]) | _kept(answer, wrong, units, stored["abstain"])
    sets: dict[str, Any] = {"coverage": stored["sets"]["coverage"], "n": stored["sets"]["n"]}
    for kind, score in KINDS.items():
        limits = limits_of(stored["sets"], kind, names)
        sets[kind] = _measured(conformal.sets(score(scores), limits), labels, names, units)
        sets[kind]["chance"] = None if units is not None else _chance(stored["sets"], kind, labels, names)
        sets[kind]["infinite"] = [name for name, q in zip(names, limits, strict=True) if math.isinf(q)]
    return {"selective": selective, "sets": sets}


def limits_of(stored: dict[str, Any], kind: str, names: tuple[str, ...]) -> np.ndarray:
    """The quantile of each class, (classes,), as stored; None becomes infinite."""
    own = stored[kind]
    found = [own["quantiles"][name] if "quantiles" in own else own["quantile"] for name in names]
    return np.array([math.inf if q is None else q for q in found])


def _kept(answer: np.ndarray, wrong: np.ndarray, units: np.ndarray | None, promise: dict[str, Any]) -> dict[str, Any]:
    """How the promise fares on these rows. verdict: "kept" or "broken" when the interval says so, else "in line"."""
    if promise["threshold"] is None:
        return {"on_test": None}
    kept = answer >= promise["threshold"]
    some = None if units is None else units[kept]
    error = share(wrong[kept], some)
    verdict = "no answers"
    if error.high is not None and error.low is not None:
        verdict = "kept" if error.high <= promise["max_error"] else "in line"
        verdict = "broken" if error.low > promise["max_error"] else verdict
    told = {"answered": dataclasses.asdict(share(kept, units)), "error": dataclasses.asdict(error)}
    return {"on_test": told | {"verdict": verdict}}


def _measured(
    inside: np.ndarray, labels: np.ndarray, names: tuple[str, ...], units: np.ndarray | None
) -> dict[str, Any]:
    """What sets, masks (n, classes), do: coverage with interval, size, how many hold one class or none."""
    sizes, each = inside.sum(axis=1), inside[np.arange(len(labels)), labels]
    facts: dict[str, Any] = {
        "coverage": dataclasses.asdict(share(each, units)),
        "size": dataclasses.asdict(mean(sizes.astype(float), units, (0.0, float(len(names))))),
        "singletons": dataclasses.asdict(share(sizes == 1, units)),
        "empty": dataclasses.asdict(share(sizes == 0, units)),
    }
    facts["per_class"] = {}
    for k, name in enumerate(names):
        rows = labels == k
        facts["per_class"][name] = dataclasses.asdict(share(each[rows], None if units is None else units[rows]))
    return facts


def _chance(stored: dict[str, Any], kind: str, labels: np.ndarray, names: tuple[str, ...]) -> list[float]:
    """What the measured coverage may be while the promise holds, rows being independent."""
    tested = np.bincount(labels, minlength=len(names))
    rows = stored[kind].get("rows")
    calibrated = np.array([rows[name] for name in names] if rows else [stored["n"]])
    return list(conformal.chance(calibrated, tested if rows else tested.sum(keepdims=True), stored["coverage"]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
