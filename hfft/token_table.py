"""Tokens of many rows as one flat array per column, and any of its rows as a padded batch: no list of Python numbers.

In: rows as a tokenizer made them, and the tokenizer. Out: lengths, and arrays as `tokenizer.pad` would make them. numpy
and arrow; it must not know models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

IDS = "input_ids"


@dataclass(frozen=True)
class TokenTable:
    """columns: name → the tokens' values, (tokens,). ends: where each row ends, (rows + 1,), from 0.

    pads: name → what a short row is filled with. left: on which side.
    """

    columns: Mapping[str, np.ndarray]
    ends: np.ndarray
    pads: Mapping[str, int]
    left: bool = False

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        return np.diff(self.ends)

    def batch(self, places: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """int64 (rows, longest of them) of each column."""
        chosen = np.asarray(places)
        starts, lengths = self.ends[:-1][chosen], self.lengths[chosen]
        longest = int(lengths.max(initial=0))
        steps = np.arange(longest) - (longest - lengths[:, None] if self.left else 0)
        inside = (steps >= 0) & (steps < lengths[:, None])
        where = np.where(inside, starts[:, None] + steps, 0)
        whole = bool(inside.all())
        out = {}
        for name, values in self.columns.items():
            taken = values[where].astype(np.int64)
            out[name] = taken if whole else np.where(inside, taken, self.pads[name])
        return out


def of(rows: Any, processor: Any) -> TokenTable | None:
    """The table of rows as a tokenizer made them; None for others, and for a tokenizer that cannot pad.

    rows: a `datasets.Dataset`; `labels` are left out.
    """
    names = [name for name in getattr(rows, "column_names", ()) if name != "labels"]
    pad = getattr(processor, "pad_token_id", None)
    if IDS not in names or pad is None or rows.format["type"] == "custom":
        return None
    table = rows.with_format("arrow").select_columns(names)[:]
    parts = {name: table[name].combine_chunks() for name in names}
    if any(not hasattr(part, "value_lengths") for part in parts.values()):
        return None
    lengths = {name: part.value_lengths().to_numpy(zero_copy_only=False) for name, part in parts.items()}
    if any(not np.array_equal(own, lengths[IDS]) for own in lengths.values()):
        return None
    columns = {name: part.flatten().to_numpy(zero_copy_only=False) for name, part in parts.items()}
    return _made(columns, lengths[IDS], processor)


def of_lists(columns: Mapping[str, Sequence[Sequence[int]]], lengths: np.ndarray, processor: Any) -> TokenTable:
    """The same of what a tokenizer has just made. lengths: tokens of each row."""
    n = int(lengths.sum())
    flat = {name: np.fromiter(chain.from_iterable(rows), np.int64, n) for name, rows in columns.items()}
    return _made(flat, lengths, processor)


def _made(columns: Mapping[str, np.ndarray], lengths: np.ndarray, processor: Any) -> TokenTable:
    pads = dict.fromkeys(columns, 0) | {IDS: processor.pad_token_id}
    pads |= {"token_type_ids": getattr(processor, "pad_token_type_id", 0)}
    return TokenTable(columns, np.concatenate([[0], np.cumsum(lengths)]), pads, processor.padding_side == "left")
