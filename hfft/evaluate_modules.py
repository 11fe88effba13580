"""hfft's metrics as local `evaluate.Metric` objects: what a Trainer, or anybody who uses `evaluate`, can call.

In: a metric's name and the class names. Out: an object whose `compute` gives the values of `hfft.scoring`, without
intervals. Nothing is fetched: `evaluate.load` would run a script from the Hub, or from a folder of that name in the
current directory. Importing `evaluate` costs seconds and brings torch, so only training may import this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from scipy.special import expit, softmax

from hfft import rooms, scoring
from hfft.counts import count


def load(name: str, names: tuple[str, ...], multi_label: bool = False) -> evaluate.Metric:
    """The metric `name` of hfft/metrics/ for classes `names`.

    `compute(predictions=, references=)` takes class indices and returns plain floats under the keys of
    `scoring.points`; a metric that needs probabilities takes `prediction_scores=` (n, classes) in their place, as
    `evaluate` calls them. With multi_label, predictions and references are 0 or 1 for each class, (n, classes).
    Predictions are gathered before they get here, so everything stays in memory of one process.
    Raises InputError for a metric that does not exist.
    """
    module = rooms.find("metrics", name)
    given = scores_name(name)

    class Local(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            integers = datasets.Value("int32")
            each = datasets.List(integers) if multi_label else integers
            columns = {"predictions": each, "prediction_scores": datasets.List(datasets.Value("float32"))}
            return evaluate.MetricInfo(
                description=module.__doc__ or name,
                citation="",
                inputs_description="predictions, references: class indices, one per row; scores: one per class.",
                features=datasets.Features({given: columns[given], "references": each}),
            )

        def _compute(self, references: Sequence[Any], **columns: Sequence[Any]) -> dict[str, float]:
            labels, found = np.asarray(references, bool if multi_label else np.int64), np.asarray(columns[given])
            if given == "prediction_scores":
                return scoring.graded_points(labels, found, [name], names)
            return scoring.points(count(labels, found.astype(labels.dtype), len(names)), [name], names)

    # `evaluate` names a metric after its class.
    Local.__name__ = Local.__qualname__ = name
    return Local(keep_in_memory=True)


def scores_name(name: str) -> str:
    """What the metric's `compute` takes beside references."""
    return "prediction_scores" if scoring.is_graded(rooms.find("metrics", name)) else "predictions"


def together(
    metrics: Sequence[str], names: tuple[str, ...], multi_label: bool = False
) -> Callable[[Any], dict[str, float]]:
    """What `Trainer` calls as compute_metrics: every metric of gathered logits, the same on one process and on many.

    multi_label: a class applies whose probability is above one half; thresholds are tuned when training is over.
    """
    modules = {metric: load(metric, names, multi_label) for metric in metrics}

    def compute(prediction: Any) -> dict[str, float]:
        logits, references = prediction.predictions, prediction.label_ids
        if multi_label:
            given, references = {"predictions": logits > 0, "prediction_scores": expit(logits)}, references > 0.5
        else:
            given = {"predictions": logits.argmax(-1), "prediction_scores": softmax(logits, axis=-1)}
        out: dict[str, float] = {}
        for metric, module in modules.items():
            column = scores_name(metric)
            out |= module.compute(**{column: given[column]}, references=references)
        return out

    return compute
