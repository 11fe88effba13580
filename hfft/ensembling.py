"""The model of a run, or the models of a cross-validation's folds as one: the mean of their probabilities.

In: a finished run folder, or a folder of folds. Out: probabilities and predictions for rows, a digest of all weights.
It must not know which split the rows are of, nor how answers are decided. The mean of probabilities, weights untouched:
Breiman 1996, Bagging predictors, section 4.1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import datasets
import numpy as np
from transformers import TrainingArguments

from hfft import backbones, predicting, recipe, segmenting
from hfft.backbones import Backbone
from hfft.errors import InputError
from hfft.recipe import Model
from hfft.references import sha256
from hfft.run_folder import RunFolder


@dataclass(frozen=True)
class Ensemble:
    """parts: one model, or several that know the same classes in the same order."""

    parts: tuple[Backbone, ...]

    @property
    def processor(self) -> Any:
        """What makes inputs of rows: the same for all."""
        return self.parts[0].processor

    @property
    def names(self) -> tuple[str, ...]:
        return backbones.class_order(self.parts[0].model)


def reload(folder: RunFolder, modality: ModuleType) -> Ensemble:
    """The saved model of a run, or those of all folds, all in memory at once. Raises InputError as loading does."""
    found = Ensemble(tuple(backbones.reload(run.model, modality) for run in folder.members or [folder]))
    specs = [recipe.load(str(run.root)).model for run in folder.members]
    if any(spec != specs[0] for spec in specs):
        raise InputError(
            f"{folder.root}: the search chose another `model` in some folds, so they are no one model; type hfft eval "
            f"{folder.members[0].root} for a single one"
        )
    if any(backbones.class_order(part.model) != found.names for part in found.parts):
        raise InputError(f"{folder.root}: its folds know different classes, so their answers have no mean")
    return found


def weights(folder: RunFolder) -> str:
    """Digest of a run's weights; of folds, of all of theirs."""
    if not folder.members:
        return sha256(folder.model / "model.safetensors")
    each = [sha256(run.model / "model.safetensors") for run in folder.members]
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def predict(
    ensemble: Ensemble,
    modality: ModuleType,
    rows: datasets.Dataset,
    spec: Model,
    args: TrainingArguments,
    layer: Any = None,
) -> Any:
    """As `predicting.predict`: of several models the likeliest class by their mean, or those of at least one half."""
    if modality.MASKS:
        return segmenting.predict(ensemble.parts, rows, spec, args)
    parts = [predicting.predict(part, modality, rows, spec, args, layer=layer) for part in ensemble.parts]
    if len(parts) == 1:
        return parts[0]
    scores = _mean([part.scores for part in parts])
    predicted = scores >= 0.5 if parts[0].multi_label else scores.argmax(axis=1)
    return replace(parts[0], scores=scores, predicted=predicted)


def _mean(parts: list[np.ndarray]) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.mean([part.astype(np.float64) for part in parts], axis=0).astype(np.float32)
