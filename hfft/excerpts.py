"""Few rows for a rehearsal, the largest first of all: what fits with them fits with any.

In: a trial and the rows of a split. Out: rows in memory. It must not know what is done with them.
"""

from __future__ import annotations

import random
from types import ModuleType

import datasets
import numpy as np

from hfft.problems import Trial
from hfft.stopwatch import LEAST_STEPS

STEPS = 16  # at most: one of warm-up, and enough to tell the spread
ROWS = 4096  # training rows, at most, read into memory for it
PASS = 256  # validation rows of one batch, at most


def training_rows(trial: Trial, train: datasets.Dataset) -> datasets.Dataset:
    """Rows for STEPS steps: those of the first, which is not timed, are the largest, so that memory is honest."""
    step = max(1, trial.chosen["per_device_train_batch_size"] * trial.chosen.get("gradient_accumulation_steps", 1))
    return _sample(trial.modality, train, step, max(min(step * STEPS, ROWS), step * LEAST_STEPS), trial.wanted.seed)


def validation_rows(trial: Trial, validation: datasets.Dataset) -> datasets.Dataset:
    """Rows of two batches, the largest first."""
    size = max(1, min(trial.chosen["per_device_eval_batch_size"], PASS))
    return _sample(trial.modality, validation, size, 2 * size, trial.wanted.seed)


def _sample(modality: ModuleType, rows: datasets.Dataset, largest: int, count: int, seed: int) -> datasets.Dataset:
    """`count` rows in memory, where work on them leaves no cache on disk: the `largest` first, the others at random."""
    order = np.argsort(-modality.extents(rows), kind="stable").tolist()
    first, others = order[:largest], order[largest:]
    chosen = first + random.Random(seed).sample(others, min(len(others), max(count - len(first), 0)))
    picked = rows.select(chosen)
    return datasets.Dataset.from_dict({name: picked[name][:] for name in rows.column_names}, features=rows.features)
