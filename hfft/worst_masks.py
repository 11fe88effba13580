"""The images whose pixels are answered worst, each with its truth and its answer painted over it.

In: `MaskPredictions`, rows with `image` and `mask`, the model as a function from rows to masks. Out: a mistakes file
(see predicting.write_mistakes), worst image first. It must not know metrics of a whole split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import labelsets, masks, overlays
from hfft.mask_records import MaskPredictions
from hfft.picture_rows import decoded
from hfft.records import write_whole

KEPT = 48  # images
Ask = Callable[[datasets.Dataset], Sequence[np.ndarray]]  # rows → int (h, w) of each


def write(predictions: MaskPredictions, rows: datasets.Dataset, ask: Ask, path: Path) -> None:
    """Columns id, label (classes in the truth), prediction (what most pixels were taken for), confidence (the image's
    own IoU), text (the file), image (photo, truth and answer)."""
    own = predictions.own_iou
    order = np.argsort(own, kind="stable")  # NaN, of an image of which nothing counts, comes last
    chosen = [int(place) for place in order[:KEPT] if own[place] < 1]
    some = rows.select(chosen)
    shown = [
        overlays.beside(decoded(row["image"]), [masks.ids(row["mask"]), answer], predictions.names)
        for row, answer in zip(some, ask(some), strict=True)
    ]
    columns = {
        "id": pa.array([predictions.ids[i] for i in chosen], pa.string()),
        "label": pa.array([labelsets.shown(row["label"]) for row in some], pa.string()),
        "prediction": pa.array([mixed_up(predictions, i) for i in chosen], pa.string()),
        "confidence": pa.array(own[chosen].astype(float), pa.float64()),
        "text": pa.array([Path(row["image"]["path"] or "").name or None for row in some], pa.string()),
        "text_pair": pa.array([None] * len(chosen), pa.string()),
        "image": pa.array(shown, pa.binary()),
    }
    write_whole(path, lambda target: pq.write_table(pa.table(columns), target))


def mixed_up(predictions: MaskPredictions, place: int) -> str:
    """The commonest mistake of an image, in words: "road taken for pavement: 12 % of its pixels"."""
    classes = len(predictions.names)
    cells = predictions.cells[[place]].toarray().reshape(classes, classes)
    wrong = cells * (1 - np.eye(classes, dtype=np.int64))
    true, guess = np.unravel_index(int(wrong.argmax()), wrong.shape)
    share = wrong[true, guess] / max(int(cells.sum()), 1)
    return f"{predictions.names[true]} taken for {predictions.names[guess]}: {share:.0%} of the pixels"
