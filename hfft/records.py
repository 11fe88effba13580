"""The plain data that stages hand on, and its form on disk. numpy and pyarrow only.

`Predictions` is the narrow waist: whatever is said about a model is computed from it. A `RunFolder` knows where each
file of a run lives; every file is readable without hfft.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft.errors import InputError

SPLITS = ("train", "validation", "test")
CURVE = "learning_curve.json"  # in a folder of a learning curve
FOLDS = "folds.json"  # in a folder of cross-validation
HELD_OUT = "held_out"  # the fold of cross-validation that a run does not see
VALIDATION, OUT_OF_FOLD = "validation", "out_of_fold"  # what is tuned after the model; the latter: of all folds
HEADLINES = ("mean_iou", "f1_macro", "accuracy")  # the metric that leads: the first that was asked for
LOSSES = ("log_loss", "brier", "ece", "aurc")  # less is better, also of longer names such as ece_adaptive
PROBE = "probe."  # of the gates' keys: probe.typos.flip_rate
PAIRS = [(late, early) for place, late in enumerate(SPLITS) for early in SPLITS[:place]]
SCORE = "score_"
PIXELS = "pixels"  # a column that only predicted masks have
SLICE = "slice:"  # before a column of data.slices, which no column of hfft's own can then be taken for
NONE = "no class"  # what people read where none of several classes applies
REMADE = (".html", ".png", ".csv", ".md", ".xml")  # from the other files, by `hfft report`, `judge` or `labels`
LEFT, OLD = re.compile(r"\.(.+)\.\d+(-old)?"), 60.0  # names of files under way, and seconds until nobody writes them
MARKS = (".parquet", ".yaml", ".head")  # whose being there says how far a run has come
SEEDS = "seeds.json"  # in a folder whose folders are runs of one recipe with several training seeds

Made = TypeVar("Made")


def less_is_better(metric: str) -> bool:
    """
    >>> less_is_better("ece"), less_is_better("brier[spam]"), less_is_better("f1_macro")
    (True, True, False)
    """
    if metric.startswith(PROBE):
        return True  # a rate of failures, or a drop
    stem = metric.partition("[")[0]
    return any(stem == name or stem.startswith(f"{name}_") for name in LOSSES)


def leading(keys: Iterable[str]) -> str | None:
    """The metric that leads among `keys`; None where there are none.

    >>> leading(["accuracy", "f1_macro"]), leading(["mcc"])
    ('f1_macro', 'mcc')
    """
    known = list(keys)
    return next((key for key in HEADLINES if key in known), next(iter(known), None))


@dataclass(frozen=True)
class Predictions:
    """One row per example of one split.

    ids: row ids, str (n,). labels, predicted: class indices into `names`, int (n,). scores: probabilities,
    float32 (n, classes), rows sum to 1. names: class names, in the order of the model's outputs. groups: where the
    data has them, what each row belongs to, str (n,): rows of a group are no independent witnesses.

    Multi-label: labels, predicted are bool (n, classes), which classes apply; scores need not sum to 1.
    """

    ids: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]
    groups: np.ndarray | None = None

    @property
    def n(self) -> int:
        return len(self.labels)

    @property
    def multi_label(self) -> bool:
        """Several classes may apply to a row: labels and predicted are bool (n, classes), scores need not sum to 1."""
        return self.labels.ndim == 2

    def shown(self, row: np.ndarray) -> str:
        """The classes of one row of `labels` or `predicted` as a person reads them; row: bool (classes,)."""
        return ", ".join(name for name, applies in zip(self.names, row, strict=True) if applies) or NONE

    @property
    def only_answer(self) -> str | None:
        """What every row is answered, of two rows or more; None where answers differ."""
        if self.n < 2 or (self.predicted != self.predicted[0]).any():
            return None
        return self.shown(self.predicted[0]) if self.multi_label else self.names[int(self.predicted[0])]

    def where(self, rows: np.ndarray) -> Predictions:
        """The rows that `rows`, a mask bool (n,) or places int (m,), picks."""
        arrays = (self.ids[rows], self.labels[rows], self.predicted[rows], self.scores[rows])
        return Predictions(*arrays, self.names, None if self.groups is None else self.groups[rows])

    def write(self, path: Path) -> None:
        """Columns: id, label and prediction (names, or lists of them), group where there are any, score_<class>."""
        write_whole(path, lambda target: pq.write_table(self.table(), target))

    def table(self) -> pa.Table:
        """As `write` writes it."""
        names = np.asarray(self.names, dtype=object)
        columns: dict[str, Any] = {"id": self.ids}
        for column, values in (("label", self.labels), ("prediction", self.predicted)):
            lists = [names[row].tolist() for row in values] if self.multi_label else None
            columns[column] = names[values] if lists is None else pa.array(lists, pa.list_(pa.string()))
        columns |= {} if self.groups is None else {"group": self.groups}
        columns |= {SCORE + name: self.scores[:, index] for index, name in enumerate(self.names)}
        return pa.table(columns)

    def joined(self, *others: Predictions) -> Predictions:
        """These rows and then those of the others, which know the same classes."""
        parts = [self, *others]
        grouped = ("groups",) if self.groups is not None else ()
        columns = ("ids", "labels", "predicted", "scores", *grouped)
        changes: dict[str, Any] = {key: np.concatenate([getattr(part, key) for part in parts]) for key in columns}
        return replace(self, **changes)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        return read_as(path, cls.of)

    @classmethod
    def of(cls, table: pa.Table) -> Predictions:
        """What `table` holds, which may have further columns. Raises InputError for answers that are masks."""
        if PIXELS in table.column_names:
            raise InputError("these answers are masks (semantic segmentation), and this needs one answer per row")
        names = tuple(name.removeprefix(SCORE) for name in table.column_names if name.startswith(SCORE))
        index = {name: place for place, name in enumerate(names)}
        labels, predicted = (_numbers(table[column], index) for column in ("label", "prediction"))
        scores = np.column_stack([table[SCORE + name].to_numpy() for name in names])
        columns = [name for name in ("id", "group") if name == "id" or name in table.column_names]
        ids, *groups = (np.array(table[column].to_pylist(), dtype=object) for column in columns)
        return cls(ids, labels, predicted, scores, names, *groups)


@dataclass(frozen=True)
class Score:
    """A number that may be shown: value, 95 % interval (None where undefined), n rows, method."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str


@dataclass(frozen=True)
class SplitReport:
    """What was dealt where. counts: split → class → rows; fingerprints: split → digest of its row ids.

    leaks: what the leak guard found and did: policy, overlaps of each pair of splits, rows left out. rows: split → rows
    where a row counts once for each of its classes; empty where it has one. pixels: of masks, split → class → pixels.
    """

    method: dict[str, Any]
    counts: dict[str, dict[str, int]]
    fingerprints: dict[str, str]
    findings: list[str] = field(default_factory=list)
    leaks: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    pixels: dict[str, dict[str, int]] = field(default_factory=dict)

    def size(self, split: str) -> int:
        return self.rows[split] if self.rows else sum(self.counts[split].values())

    def facts(self) -> dict[str, Any]:
        """As plain data, `rows` and `pixels` where there are any."""
        return {name: value for name, value in vars(self).items() if name not in ("rows", "pixels") or value}


def read_as(path: Path, made: Callable[[pa.Table], Made]) -> Made:
    """What `made` makes of a file of predictions. Raises InputError where it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: run `hfft eval {path.parent.parent}` first")
    # What breaks is told as what mends it: a file cut short, or one without a column that it should have.
    try:
        return made(pq.read_table(path))
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, IndexError) as error:
        again = f"`hfft eval {path.parent.parent}`" if path.stem.startswith("test") else "the verb that made it"
        raise InputError(f"{path} is damaged: run {again} again ({type(error).__name__}: {error})") from error


def _numbers(column: pa.ChunkedArray, index: dict[str, int]) -> np.ndarray:
    """Class names as indices, int (n,), or lists of them as which classes apply, bool (n, classes)."""
    if not pa.types.is_list(column.type):
        return np.array([index[name] for name in column.to_pylist()], dtype=np.int64)
    out = np.zeros((len(column), len(index)), dtype=bool)
    for row, names in enumerate(column.to_pylist()):
        out[row, [index[name] for name in names]] = True
    return out


def content_of(identity: str) -> str:
    """The part of a row's id that stands for its exact input.

    >>> content_of("9f3c.2-spam")
    '9f3c'
    """
    return identity.partition("-")[0].partition(".")[0]


def fingerprint(ids: Sequence[str]) -> str:
    """Digest of a set of row ids, independent of their order."""
    return hashlib.sha256(b"".join(row.encode() + b"\n" for row in sorted(ids))).hexdigest()


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable: {error}") from error


def write_json(path: Path, tree: Any) -> None:
    text = json.dumps(tree, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))


def write_whole(path: Path, write: Any) -> None:
    """Call `write(temporary path)`, then move it into place: readers see the old file or the whole new one.

    So it is after a power cut, too, but for files that are made again from others, where it would cost time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        if path.suffix not in REMADE:
            flush(temporary)
        temporary.replace(path)
        if path.suffix in MARKS:  # other files come before one of these, and have their names by then
            flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(root: Path, besides: Collection[str] = ()) -> None:
    """Remove what processes left that were killed while they wrote into a run folder, which nobody else writes into.

    besides: folders in it whose files are written so, too.
    """
    for folder in (root, *(root / name for name in besides)):
        for path in folder.glob(".*"):
            if (found := LEFT.fullmatch(path.name)) and time.time() - path.lstat().st_mtime > OLD:
                if found[2] and not (folder / found[1]).exists():  # killed in `put`, between two names
                    path.rename(folder / found[1])
                elif path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def put(folder: Path, target: Path) -> None:
    """A whole folder, on the disk itself, under the name that is looked for; what has that name now goes after it."""
    old = target.with_name(f".{target.name}.{os.getpid()}-old")
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        flush(path)
    if target.exists():
        target.rename(old)
    folder.rename(target)
    flush(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def flush(path: Path) -> None:
    """A file, or the names in a folder, onto the disk itself (fsync). Windows opens no folders."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
