"""hfft's metrics as local `evaluate.Metric` objects: what a Trainer, or anybody who uses `evaluate`, can call.

In: a metric's name and the class names. Out: an object whose `compute` gives the values of `hfft.scoring`, without
intervals. Nothing is fetched: `evaluate.load` would run a script from the Hub, or from a folder of that name in the
current directory. Importing `evaluate` costs seconds and brings torch, so only training may import this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from hfft import rooms, scoring
from hfft.counts import count


def load(name: str, names: tuple[str, ...], multi_label: bool = False) -> evaluate.Metric:
    """The metric `name` of hfft/metrics/ for classes `names`.

    `compute(predictions=, references=)` takes class indices and returns plain floats under the keys of
    `scoring.points`; with multi_label they are 0 or 1 for each class, (n, classes). Predictions are gathered before
    they get here, so everything stays in memory of one process.
    Raises InputError for a metric that does not exist.
    """
    module = rooms.find("metrics", name)

    class Local(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            integers = datasets.Value("int32")
            each = datasets.List(integers) if multi_label else integers
            return evaluate.MetricInfo(
                description=module.__doc__ or name,
                citation="",
                inputs_description="predictions, references: class indices, one per row.",
                features=datasets.Features({"predictions": each, "references": each}),
            )

        def _compute(self, predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
            kind = bool if multi_label else np.int64
            counts = count(np.asarray(references, kind), np.asarray(predictions, kind), len(names))
            return scoring.points(counts, [name], names)

    # `evaluate` names a metric after its class.
    Local.__name__ = Local.__qualname__ = name
    return Local(keep_in_memory=True)
