"""The verb `explain`: beside `verbs`, where stages meet. Which words, or which part of a picture, spoke for an answer.

In: a finished run, and inputs, row ids or a number of mistakes. Out: plain facts, and a file for each in the run
folder. Like verbs.py, this is a place where stages meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hfft import (
    agreements,
    answering,
    backbones,
    evidence,
    explained_files,
    picture_saliency,
    randomising,
    recipe,
    rooms,
    selecting,
    text_saliency,
    working,
)
from hfft.errors import InputError, counted, listed
from hfft.gathering import Say
from hfft.run_folder import RunFolder
from hfft.selecting import Subject


@working.on("explain")
def explain(
    name: str,
    inputs: Sequence[Any] = (),
    ids: Sequence[str] = (),
    mistakes: int = 0,
    chosen: str | None = None,
    say: Say = print,
) -> dict[str, Any]:
    """Explain the answers to inputs, to rows by their ids, and to the surest mistakes on validation.

    chosen: the class to explain, by default each row's answer. Returns {"run", "task", "rho", "explained": [{"id",
    "label", "prediction", "probability", "class", "sanity", "sentences", "file", …}]}. Raises InputError where there
    is nothing to explain, or a row or a class is not known.
    """
    folder = RunFolder.existing(name)
    wanted = agreements.of_rows(recipe.load(str(folder.root)), "explain")
    modality = rooms.find("modalities", wanted.task)
    subjects = selecting.subjects(folder, wanted, modality, inputs, ids, mistakes)
    backbone = backbones.reload(folder.model, modality)
    model, several = backbone.model, backbones.several(backbone.model)
    model.to("cuda" if torch.cuda.is_available() else "cpu").requires_grad_(False)
    names = backbones.class_order(model)
    if chosen is not None and chosen not in names:
        raise InputError(f"--class {chosen!r}: the model has no such class; it has {listed(names)}")
    way = text_saliency if "text" in modality.ROLES else picture_saliency
    rows = [way.prepared(subject.row, backbone, modality, wanted.model) for subject in subjects]
    with torch.no_grad():
        logits = [way.logits(model, row) for row in rows]
    bias = None if several else answering.biases(folder, wanted.decide, names)
    said = [evidence.surest(found, bias) for found in logits]
    targets = said if chosen is None else [names.index(chosen)] * len(said)
    many = counted(len(rows), "input")
    say(f"{folder.root.name}: {many}, by this model and by {randomising.ROUNDS} of random weights")

    found: list[Any] = [way.explained(model, row, k, several) for row, k in zip(rows, targets, strict=True)]

    def again(other: Any) -> list[Any]:
        asked = zip(rows, targets, found, strict=True)
        return [way.explained(other, row, target, several, one).parts for row, target, one in asked]

    checks = randomising.check([one.parts for one in found], again, model)
    facts = []
    asked = zip(subjects, rows, found, checks, logits, said, targets, strict=True)
    for subject, row, one, check, given, answer, target in asked:
        chance = evidence.probability(given, target, several)
        own = {"id": subject.id, "label": subject.label, "prediction": names[answer], "class": names[target]}
        told = [*([subject.note] if subject.note else []), *way.sentences(row, one), check.sentence]
        written = way.content(_title(subject, names[target], chance), told, row, one)
        path = explained_files.write(folder.explained, _stem(subject, chosen), way.ENDING, written)
        sane = {"rho": check.rho, "rhos": list(check.rhos), "failed": check.failed}
        facts.append(own | {"probability": chance, "sanity": sane, "sentences": told, "file": str(path)})
        facts[-1] |= way.facts(row, one)
    rhos = [check.rho for check in checks if check.rho is not None]
    rho = float(np.mean(rhos)) if rhos else None
    return {"run": str(folder.root), "task": wanted.task, "rho": rho, "explained": facts}


def _title(subject: Subject, name: str, chance: float) -> str:
    labelled = "" if subject.label is None else f"; labelled {subject.label!r}"
    return f"What speaks for {name!r} (probability {chance:.3f}{labelled})"


def _stem(subject: Subject, chosen: str | None) -> str:
    return subject.id if chosen is None else f"{subject.id}-{chosen}"
