"""A finished run's model as functions from rows to answers, which is all that probes and scores need of it.

In: a run folder and its model in memory. Out: functions, which decide by what the run keeps beside its model:
thresholds, or what `decide` says. It must not know which split the rows are of.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import datasets

from hfft import answering, ensembling, int8_linear, probing, robustness, segmenting, thresholds
from hfft.ensembling import Ensemble
from hfft.gathering import Say
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder


def asker(
    wanted: Recipe, folder: RunFolder, model: Ensemble, modality: ModuleType, args: Any, layer: Any = None
) -> probing.Ask:
    """The model as a function from rows to predictions, by its thresholds or biases where it has any.

    layer: of predicting.outputs.
    """

    def ask(rows: datasets.Dataset) -> Any:
        found = ensembling.predict(model, modality, rows, wanted.model, args, layer)
        if not found.multi_label:
            return answering.applied(folder, wanted.decide, found)
        return thresholds.applied(found, thresholds.read(folder.thresholds, found.names))

    return ask


def in_int8(
    wanted: Recipe, folder: RunFolder, model: Ensemble, modality: ModuleType, args: Any, say: Say
) -> probing.Ask | None:
    """`asker` in 8 bits, where the recipe wants it and it can be had; no gate is decided by it."""
    if not wanted.speed.int8:
        return None
    if robustness.asked(wanted.gates):
        say("speed.int8: not for probes, because gates are decided by them")
        return None
    layer, told = int8_linear.chosen("probes", model.parts[0].model, args, modality.MASKS)
    say(told)
    return layer and asker(wanted, folder, model, modality, args, layer)


def segmenter(wanted: Recipe, model: Ensemble, modality: ModuleType, args: Any) -> probing.Segment | None:
    """Of masks, the model as a function from rows to a class for each pixel."""
    return segmenting.asker(model.parts, wanted.model, args) if modality.MASKS else None
