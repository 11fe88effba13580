"""From a prediction file to numbers with intervals.

In: `Predictions` and the names of metrics. Out: {key: Score}, and sentences on where the intervals are weak. This stage
must not know how the predictions were made or what is done with the scores. numpy only; no torch, no transformers.

Keys: "accuracy", "f1_macro" and so on for the whole split, then "f1[spam]" per class. Which classes enter an average is
fixed by the split: those with at least one true row, in every resample the same. That is scikit-learn's
`labels=<classes that occur>, zero_division=0`; its default also averages over classes that are only predicted, so that
the divisor depends on the model. micro runs over all rows, hence equals the accuracy where each row has one class.

A metric is made of predicted classes (`Counted`) or of probabilities (`Graded`). `Counted` metrics marked
`MASKS = True` are of masks (semantic segmentation) and count pixels; `MaskPredictions` are asked for those and no
others. Their witnesses are images, never pixels: see `image_intervals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Protocol

import numpy as np

from hfft import estimates, mask_scores, resamples, rooms
from hfft.counts import Counts, count
from hfft.errors import InputError, listed
from hfft.estimates import Estimate
from hfft.intervals import Interval, Moments, Proportion, bca, effective, moments, wilson
from hfft.mask_records import Answers, MaskPredictions
from hfft.records import Predictions, Score
from hfft.resamples import Sample


class Counted(Protocol):
    """What a file in hfft/metrics/ offers for predicted classes; the module is the metric, its file name the name.

    Arrays of `counts` are (..., classes); leading axes are resamples and must be kept. Values are at most 1, more is
    better, and 0 / 0 counts as 0: resamples lose classes. `MULTI_LABEL = False` where several classes per row make no
    sense; `MASKS = True` for metrics of masks. Adding a metric is adding a file with these three functions.
    """

    def score(self, counts: Counts) -> dict[str, np.ndarray]:
        """{key: array (...)} for the whole split; averages over classes are `counts.mean` and `counts.weighted`."""

    def per_class(self, counts: Counts) -> dict[str, np.ndarray]:
        """{name: array (..., classes)}; "f1" becomes the keys "f1[spam]", "f1[ham]". May be empty."""

    def proportions(self, counts: Counts) -> dict[str, Proportion]:
        """Those of the above that rest on one proportion, hence Wilson; the others are bootstrapped. May be empty."""


class Graded(Protocol):
    """What a file in hfft/metrics/ offers for probabilities."""

    def estimates(
        self, labels: np.ndarray, scores: np.ndarray
    ) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
        """({key: of the whole split}, {name: one per class}); labels as in `Predictions`, scores (n, classes)."""


def score(predictions: Answers, metrics: Sequence[str]) -> dict[str, Score]:
    """Every metric of the whole split, then every metric of each class.

    metrics: names from hfft/metrics/. n of a Score is what its value is a share of: all rows, the rows of the class
    (recall), the rows predicted as it (precision), the rows that are either (F1); of masks it is images: all, or those
    that truly hold the class. Undefined values are None. The result depends on nothing but the arguments.
    Raises InputError for a metric that does not exist or is of another kind.
    """
    masks = isinstance(predictions, MaskPredictions)
    wanted = keys(metrics, predictions.names, predictions.multi_label, masks)
    if not predictions.n:
        return dict.fromkeys(wanted, Score(None, None, None, 0, f"undefined: no {'images' if masks else 'rows'}"))
    if isinstance(predictions, MaskPredictions):
        modules = _kinds(metrics)[0]
        found = mask_scores.of(predictions, lambda counts: _values(counts, modules, predictions.names))
        return {key: found[key] for key in wanted}
    counted, graded = _kinds(metrics)
    found = _counted_scores(predictions, counted) | _graded_scores(predictions, graded)
    return {key: found[key] for key in wanted}


def points(counts: Counts, metrics: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """The values alone of `Counted` metrics, without intervals: plain floats under the keys of `score`, in its order.

    counts: arrays (classes,) over all names; of masks, `counts.of_cells`. What `score` calls undefined is 0 here,
    because a training loop needs a number under every key at every step; boundary_f1 is left out where `counts` has no
    edges.
    """
    counts = replace(counts, occurring=_occurring(counts))
    return {key: float(value) for key, value in _values(counts, _kinds(metrics)[0], names).items()}


def graded_points(
    labels: np.ndarray, scores: np.ndarray, metrics: Sequence[str], names: Sequence[str]
) -> dict[str, float]:
    """The same of `Graded` metrics, from labels as in `Predictions` and probabilities (n, classes)."""
    found = _estimates(labels, scores, _kinds(metrics)[1], names)
    return {key: part.value or 0.0 for key, part in found.items()}


def statistic(metrics: Sequence[str]) -> Callable[[Counts], dict[str, np.ndarray]]:
    """The `Counted` metrics of the whole split as a function of `Counts` with leading axes."""
    modules = _kinds(metrics)[0]

    def values(counts: Counts) -> dict[str, np.ndarray]:
        return {key: value for module in modules for key, value in module.score(counts).items()}

    return values


def graded(predictions: Predictions, metrics: Sequence[str]) -> dict[str, Estimate]:
    """The `Graded` metrics of the whole split."""
    found = _estimates(predictions.labels, predictions.scores, _kinds(metrics)[1], predictions.names)
    return {key: part for key, part in found.items() if "[" not in key}


def keys(metrics: Sequence[str], names: Sequence[str], multi_label: bool = False, masks: bool = False) -> list[str]:
    """All keys that `score` will give, known before training. Raises InputError for what cannot be scored.

    masks: of predicted masks; metrics are then others than those of rows.

    >>> keys(["accuracy", "f1"], ["ham", "spam"])
    ['accuracy', 'f1_macro', 'f1_micro', 'f1_weighted', 'f1[ham]', 'f1[spam]']
    """
    modules = [rooms.find("metrics", name) for name in metrics]
    single = [name for name, module in zip(metrics, modules, strict=True) if not getattr(module, "MULTI_LABEL", True)]
    if multi_label and single:
        raise InputError(
            f"metrics: {listed(single)} is for one class per row, and here several may apply; leave it out"
        )
    if wrong := [name for name, module in zip(metrics, modules, strict=True) if is_of_masks(module) != masks]:
        fitting = [name for name in rooms.names("metrics") if is_of_masks(rooms.find("metrics", name)) == masks]
        scored, here = ("rows", "masks") if masks else ("masks", "rows")
        raise InputError(
            f"metrics: {listed(wrong)} {'is' if len(wrong) == 1 else 'are'} for {scored}, and here {here} are scored; "
            f"type metrics=[{'mean_iou, pixel_accuracy' if masks else 'accuracy, f1'}]; "
            f"known here: {listed(fitting, 20)}"
        )
    labels = np.eye(len(names), dtype=bool) if multi_label else np.arange(len(names))
    every = count(labels, labels, len(names))
    if masks:
        every = replace(every, edges=np.zeros((len(names), resamples.EDGES), dtype=np.int64))
    even = np.full((len(names), len(names)), 1 / max(len(names), 1))
    found: list[str] = []
    for module in modules:
        part = _estimates(labels, even, [module], names) if is_graded(module) else _values(every, [module], names)
        found += part
    if not found:
        raise InputError(
            f"metrics: {listed(metrics)} gives no number for {listed(names)}; add another, such as accuracy"
        )
    return [key for key in found if "[" not in key] + [key for key in found if "[" in key]


def _kinds(metrics: Sequence[str]) -> tuple[list[ModuleType], list[ModuleType]]:
    """(Counted, Graded) modules."""
    modules = [rooms.find("metrics", name) for name in metrics]
    return [m for m in modules if not is_graded(m)], [m for m in modules if is_graded(m)]


def is_graded(module: ModuleType) -> bool:
    """Whether a metric needs probabilities."""
    return hasattr(module, "estimates")


def is_of_masks(module: ModuleType) -> bool:
    """Whether a metric counts pixels of masks."""
    return getattr(module, "MASKS", False)


def _estimates(
    labels: np.ndarray, scores: np.ndarray, modules: Sequence[ModuleType], names: Sequence[str]
) -> dict[str, Estimate]:
    whole: dict[str, Estimate] = {}
    per_class: dict[str, Estimate] = {}
    for module in modules:
        of_all, each = module.estimates(labels, scores)
        whole |= of_all
        per_class |= {f"{key}[{name}]": p for key, parts in each.items() for name, p in zip(names, parts, strict=True)}
    return whole | per_class


def _graded_scores(predictions: Predictions, modules: Sequence[ModuleType]) -> dict[str, Score]:
    found, groups = {}, estimates.numbered(predictions.groups)
    for key, part in _estimates(predictions.labels, predictions.scores, modules, predictions.names).items():
        if part.value is None:
            found[key] = Score(None, None, None, 0, f"undefined: {part.undefined}")
        elif part.kind == estimates.MEAN and estimates.spread(part.pull, groups)[2] < 2:
            found[key] = Score(part.value, None, None, predictions.n, "no interval: one row or group alone")
        else:
            found[key] = Score(part.value, *_ends(estimates.interval(part, groups), predictions.n))
    return found


def _ends(spread: Interval, n: int) -> tuple[float, float, int, str]:
    return spread.low, spread.high, n, spread.method


def _values(counts: Counts, modules: Sequence[ModuleType], names: Sequence[str]) -> dict[str, np.ndarray]:
    """{key: array (...)}: aggregates of all metrics, then classes."""
    values: dict[str, np.ndarray] = {}
    for module in modules:
        values |= module.score(counts)
    for module in modules:
        for name, each in module.per_class(counts).items():
            values |= {f"{name}[{label}]": each[..., k] for k, label in enumerate(names)}
    return values


def _counted_scores(predictions: Predictions, modules: Sequence[ModuleType]) -> dict[str, Score]:
    names = predictions.names
    sample = resamples.sample(predictions.labels, [predictions.predicted], len(names), predictions.groups)
    counts = sample.counts(sample.times)
    values = {key: float(value) for key, value in _values(counts, modules, names).items()}
    shares = _shares(counts, modules, names)
    clusters = _clusters(sample, modules, names) if sample.grouped or sample.multi_label else {}
    found = {key: _exact(values[key], *shares[key], clusters.get(key), sample.grouped) for key in shares}
    rest = [key for key in values if key not in shares]

    def some(counts: Counts) -> dict[str, np.ndarray]:
        every = _values(counts, modules, names)
        return {key: every[key] for key in rest}

    for key, spread in (bca(sample, some) if rest else {}).items():
        low, high, n, method = _ends(spread, predictions.n)
        found[key] = Score(values[key], low, high, n, method + ", drawn by group" * sample.grouped)
    return found


def _shares(
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


def _clusters(sample: Sample, modules: Sequence[ModuleType], names: Sequence[str]) -> dict[str, Moments]:
    """{key: how successes and trials of a proportion lie together within draws}."""
    sums: dict[str, np.ndarray] = {}
    for some, one in sample.each():
        for module in modules:
            for key, share in module.proportions(one).items():
                sums[key] = sums.get(key, 0) + moments(sample.times[some], share.successes, share.trials)
    found: dict[str, Moments] = {}
    for key, told in sums.items():
        labels = [f"{key}[{label}]" for label in names] if told.ndim == 2 else [key]
        found |= {label: Moments(*row) for label, row in zip(labels, np.atleast_2d(told).tolist(), strict=True)}
    return found


def _exact(
    value: float, share: Proportion, successes: int, trials: int, cluster: Moments | None, grouped: bool
) -> Score:
    """Wilson; where draws hold several trials, on as many as they are worth."""
    if trials == 0:
        return Score(None, None, None, 0, f"undefined: {share.undefined}")
    worth, method = float(trials), share.method
    if cluster and cluster.trials_trials > cluster.trials:
        worth, method = effective(cluster), f"{share.method}, clustered by {'group' if grouped else 'row'}"
    low, high = (float(share.link(end)) for end in wilson(min(successes * (worth / trials), worth), worth))
    return Score(value, min(low, value), max(high, value), trials, method)


def _occurring(counts: Counts) -> np.ndarray:
    """Mask (classes,) of the classes with true rows; all of them when there are no rows, so that means exist."""
    occurring = counts.support > 0
    return occurring if occurring.any() else np.ones_like(occurring)
