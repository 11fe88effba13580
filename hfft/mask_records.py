"""Predicted masks as judging sees them: one confusion matrix per image, and its form on disk.

In: confusion matrices and boundary counts. Out: `MaskPredictions`, the waist of semantic segmentation, as
`records.Predictions` is of classification. It must not know pictures or models. numpy, scipy and pyarrow only.

No metric here needs to know where a pixel lies, so an image is K * K counts and four counts of boundary pixels per
class, whatever its size: that is why judging takes seconds and why memory does not grow with pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_array, vstack

from hfft.counts import Counts, of_cells
from hfft.records import NONE, PIXELS, Predictions, read_as, write_whole

CLASSES = b"hfft.classes"  # in the file's metadata: a JSON list of all names, in their order
FLIPPED = "flipped"
EDGES = ("edge_true", "edge_true_met", "edge_predicted", "edge_predicted_met")


@dataclass(frozen=True)
class MaskPredictions:
    """One image per entry.

    ids: str (n,). cells: int64 (n, K * K), cells[i, t * K + p] = pixels of image i that are truly class t and predicted
    as p; ignored pixels are in none. edges: int64 (n, K, 4), boundary pixels of each class: true ones, those of them
    met by the prediction's boundary, predicted ones, those of them met by the true boundary (see `boundaries.edges`).
    names: all K class names. groups: what each image belongs to, str (n,), such as the video of a frame. flipped: of
    images that a probe changed, the share of each one's pixels that are answered otherwise than before, float (n,).
    """

    ids: np.ndarray
    cells: csr_array
    edges: np.ndarray
    names: tuple[str, ...]
    groups: np.ndarray | None = None
    flipped: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Images."""
        return len(self.ids)

    @property
    def multi_label(self) -> bool:
        return False

    @property
    def matrix(self) -> np.ndarray:
        """Confusion matrix (K, K) in pixels of all images, int64: rows true, columns predicted."""
        return np.asarray(self.cells.sum(axis=0), dtype=np.int64).reshape(len(self.names), -1)

    @property
    def counts(self) -> Counts:
        """Of all images together; arrays (K,), edges (K, 4)."""
        return of_cells(self.matrix, self.edges.sum(axis=0))

    @property
    def totals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(hits, true pixels, predicted pixels) of each image and class, int64 (n, K)."""
        k = len(self.names)
        whole = csr_array(self.cells)
        true, guess = np.divmod(np.arange(k * k), k)
        ones, shape = np.ones(k * k, dtype=np.int64), (k * k, k)
        sums = (csr_array((ones, (np.arange(k * k), part)), shape) for part in (true, guess))
        support, predicted = ((whole @ part).toarray() for part in sums)
        return whole[:, np.arange(k) * (k + 1)].toarray(), support, predicted

    @property
    def own_iou(self) -> np.ndarray:
        """Mean IoU of each image over the classes in its own truth, float (n,); NaN where all of it is ignored.

        It is for ranking images and not for a score: in small images and for rare classes it is noisy.
        """
        there = self.totals[1] > 0
        each = np.where(there, self.class_iou, 0.0).sum(axis=1)
        return np.where(there.any(axis=1), each / np.maximum(there.sum(axis=1), 1), np.nan)

    @property
    def class_iou(self) -> np.ndarray:
        """IoU of each class in each image, float (n, K); 0 of a class that is in neither mask."""
        hits, support, predicted = self.totals
        return np.asarray(hits / np.maximum(support + predicted - hits, 1))

    @property
    def only_answer(self) -> str | None:
        """The class that every pixel of every image is answered, of two images or more; None where answers differ."""
        found = np.flatnonzero(self.matrix.sum(axis=0))
        return self.names[int(found[0])] if self.n > 1 and len(found) == 1 else None

    def shown(self, row: np.ndarray) -> str:
        """Classes as a person reads them; row: bool (K,), such as those that are in a mask."""
        return ", ".join(name for name, there in zip(self.names, row, strict=True) if there) or NONE

    def where(self, rows: np.ndarray) -> MaskPredictions:
        """The images that `rows`, a mask bool (n,) or places int (m,), picks."""
        picked = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        more = (None if part is None else part[picked] for part in (self.groups, self.flipped))
        return MaskPredictions(self.ids[picked], self.cells[picked], self.edges[picked], self.names, *more)

    def joined(self, *others: MaskPredictions) -> MaskPredictions:
        """These images and then those of the others, which know the same classes."""
        parts = [self, *others]
        optional = [name for name in ("groups", "flipped") if getattr(self, name) is not None]
        columns = ("ids", "edges", *optional)
        changes: dict[str, Any] = {key: np.concatenate([getattr(part, key) for part in parts]) for key in columns}
        return replace(self, cells=csr_array(vstack([part.cells for part in parts])), **changes)

    def among(self, names: tuple[str, ...]) -> MaskPredictions:
        """The same with the classes in the order of `names`, which are the same ones."""
        place = np.array([self.names.index(name) for name in names], dtype=np.int64)
        columns = (place[:, None] * len(names) + place).ravel()
        return replace(self, cells=csr_array(self.cells[:, columns]), edges=self.edges[:, place], names=names)

    def write(self, path: Path) -> None:
        """See `table`."""
        write_whole(path, lambda target: pq.write_table(self.table(), target))

    def table(self) -> pa.Table:
        """Columns: id; group and flipped where there are any; and lists per image.

        label, prediction, pixels: class names and how many pixels are truly the one and predicted as the other, where
        there are any. edge_class, edge_true, edge_true_met, edge_predicted, edge_predicted_met: boundary pixels of the
        classes that have any.
        """
        names, k = np.asarray(self.names, dtype=object), len(self.names)
        cells = csr_array(self.cells)
        cells.sum_duplicates()
        cells.eliminate_zeros()
        true, guess = np.divmod(cells.indices, k)
        image, of = np.nonzero(self.edges.any(axis=2))
        edges = np.searchsorted(image, np.arange(self.n + 1))
        columns: dict[str, Any] = {"id": pa.array(self.ids.tolist(), pa.string())}
        columns |= {} if self.groups is None else {"group": pa.array(self.groups.tolist(), pa.string())}
        columns |= {} if self.flipped is None else {FLIPPED: pa.array(self.flipped, pa.float64())}
        columns |= {"label": _lists(cells.indptr, names[true]), "prediction": _lists(cells.indptr, names[guess])}
        columns |= {PIXELS: _lists(cells.indptr, cells.data), "edge_class": _lists(edges, names[of])}
        columns |= {name: _lists(edges, self.edges[image, of, place]) for place, name in enumerate(EDGES)}
        return pa.table(columns).replace_schema_metadata({CLASSES: json.dumps(self.names)})

    @classmethod
    def read(cls, path: Path) -> MaskPredictions:
        """Raises InputError where the file is missing or damaged."""
        return read_as(path, cls.of)

    @classmethod
    def of(cls, table: pa.Table) -> MaskPredictions:
        """What `table` holds, which may have further columns."""
        names = tuple(json.loads((table.schema.metadata or {})[CLASSES]))
        index, k, n = {name: place for place, name in enumerate(names)}, len(names), len(table)
        row, true = _entries(table["label"], index)
        _, guess = _entries(table["prediction"], index)
        cells = csr_array((_entries(table[PIXELS])[1], (row, true * k + guess)), shape=(n, k * k))
        edges = np.zeros((n, k, len(EDGES)), dtype=np.int64)
        image, of = _entries(table["edge_class"], index)
        for place, name in enumerate(EDGES):
            edges[image, of, place] = _entries(table[name])[1]
        groups = np.array(table["group"].to_pylist(), dtype=object) if "group" in table.column_names else None
        told = FLIPPED in table.column_names and table[FLIPPED].null_count < n
        flipped = np.array(table[FLIPPED].to_pylist(), dtype=float) if told else None
        return cls(np.array(table["id"].to_pylist(), dtype=object), cells, edges, names, groups, flipped)


Answers = Predictions | MaskPredictions


def joined(parts: Sequence[Answers]) -> Answers:
    """All rows or images of parts that are of one kind."""
    first = parts[0]
    if isinstance(first, MaskPredictions):
        return first.joined(*(part for part in parts[1:] if isinstance(part, MaskPredictions)))
    return first.joined(*(part for part in parts[1:] if isinstance(part, Predictions)))


def worth(answers: Answers) -> np.ndarray:
    """What each row's answer is worth: whether all of it is right, bool (n,); of an image its own IoU, float (n,), 0
    where none of its pixels counts.
    """
    if isinstance(answers, MaskPredictions):
        return np.nan_to_num(answers.own_iou)
    return np.asarray((answers.predicted == answers.labels).reshape(answers.n, -1).all(axis=1))


def of(table: pa.Table) -> Answers:
    """What `table` holds, of whichever kind."""
    return MaskPredictions.of(table) if PIXELS in table.column_names else Predictions.of(table)


def read(path: Path) -> Answers:
    """What a file of predictions holds, of whichever kind. Raises InputError where it is missing or damaged."""
    return read_as(path, of)


def _lists(ends: np.ndarray, values: np.ndarray) -> pa.Array:
    """Of entry i the values from ends[i] to ends[i + 1]."""
    kind = pa.string() if values.dtype == object else pa.int64()
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values, kind))


def _entries(column: pa.ChunkedArray, index: dict[str, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(row of each entry of the lists, its value or the place of its name), int64."""
    lists = column.combine_chunks()
    row = np.repeat(np.arange(len(column)), lists.value_lengths().to_numpy(zero_copy_only=False))
    flat = lists.flatten()
    values = flat.to_numpy(zero_copy_only=False) if index is None else [index[name] for name in flat.to_pylist()]
    return row, np.asarray(values, dtype=np.int64)
