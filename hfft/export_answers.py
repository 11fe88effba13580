"""What an exported file answers, by the way that `hfft predict` takes, and how its own probabilities become answers.

In: the folder of an export, with the processor beside the file; its run; rows of the data. Out: predictions, and
calibration.json, thresholds.json and decision.json fitted to them. It must not know what is concluded.

Eight bits move the probabilities, so what was fitted to those of the model does not fit those of the file: temperature,
thresholds and sets are fitted anew, on the validation rows on which the run fitted its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np

from hfft import answering, calibrating, engines, inferring, predicting, segmenting, thresholds
from hfft.answer_rows import Rule
from hfft.backbones import Backbone
from hfft.errors import InputError
from hfft.mask_records import Answers
from hfft.recipe import Recipe
from hfft.records import VALIDATION, read_json, write_json
from hfft.run_folder import RunFolder, Shipped


def predicted(
    place: Path, run: RunFolder, wanted: Recipe, modality: ModuleType, backbone: Backbone, rows: datasets.Dataset
) -> Answers:
    """What the file in `place` answers to rows with `id` and `label` or `mask`: the likeliest class.

    The same sessions, batches and threads as `hfft predict --engine`. backbone: the model that the file was made of.
    """
    engine = engines.exported(place, modality)
    if modality.MASKS:
        served = engines.as_backbone(engine, backbone.model.config)
        return segmenting.predict([served], rows, wanted.model, inferring.mask_arguments(engine, wanted), beside=0)
    asked = inferring.Answerer(str(run.root), wanted, modality, (engine,), Rule(engine.names, engine.several))
    found = []
    for some in _inputs(rows, modality):
        scores, problems = asked.attempted(some)
        if problems:
            raise InputError(problems[min(problems)])
        found.append(scores)
    return predicting.predict(backbone, modality, rows, wanted.model, None, scores=np.concatenate(found))  # type: ignore[no-any-return]


def refitted(place: Path, run: RunFolder, wanted: Recipe, found: Any) -> dict[str, Any]:
    """Fit temperature, thresholds, sets and what `decide` says to the file's answers to validation rows, in `place`.

    Returns {"split", "n", "temperature", "before": the model's own}.
    """
    shipped, before = Shipped(run.root, place), calibrating.stored(run)
    trained = read_json(run.split)["counts"]["train"]
    answered = answering.tuned(shipped, wanted, found, trained)
    facts = calibrating.fitted(answered, wanted.abstain)
    write_json(place / calibrating.FILE, facts)
    told = {"split": VALIDATION, "n": found.n, "temperature": facts["temperature"]["value"]}
    return told | {"before": before and before["temperature"]["value"]}


def decided(place: Path, run: RunFolder, wanted: Recipe, found: Answers) -> Answers:
    """The same answers by the thresholds or biases in `place`, where there are any."""
    if wanted.masks:
        return found
    answers: Any = found
    if not answers.multi_label:
        return answering.applied(Shipped(run.root, place), wanted.decide, answers)
    return thresholds.applied(answers, thresholds.read(place / run.thresholds.name, answers.names))


def _inputs(rows: datasets.Dataset, modality: ModuleType) -> Iterator[list[Any]]:
    """The rows as `Answerer` takes them, so many at a time."""
    for start in range(0, max(len(rows), 1), inferring.WINDOW):
        some = rows[start : start + inferring.WINDOW]
        if modality.INPUT != "text":
            yield [source["bytes"] or source["path"] for source in some["image"]]
        elif "text_pair" in some:
            yield [(text or "", pair or "") for text, pair in zip(some["text"], some["text_pair"], strict=True)]
        else:
            yield [text or "" for text in some["text"]]
