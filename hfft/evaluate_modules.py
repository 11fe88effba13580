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
import scipy.special

from hfft import rooms, scoring
from hfft.counts import count


def load(name: str, names: tuple[str, ...]) -> evaluate.Metric:
    """The metric `name` of hfft/metrics/ for classes `names`.

    `compute(predictions=, references=)` takes class indices and returns plain floats under the keys of
    `scoring.points`; a metric that needs probabilities takes `prediction_scores=` (n, classes) in their place, as
    `evaluate` calls them. Predictions are gathered before they get here, so everything stays in memory of one process.
    Raises InputError for a metric that does not exist.
    """
    module = rooms.find("metrics", name)
    given = scores_name(name)

    class Local(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            integers = datasets.Value("int32")
            columns = {"predictions": integers, "prediction_scores": datasets.List(datasets.Value("float32"))}
            return evaluate.MetricInfo(
                description=module.__doc__ or name,
                citation="",
                inputs_description="predictions, references: class indices, one per row; scores: one per class.",
                features=datasets.Features({given: columns[given], "references": integers}),
            )

        def _compute(self, references: Sequence[int], **columns: Sequence[Any]) -> dict[str, float]:
            labels, found = np.asarray(references, np.int64), np.asarray(columns[given])
            if given == "prediction_scores":
                return scoring.graded_points(labels, found, [name], names)
            return scoring.points(count(labels, found, len(names)), [name], names)

    # `evaluate` names a metric after its class.
    Local.__name__ = Local.__qualname__ = name
    return Local(keep_in_memory=True)


def scores_name(name: str) -> str:
    """What the metric's `compute` takes beside references."""
    return "prediction_scores" if scoring.is_graded(rooms.find("metrics", name)) else "predictions"


def together(metrics: Sequence[str], names: tuple[str, ...]) -> Callable[[Any], dict[str, float]]:
    """What `Trainer` calls as compute_metrics: every metric of gathered logits, the same on one process and on many."""
    modules = {metric: load(metric, names) for metric in metrics}

    def compute(prediction: Any) -> dict[str, float]:
        logits = prediction.predictions
        given = {"predictions": logits.argmax(-1), "prediction_scores": scipy.special.softmax(logits, axis=-1)}
        out: dict[str, float] = {}
        for metric, module in modules.items():
            column = scores_name(metric)
            out |= module.compute(**{column: given[column]}, references=prediction.label_ids)
        return out

    return compute
