"""Which split a group of rows goes to: the rows of one patient, user or video stay together.

In: group and class of each row, shares and a seed. Out: a split per row, and sentences on what could not be dealt as
asked. The result depends on content and seed, never on the order of the rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from hfft.dealing import Shares, alone_in_train
from hfft.errors import InputError, listed
from hfft.limiting import draw

PASSES = 4  # of moving single groups to where they fit better


def by_group(
    groups: list[str], labels: Sequence[str | tuple[str, ...]], shares: Shares, seed: int, stratify: bool
) -> tuple[list[str], list[str]]:
    """(split of each row, findings): the rows of a group stay together, class counts as near their shares as can be.

    Greedy, largest groups first, then single moves as long as they help: the cost is the sum over classes (and all
    rows together) of squared distances from the ideal count, each class measured in its own size. A class that lives in
    too few groups is in train before it is anywhere else. labels: the class of each row, or its classes. Raises
    InputError when there are fewer groups than splits.
    """
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for group, label in zip(groups, labels, strict=True):
        members[group].update((label,) if isinstance(label, str) else label)
    sizes = Counter(groups)
    if len(members) < len(shares):
        raise InputError(
            f"data.split.by is group: {len(members)} group{'s' * (len(members) != 1)} ({listed(sorted(members), 3)}) "
            f"cannot be dealt into {len(shares)} splits; expected at least {len(shares)}"
        )
    order = sorted(members, key=lambda name: (-sizes[name], draw(name, seed), name))
    balance = _Balance([members[name] for name in order], [sizes[name] for name in order], shares, stratify)
    for index in range(len(order)):
        balance.place(index, balance.cheapest(index))
    balance.settle()
    balance.fill_empty()
    balance.give_train_every_class()
    where = {name: list(shares)[balance.where[index]] for index, name in enumerate(order)}
    spread: dict[str, set[str]] = defaultdict(set)
    for group, count in members.items():
        for label in count:
            spread[label].add(where[group])
    alone = sorted(name for name, met in spread.items() if met == {"train"})
    return [where[group] for group in groups], alone_in_train(alone, "groups")


class _Balance:
    """Where each group is, and what it would cost elsewhere; the state of one greedy dealing."""

    def __init__(self, groups: list[Counter[str]], sizes: list[int], shares: Shares, stratify: bool) -> None:
        labels = sorted({label for group in groups for label in group})
        column = {label: place for place, label in enumerate(labels)}
        self.classes = [np.array([column[label] for label in group], dtype=int) for group in groups]
        self.rows = [np.array(list(group.values()), dtype=float) for group in groups]
        self.sizes = np.array(sizes, dtype=float)
        totals = np.zeros(len(labels))
        for classes, rows in zip(self.classes, self.rows, strict=True):
            totals[classes] += rows
        self.share = np.array(list(shares.values()))
        # Distance from the ideal, split by class; the last weight is for the number of rows whatever their class.
        self.off = -np.outer(self.share, totals)
        self.weight = 1.0 / totals**2 if stratify else np.zeros(len(labels))
        self.off_rows = -self.share * self.sizes.sum()
        self.weight_rows = len(labels) / self.sizes.sum() ** 2
        self.where = np.full(len(groups), -1)

    def costs(self, index: int) -> np.ndarray:
        """What adding the group to each split costs, (splits,)."""
        classes, rows, size = self.classes[index], self.rows[index], self.sizes[index]
        by_class = ((2 * self.off[:, classes] + rows) * rows * self.weight[classes]).sum(axis=1)
        return np.asarray(by_class + (2 * self.off_rows + size) * size * self.weight_rows)

    def cheapest(self, index: int) -> int:
        return int(np.argmin(np.round(self.costs(index), 12)))

    def place(self, index: int, split: int) -> None:
        """Move the group to `split`; -1 takes it out."""
        for at, sign in ((self.where[index], -1), (split, 1)):
            if at >= 0:
                self.off[at, self.classes[index]] += sign * self.rows[index]
                self.off_rows[at] += sign * self.sizes[index]
        self.where[index] = split

    def settle(self) -> None:
        """Move single groups while that lowers the cost."""
        for _ in range(PASSES):
            moved = False
            for index, before in enumerate(self.where.tolist()):
                self.place(index, -1)
                costs = np.round(self.costs(index), 12)
                best = int(np.argmin(costs))
                self.place(index, best if costs[best] < costs[before] else before)
                moved |= best != before and costs[best] < costs[before]
            if not moved:
                return

    def fill_empty(self) -> None:
        """Every split gets a group, the one it costs least to move from a split that has several."""
        for split in range(len(self.share)):
            if not (self.where == split).any():
                held = np.bincount(self.where, minlength=len(self.share))
                spare = np.flatnonzero(held[self.where] > 1).tolist()
                self.place(min(spare, key=lambda i: (self._moving(i, split), i)), split)

    def give_train_every_class(self) -> None:
        """A class that only a held-back split has cannot be learnt: its cheapest group moves to train."""
        having: dict[int, list[int]] = defaultdict(list)
        for index, classes in enumerate(self.classes):
            for label in classes.tolist():
                having[label].append(index)
        for label in sorted(having):
            if all(self.where[index] != 0 for index in having[label]):
                self.place(min(having[label], key=lambda i: (self._moving(i, 0), i)), 0)

    def _moving(self, index: int, split: int) -> float:
        before = int(self.where[index])
        self.place(index, -1)
        costs = self.costs(index)
        self.place(index, before)
        return float(costs[split] - costs[before])
