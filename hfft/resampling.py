"""Which training rows an epoch shows: a sampler's draw, made anew in each epoch from the seed alone.

In: prepared rows, their labels and the recipe's `sampler:` section. Out: a data set that Trainer shuffles, deals to
processes and resumes like any other. It must not know what a row is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import torch

from hfft import rooms
from hfft.errors import InputError, counted, listed
from hfft.recipe import Sampler


def check_sampler(sampler: Sampler, multi_label: bool) -> None:
    """Raise InputError where rows have several classes and the sampler is for one class per row."""
    if sampler.name is None or not multi_label or getattr(rooms.find("samplers", sampler.name), "MULTI_LABEL", False):
        return
    fitting = [name for name in rooms.names("samplers") if getattr(rooms.find("samplers", name), "MULTI_LABEL", False)]
    raise InputError(
        f"sampler: {sampler.name} is for one class per row, and several may apply; choose {listed(fitting)}"
    )


def check(sampler: Sampler, labels: np.ndarray, names: Sequence[str]) -> list[str]:
    """What the sampler makes of the training rows, as sentences. Raises InputError where it makes no sense of them.

    labels: class ids in `names`, int (n,), or a 0 or 1 per class, (n, classes).
    """
    if sampler.name is None:
        return []
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(names))
    there = np.flatnonzero(counts)
    if len(there) < 2:
        only = f"class {names[there[0]]!r}" if len(there) else "no class"
        raise InputError(f"sampler: all training rows are of {only}, so there is nothing to balance; leave it out")
    drawn = rows_of(sampler, labels, 0, 0)
    single = [int(c) for c in there if counts[c] == 1]
    if single and sampler.name == "under_sampling":
        raise InputError(
            f"sampler: class {names[single[0]]!r} has one training row, so that under_sampling would show "
            f"{len(drawn)} of {len(labels):,} rows per epoch; choose another sampler, or leave the class out with "
            f"data.labels={{{names[single[0]]}: null}}"
        )
    notes = [f"sampler: {sampler.name} shows {counted(len(drawn), 'row')} per epoch; train has {len(labels):,}"]
    for c in single:
        row = int(np.flatnonzero(labels[:, c] if labels.ndim == 2 else labels == c)[0])
        if (times := int((drawn == row).sum())) > 1:
            notes.append(
                f"class {names[c]!r} has one training row, which {sampler.name} shows {times:,} times per epoch: it "
                "will be learnt by heart"
            )
    return notes


def rows_of(sampler: Sampler, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Rows of an epoch in the order of the data, int; as many in each epoch."""
    if sampler.name is None:
        return np.arange(len(labels))
    options = {} if sampler.threshold is None else {"threshold": sampler.threshold}
    drawn = rooms.find("samplers", sampler.name).draw(labels, np.random.default_rng([seed, epoch]), **options)
    return np.sort(drawn)


class Resampled(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """`rows` as often as the sampler draws them in `epoch`.

    There is no `set_epoch`: accelerate would call it, and after a resume with the wrong number. A row that is shown
    again is changed at random in another way: whatever changes it is told the number of the copy.
    """

    def __init__(self, rows: Any, labels: np.ndarray, sampler: Sampler, seed: int) -> None:
        self.rows, self.labels, self.sampler, self.seed = rows, labels, sampler, seed
        kwargs = rows.format["format_kwargs"] if isinstance(rows, datasets.Dataset) else None
        self.change: Any = (kwargs or {}).get("transform")
        if hasattr(self.change, "epoch"):
            self.plain = rows.with_format(None)
        self.epoch = 0

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = value
        self.drawn = rows_of(self.sampler, self.labels, self.seed, value)
        if hasattr(self.change, "epoch"):
            self.change.epoch = value

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, place: int) -> Any:
        found = self.__getitems__([place])
        return {name: values[0] for name, values in found.items()} if isinstance(found, dict) else found[0]

    def __getitems__(self, places: list[int]) -> Any:
        """Rows, or one batch of them where `rows` gives batches."""
        drawn = self.drawn[places]
        chosen: list[int] = drawn.tolist()
        if not hasattr(self.change, "epoch"):
            if hasattr(self.rows, "__getitems__"):
                return self.rows.__getitems__(chosen)
            return [self.rows[row] for row in chosen]
        copy = np.asarray(places) - np.searchsorted(self.drawn, drawn)  # sorted: from where the row's first one stands
        made = self.change(self.plain[chosen] | {"copy": copy.tolist()})
        return [{name: values[i] for name, values in made.items()} for i in range(len(chosen))]
