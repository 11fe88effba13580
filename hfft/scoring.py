"""From a prediction file to numbers with intervals.

In: `Predictions` and the names of metrics. Out: {key: Score}, and sentences on where the intervals are weak. This stage
must not know how the predictions were made or what is done with the scores. numpy only; no torch, no transformers.

Keys: "accuracy", "f1_macro" and so on for the whole split, then "f1[spam]" per class. Which classes enter an average is
fixed by the split: those with at least one true row, in every resample the same. That is scikit-learn's
`labels=<classes that occur>, zero_division=0`; its default also averages over classes that are only predicted, so that
the divisor depends on the model. micro runs over all rows, hence equals the accuracy (scikit-learn's with all labels).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Protocol

import numpy as np

from hfft import rooms
from hfft.counts import Counts, confusion, count
from hfft.errors import listed
from hfft.intervals import FEW_ERRORS, FEW_ROWS, Interval, Proportion, bca, wilson
from hfft.records import Predictions, Score

SHOWN = 5


class Metric(Protocol):
    """What a file in hfft/metrics/ must offer; the module itself is the metric, its file name the metric's name.

    Arrays of `counts` are (..., classes); leading axes are resamples and must be kept. Values lie in [0, 1], more is
    better, and 0 / 0 counts as 0: resamples lose classes. Adding a metric is adding a file with these three functions.
    """

    def score(self, counts: Counts) -> dict[str, np.ndarray]:
        """{key: array (...)} for the whole split. `counts` holds the classes that occur in the split, no others."""

    def per_class(self, counts: Counts) -> dict[str, np.ndarray]:
        """{name: array (..., classes)}; "f1" becomes the keys "f1[spam]", "f1[ham]". May be empty."""

    def proportions(self, counts: Counts) -> dict[str, Proportion]:
        """Those of the above that rest on one proportion, hence Wilson; the others are bootstrapped. May be empty."""


def score(predictions: Predictions, metrics: Sequence[str]) -> dict[str, Score]:
    """Every metric of the whole split, then every metric of each class.

    metrics: names from hfft/metrics/. n of a Score is what its value is a share of: all rows, the rows of the class
    (recall), the rows predicted as it (precision), the rows that are either (F1). Undefined values are None. The result
    depends on nothing but the arguments. Raises InputError for a metric that does not exist.
    """
    modules = [rooms.find("metrics", name) for name in metrics]
    matrix = confusion(predictions.labels, predictions.predicted, len(predictions.names))
    counts = count(predictions.labels, predictions.predicted, len(predictions.names))
    values = _points(counts, modules, predictions.names)
    proportions = _proportions(counts, modules, predictions.names)
    rest = [key for key in values if key not in proportions]
    spread = _bootstrapped(matrix, modules, predictions.names, rest) if predictions.n else {}
    scores = {}
    for key, value in values.items():
        if key in proportions:
            scores[key] = _exact(value, *proportions[key])
        elif key in spread:
            scores[key] = Score(value, spread[key].low, spread[key].high, predictions.n, spread[key].method)
        else:
            scores[key] = Score(None, None, None, 0, "undefined: no rows")
    return scores


def points(counts: Counts, metrics: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """The values alone, without intervals: plain floats under the keys of `score`, in its order.

    counts: arrays (classes,) over all names. What `score` calls undefined is 0 here, because a training loop needs a
    number under every key at every step.
    """
    return _points(counts, [rooms.find("metrics", name) for name in metrics], names)


def statistic(
    metrics: Sequence[str], names: Sequence[str], labels: np.ndarray
) -> Callable[[Counts], dict[str, np.ndarray]]:
    """The metrics of the whole split as a function of `Counts` with leading axes, for resamples of these labels."""
    modules = [rooms.find("metrics", name) for name in metrics]
    occurring = np.bincount(labels, minlength=len(names)) > 0

    def values(counts: Counts) -> dict[str, np.ndarray]:
        found = _values(counts, occurring, modules, names)
        return {key: value for key, value in found.items() if "[" not in key}

    return values


def keys(metrics: Sequence[str], names: Sequence[str]) -> list[str]:
    """All keys that `score` will give, known before training.

    >>> keys(["accuracy", "f1"], ["ham", "spam"])
    ['accuracy', 'f1_macro', 'f1_micro', 'f1_weighted', 'f1[ham]', 'f1[spam]']
    """
    ones = np.ones(len(names), dtype=np.int64)
    return list(points(Counts(ones, ones, ones), metrics, names))


def notes(predictions: Predictions) -> list[str]:
    """Sentences for people: where these rows are too few for the intervals to keep their 95 %, and what is left out."""
    if predictions.n == 0:
        return ["There are no rows: nothing can be said."]
    counts = count(predictions.labels, predictions.predicted, len(predictions.names))
    errors = int(counts.n - counts.hits.sum())
    said = []
    if absent := [name for name, rows in zip(predictions.names, counts.support, strict=True) if rows == 0]:
        said.append(
            f"{_classes(absent, 'has', 'have')} no rows here, so averages over classes leave "
            f"{'it' if len(absent) == 1 else 'them'} out and nothing is known about finding "
            f"{'it' if len(absent) == 1 else 'them'}."
        )
    order = np.argsort(counts.support, kind="stable")
    if few := [f"{predictions.names[k]} ({counts.support[k]})" for k in order if 0 < counts.support[k] < FEW_ROWS]:
        said.append(
            f"{_classes(few, 'has', 'have')} fewer than {FEW_ROWS} rows: "
            "the intervals of averages over classes may be too narrow."
        )
    silent = (counts.support > 0) & (counts.predicted == 0)
    if mute := [name for name, never in zip(predictions.names, silent, strict=True) if never]:
        said.append(f"{_classes(mute, 'is', 'are')} never predicted: the precision counts as 0 in averages.")
    if errors < FEW_ERRORS:
        said.append(
            f"Only {errors} of {predictions.n:,} rows {'is' if errors == 1 else 'are'} wrong: a bootstrap cannot see "
            "errors this rare, so the intervals of averages over classes are widened to what the rarest class allows."
        )
    return said


def _classes(names: list[str], one: str, many: str) -> str:
    return f"Class {names[0]} {one}" if len(names) == 1 else f"{len(names)} classes ({listed(names, SHOWN)}) {many}"


def _points(counts: Counts, modules: Sequence[ModuleType], names: Sequence[str]) -> dict[str, float]:
    values = _values(counts, _occurring(counts), modules, names)
    return {key: float(value) for key, value in values.items()}


def _values(
    counts: Counts, occurring: np.ndarray, modules: Sequence[ModuleType], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """{key: array (...)}: aggregates of all metrics, then classes."""
    some = Counts(counts.hits[..., occurring], counts.support[..., occurring], counts.predicted[..., occurring])
    values: dict[str, np.ndarray] = {}
    for module in modules:
        values |= module.score(some)
    for module in modules:
        for name, each in module.per_class(counts).items():
            values |= {f"{name}[{label}]": each[..., k] for k, label in enumerate(names)}
    return values


def _proportions(
    counts: Counts, modules: Sequence[ModuleType], names: Sequence[str]
) -> dict[str, tuple[Proportion, int, int]]:
    """{key: (proportion, successes, trials)}."""
    found: dict[str, tuple[Proportion, int, int]] = {}
    for module in modules:
        for key, share in module.proportions(counts).items():
            labels = [f"{key}[{label}]" for label in names] if np.ndim(share.trials) else [key]
            pairs = zip(labels, np.ravel(share.successes), np.ravel(share.trials), strict=True)
            found |= {label: (share, int(hits), int(rows)) for label, hits, rows in pairs}
    return found


def _exact(value: float, share: Proportion, successes: int, trials: int) -> Score:
    if trials == 0:
        return Score(None, None, None, 0, f"undefined: {share.undefined}")
    low, high = (float(share.link(end)) for end in wilson(successes, trials))
    return Score(value, low, high, trials, share.method)


def _bootstrapped(
    matrix: np.ndarray, modules: Sequence[ModuleType], names: Sequence[str], wanted: list[str]
) -> dict[str, Interval]:
    occurring = matrix.sum(axis=1) > 0

    def statistic(counts: Counts) -> dict[str, np.ndarray]:
        values = _values(counts, occurring, modules, names)
        return {key: values[key] for key in wanted}

    return bca(matrix, statistic) if wanted else {}


def _occurring(counts: Counts) -> np.ndarray:
    """Mask (classes,) of the classes with true rows; all of them when there are no rows, so that means exist."""
    occurring = counts.support > 0
    return occurring if occurring.any() else np.ones_like(occurring)
