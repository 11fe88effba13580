"""Does a model that was saved elsewhere answer as the run's own does? A few validation rows, read again, tell.

In: a run folder and another folder with its model. Out: how many rows, and how far the two are apart. The test split
stays closed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hfft import backbones, gathering, predicting, recipe, rooms, segmenting, trainer_arguments
from hfft.errors import InputError, counted
from hfft.run_folder import RunFolder

ROWS = 20
NEAR = 1e-4  # of a probability: rounding


def compared(run: RunFolder, other: Path) -> dict[str, Any]:
    """{"rows", "largest_gap", "different": answers that are not the same}; {"why"} where no rows can be read here."""
    wanted = recipe.load(str(run.root))
    modality = rooms.find("modalities", wanted.task)
    try:
        rows = gathering.held_back(wanted, run, "validation")
    except InputError as error:
        return {"rows": 0, "why": str(error)}
    rows = rows.select(range(min(ROWS, len(rows))))
    args = trainer_arguments.arguments(wanted, run, fitting=False)
    models = [backbones.reload(folder, modality) for folder in (run.model, other)]
    if backbones.class_order(models[0].model) != backbones.class_order(models[1].model):
        return {"rows": len(rows), "largest_gap": None, "different": len(rows)}
    if modality.MASKS:
        masks = [segmenting.asker([model], wanted.model, args)(rows) for model in models]
        apart = [float(np.mean(a != b)) for a, b in zip(*masks, strict=True)]
        return {"rows": len(rows), "largest_gap": max(apart), "different": sum(one > 0 for one in apart)}
    here, there = (predicting.probabilities(model, modality, rows, wanted.model, args) for model in models)
    gap = np.abs(here - there).max(axis=1)
    flips = (here >= 0.5) != (there >= 0.5) if wanted.data.multi_label else here.argmax(1) != there.argmax(1)
    bad = (gap > NEAR) | (flips.any(axis=1) if flips.ndim > 1 else flips)
    return {"rows": len(rows), "largest_gap": float(gap.max()), "different": int(bad.sum())}


def sentence(facts: dict[str, Any]) -> str:
    """What `compared` found."""
    if not facts["rows"]:
        return f"answers were not compared, because the validation rows cannot be read here ({facts['why']})"
    if facts["different"]:
        return f"{facts['different']} of {counted(facts['rows'], 'validation row')} are answered otherwise"
    return f"the same answers to {counted(facts['rows'], 'validation row')}"
