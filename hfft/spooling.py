"""Rows of a stream, on their way: held-back ones to disk, training ones to the trainer.

In: batches of rows. Out: a memory-mapped `Dataset`, a random sample, or an iterable that knows its length.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import torch

from hfft.limiting import draw
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


@dataclass
class Sample:
    """At most `most` rows of a stream, each row with the same chance whatever its place.

    A row's rank is drawn from its key and its number, so that many equal inputs do not come or go together; the lowest
    ranks stay. Memory holds twice as many rows at most.
    """

    most: int
    seed: int
    seen: int = 0
    held: list[tuple[pa.Table, list[bytes]]] = field(default_factory=list)
    limit: bytes = b"\xff" * 9  # above every rank
    schema: Any = None

    def add(self, rows: datasets.Dataset) -> None:
        if self.schema is None:
            self.schema = rows.features.arrow_schema
        ranks = [draw(f"{key}.{number}", self.seed) for number, key in enumerate(rows["key"][:], self.seen)]
        self.seen += len(ranks)
        kept = [i for i, rank in enumerate(ranks) if rank < self.limit] if self.most else []
        if kept:
            # As arrow, because a selection of a `Dataset` keeps the whole of it alive.
            table = rows.select(kept).with_format("arrow")[:].cast(self.schema)
            self.held.append((table, [ranks[i] for i in kept]))
        if sum(len(part) for _, part in self.held) > 2 * self.most:
            self._thin()

    def rows(self) -> datasets.Dataset:
        """The sample, sorted by id."""
        self._thin()
        made = datasets.Dataset(pa.concat_tables([self.schema.empty_table(), *(table for table, _ in self.held)]))
        ids = made["id"][:]
        return made.select(sorted(range(len(ids)), key=lambda i: ids[i]))

    def _thin(self) -> None:
        """Leave the `most` lowest ranks; table by table, because one of many pictures would be too large for arrow."""
        ranks = sorted(rank for _, part in self.held for rank in part)
        if len(ranks) <= self.most:
            return
        self.limit = ranks[self.most]
        masks = [[rank < self.limit for rank in part] for _, part in self.held]
        self.held = [
            (table.filter(pa.array(mask)), [rank for rank, stays in zip(part, mask, strict=True) if stays])
            for (table, part), mask in zip(self.held, masks, strict=True)
            if any(mask)
        ]


class Stream(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """Training rows as model inputs, shuffled anew in each epoch. Its known length gives epochs a meaning.

    parts: streams, one after the other. `datasets` could join them only where their values have a type in arrow, which
    tensors have not.
    """

    def __init__(self, parts: Sequence[datasets.IterableDataset], length: int, encoder: Any) -> None:
        self.parts, self.length, self.encoder = tuple(parts), length, encoder

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return itertools.chain.from_iterable(self.parts)

    def set_epoch(self, epoch: int) -> None:
        for part in self.parts:
            part.set_epoch(epoch)
        if hasattr(self.encoder, "epoch"):
            self.encoder.epoch = epoch
