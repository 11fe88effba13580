"""What a model's test scores are held against: the baselines' predictions for the same test rows, into the run folder.

In: test and training rows of a run, the model's predictions. Out: predictions/test_<baseline>.parquet, sentences on
what a baseline did not see, and from the same features the training rows that are nearest to the surest mistakes. Like
verbs.py, this is a place where stages meet; it judges nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import backbones, baselines, features, labelsets, likening, mask_baselines, masks, predicting, timeline
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.mask_records import Answers, MaskPredictions
from hfft.recipe import Recipe
from hfft.records import Predictions, SplitReport, read_json, write_json, write_whole
from hfft.run_folder import RunFolder

NEIGHBOURS = pa.schema(
    {"id": pa.string(), "rank": pa.int64(), "similarity": pa.float64(), "train_id": pa.string(), "label": pa.string()}
    | {"text": pa.string(), "text_pair": pa.string(), "image": pa.binary(), "finding": pa.string()}
    | {"sentence": pa.string()}
)
PROBED = 5_000  # training rows that the linear probe sees, at most: more cost minutes of `eval` and add little


@dataclasses.dataclass(frozen=True)
class Seen:
    """Features of the pretrained model: of training rows (m, d), which are `rows`, and of test rows (n, d)."""

    train: np.ndarray
    rows: datasets.Dataset
    test: np.ndarray


@timeline.phase("baselines")
def seen(
    wanted: Recipe, modality: ModuleType, train: datasets.Dataset, rows: datasets.Dataset, args: Any, say: Say
) -> tuple[Seen | None, list[str]]:
    """(what the pretrained model sees of train and test rows, []), or (None, [why not]). Every process has to call it.

    A model that cannot be had any more is no reason to lose the scores of the one that was made of it.
    """
    if modality.MASKS:
        return None, []  # a pixel has no features of its own before the head
    if not wanted.model.pretrained:
        return None, ["There is no linear probe: model.pretrained is false, and random weights see nothing."]
    chosen = np.random.default_rng(wanted.seed).permutation(len(train))[:PROBED]
    some, names = (
        train.select(np.sort(chosen)),
        tuple(sorted(labelsets.count(train["label"][:], wanted.data.multi_label))),
    )
    if len(set(some["label"][:])) < 2:
        return None, []
    try:
        backbone = backbones.load(wanted.model, modality, names)
        say(f"linear probe: {wanted.model.name} as it was, on {len(some):,} training and {len(rows):,} test rows")
        found = [features.extract(backbone, modality, part, wanted.model, args) for part in (some, rows)]
    except InputError as error:
        return None, [f"There is no linear probe: {error}"]
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        # A body that is built in another way than `features` knows. Its classifier has scores, and those are kept.
        return None, [
            f"There is no linear probe: this model's body is not understood ({type(error).__name__}: {error})."
        ]
    few = len(some) < len(train)
    notes = [f"The linear probe was fitted on a random {len(some):,} of {len(train):,} training rows."] * few
    return Seen(found[0], some, found[1]), notes


@timeline.phase("baselines")
def write(
    folder: RunFolder,
    predictions: Answers,
    train: datasets.Dataset,
    rows: datasets.Dataset,
    features: Seen | None,
    notes: list[str],
) -> None:
    """Predictions of the majority class, of TF-IDF + linear for texts, and of the linear probe; of masks, by place.

    notes: what there is to say about the probe; they go into the run folder, so that it can be judged again.
    """
    if isinstance(predictions, MaskPredictions):
        seen, asked = (map(masks.ids, part["mask"]) for part in (train, rows))
        return _keep(folder, mask_baselines.made(seen, asked, predictions), predictions, notes)
    fixed = (predictions.labels, predictions.ids, predictions.names)
    dealt = SplitReport(**read_json(folder.split))
    whole, several = dealt.size("train"), predictions.multi_label
    made = {"majority": baselines.majority(dealt.counts["train"], *fixed, whole)}
    if "text" in rows.column_names and len(set(train["label"][:])) > 1:  # a sample of a stream may hold one class
        texts, tests, given = baselines.joined(train), baselines.joined(rows), train["label"][:]
        try:
            if several:
                made["tfidf_linear"] = baselines.tfidf_tagger(texts, labelsets.matrix(given, fixed[-1]), tests, *fixed)
            else:
                made["tfidf_linear"] = baselines.tfidf_linear(list(zip(texts, given, strict=True)), tests, *fixed)
        except InputError as error:
            notes = [*notes, f"There is no TF-IDF baseline: {error}."]
        if "tfidf_linear" in made and len(train) < whole:
            notes = [*notes, f"The TF-IDF baseline was fitted on a random {len(train):,} of {whole:,} training rows."]
    if features:
        classes = predicting.label_ids(features.rows["label"][:], predictions.names, several)
        made["linear_probe"] = baselines.linear_probe(features.train, classes, features.test, *fixed)
    _keep(folder, made, predictions, notes)


def _keep(folder: RunFolder, made: Mapping[str, Answers], predictions: Answers, notes: list[str]) -> None:
    for name in baselines.NAMES:
        path: Path = folder.predictions(f"test_{name}")
        if name in made:
            dataclasses.replace(made[name], groups=predictions.groups).write(path)
        else:
            path.unlink(missing_ok=True)  # of an earlier look
    write_json(folder.fitted, notes)


@timeline.phase("baselines")
def liken(folder: RunFolder, predictions: Predictions, modality: ModuleType, features: Seen | None) -> None:
    """The nearest training rows of the surest mistakes, with their text or a thumbnail; without features, no file."""
    path = folder.neighbours("test")
    if features is None:
        path.unlink(missing_ok=True)  # of an earlier look
        return
    given = predicting.label_ids(features.rows["label"][:], predictions.names, predictions.multi_label)
    found = likening.liken(predictions, features.test, features.train, given)
    limits = likening.seen(len(features.rows), SplitReport(**read_json(folder.split)).size("train"))
    named = [predictions.shown(row) for row in given] if given.ndim == 2 else [predictions.names[row] for row in given]
    rows: list[dict[str, Any]] = []
    for mistake in found:
        told = {"finding": mistake.finding, "sentence": mistake.sentence + limits}
        for rank, (place, similarity) in enumerate(zip(mistake.nearest.tolist(), mistake.similarity, strict=True), 1):
            row = features.rows[place]
            near = {"train_id": row["id"], "label": named[place], **modality.preview(row)}
            rows.append(
                {"id": predictions.ids[mistake.row], "rank": rank, "similarity": float(similarity)} | near | told
            )
    write_whole(path, lambda target: pq.write_table(pa.Table.from_pylist(rows, NEIGHBOURS), target))
