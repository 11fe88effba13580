"""Rows of a stream, on their way: held-back ones to disk, training ones to the trainer.

In: batches of rows. Out: a memory-mapped `Dataset`, or an iterable that knows its length.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import torch

from hfft.records import content_of


@dataclass
class Spool:
    """Rows of one split on disk, read back memory-mapped. ids: numbered like those of a table in memory."""

    path: Path
    writer: Any = None
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, rows: datasets.Dataset) -> None:
        ids = []
        for identity, label in zip(rows["id"][:], rows["label"][:], strict=True):
            content = content_of(identity)
            number = self.seen[f"{content}-{label}"]
            self.seen[f"{content}-{label}"] += 1
            ids.append(f"{content}.{number}-{label}" if number else f"{content}-{label}")
        kept = rows.remove_columns("id").add_column("id", ids, feature=datasets.Value("string"))
        table = kept.with_format("arrow")[:]
        if self.writer is None:
            self.writer = pa.ipc.new_stream(str(self.path), kept.features.arrow_schema)
        self.writer.write_table(table.cast(kept.features.arrow_schema))

    def rows(self) -> datasets.Dataset:
        """All rows, sorted by id as those of a table in memory are."""
        self.writer.close()
        made = datasets.Dataset.from_file(str(self.path))
        ids = made["id"][:]
        return made.select(sorted(range(len(ids)), key=lambda i: ids[i]))


class Stream(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """Training rows as model inputs, shuffled anew in each epoch. Its known length gives epochs a meaning."""

    def __init__(self, rows: datasets.IterableDataset, length: int, encoder: Any) -> None:
        self.rows, self.length, self.encoder = rows, length, encoder

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def set_epoch(self, epoch: int) -> None:
        self.rows.set_epoch(epoch)
        if hasattr(self.encoder, "epoch"):
            self.encoder.epoch = epoch


def folder() -> Path:
    """A folder for spooled rows that goes when the program ends."""
    path = Path(tempfile.mkdtemp(prefix="hfft-stream-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
