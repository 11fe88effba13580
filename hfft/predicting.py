"""A saved model and rows become `Predictions`; the only stage that runs a model on held-out rows.

In: a backbone, a modality, rows. Out: predictions in the order of the rows, and previews of the worst mistakes. It
must not know what is concluded from them.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PrinterCallback, Trainer, TrainingArguments

from hfft import erring, labelsets, pooling, segmenting, tempering, worst_masks
from hfft.backbones import Backbone, class_order, several
from hfft.errors import InputError, listed
from hfft.mask_records import MaskPredictions
from hfft.recipe import Model
from hfft.records import SLICE, Predictions, write_whole

MISTAKES = 600  # kept with their text or picture: three for each of 200 confused pairs


def predict(
    backbone: Backbone,
    modality: ModuleType,
    rows: datasets.Dataset,
    spec: Model,
    args: Any,
    scores: np.ndarray | None = None,
) -> Any:
    """Class probabilities for rows with `id` and `label`, as `Predictions`; the same on one process and on many.

    The likeliest class is predicted; where several may apply, each with a probability of at least one half. scores:
    probabilities (n, classes), where they are known already. Where each pixel has a class: `MaskPredictions`.
    """
    if modality.MASKS:
        return segmenting.predict([backbone], rows, spec, args)
    names, many = class_order(backbone.model), several(backbone.model)
    labels = label_ids(rows["label"][:], names, many)
    if scores is None:
        logits = outputs(backbone.model, backbone.processor, modality, rows, spec, args)
        scores = tempering.of_logits(logits, many)
    ids = np.array(rows["id"][:], dtype=object)
    groups = np.array(rows["group"][:], dtype=object) if "group" in rows.column_names else None
    predicted = scores >= 0.5 if many else scores.argmax(axis=1)
    return Predictions(ids, labels, predicted, scores, names, groups)


def probabilities(
    backbone: Backbone, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: TrainingArguments
) -> np.ndarray:
    """Softmax of the logits, float32 (n, classes), in the order of `rows`; sigmoid where several classes may apply.

    Of pixels (n, classes, h, w), as the model puts them out: for few rows.
    """
    if modality.MASKS:
        return segmenting.probabilities(backbone, rows, args)
    logits = outputs(backbone.model, backbone.processor, modality, rows, spec, args)
    return tempering.of_logits(logits, several(backbone.model))


def outputs(
    model: Any, processor: Any, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: TrainingArguments
) -> np.ndarray:
    """What the model puts out for each row, its first output (n, …), in the order of `rows`, on any layout.

    Of a text that is cut into windows, the mean over them.
    """
    inputs = [name for name in modality.ROLES if name in rows.column_names]
    prepared, owners = pooling.apart(modality.prepare(rows.select_columns(inputs), processor, spec))
    lengths = modality.lengths(prepared)
    # Rows of like length share a batch, longest first: little padding, and memory runs out at once or never.
    order = np.arange(len(prepared)) if lengths is None else np.argsort(-np.asarray(lengths), kind="stable")
    trainer = Trainer(model=model, args=args, data_collator=modality.collator(processor))
    trainer.remove_callback(PrinterCallback)
    found: Any = trainer.predict(prepared.select(order)).predictions
    found = np.asarray(found[0] if isinstance(found, tuple) else found)
    out = np.empty_like(found)
    out[order] = found
    return pooling.mean(out, owners)


def label_ids(labels: list[str], names: tuple[str, ...], several: bool = False) -> np.ndarray:
    """Class names as the model's ids (n,), or which of several apply, bool (n, classes).

    InputError with both lists when the model does not know a class.
    """
    index = {name: place for place, name in enumerate(names)}
    if unknown := sorted(set(labelsets.count(labels, several)) - set(names)):
        raise InputError(f"the data has classes the model has not: {listed(unknown)}; the model has {listed(names)}")
    if several:
        return labelsets.matrix(labels, names)
    return np.array([index[label] for label in labels], dtype=np.int64)


SPARE = ("label", "key", "split", "group", "time", "unit", "print", "pixels")  # of a row, what no model takes


def labelled(rows: datasets.Dataset, backbone: Backbone) -> datasets.Dataset:
    """Inputs, `id` and `labels`: class ids in the order of the model's outputs, or a 0.0 or 1.0 for each of them."""
    spare = [column for column in rows.column_names if column in SPARE or column.startswith(SLICE)]
    if "mask" in rows.column_names:  # which hold the model's own class ids
        return rows.remove_columns(spare)
    ids = label_ids(rows["label"][:], class_order(backbone.model), several(backbone.model))
    return rows.remove_columns(spare).add_column("labels", (ids.astype(float) if ids.ndim == 2 else ids).tolist())


def write_mistakes(
    predictions: Predictions | MaskPredictions,
    rows: datasets.Dataset,
    modality: ModuleType,
    path: Path,
    ask: worst_masks.Ask | None = None,
) -> None:
    """The most confident mistakes with their text or a thumbnail, most confident first.

    At most MISTAKES rows: the surest of every confused pair of classes before any others, so that each cell of a
    confusion matrix has its examples. Of several classes a row's confidence is that of its surest wrong answer.
    ask: of masks, the model as a function from rows to its answers.
    """
    if isinstance(predictions, MaskPredictions):
        assert ask is not None
        return worst_masks.write(predictions, rows, ask, path)
    wrong, confidence = erring.mistakes(predictions)
    order = np.sort(erring.first_of_each(erring.pairs(predictions, wrong))[:MISTAKES])
    chosen = wrong[order]
    named = predictions.shown if predictions.multi_label else np.asarray(predictions.names, dtype=object).__getitem__
    shown = [modality.preview(rows[int(i)]) for i in chosen]
    table = pa.table(
        {
            "id": pa.array([predictions.ids[i] for i in chosen], pa.string()),
            "label": pa.array([named(predictions.labels[i]) for i in chosen], pa.string()),
            "prediction": pa.array([named(predictions.predicted[i]) for i in chosen], pa.string()),
            "confidence": pa.array(confidence[order].astype(float), pa.float64()),
            "text": pa.array([row["text"] for row in shown], pa.string()),
            "text_pair": pa.array([row["text_pair"] for row in shown], pa.string()),
            "image": pa.array([row["image"] for row in shown], pa.binary()),
        }
    )
    write_whole(path, lambda target: pq.write_table(table, target))
