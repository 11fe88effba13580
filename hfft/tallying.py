"""Copies between the splits of a stream, counted while its rows go by.

In: keys, labels and groups of held-back rows, then places, keys, labels and groups of rows in any order. Out: which
rows a later split has, too, and how many there are of each pair of splits. Memory holds what held-back rows are known
by, never an earlier row. It must not know about tables.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hfft.errors import counted
from hfft.records import PAIRS, SPLITS

Pair = tuple[str, str]  # (split, earlier split)
COPIES, SIMILAR = ("exact", "normalised", "near"), "similar"  # from sure to possible, see guarding.py


@dataclass
class Tally:
    """rows: held-back split → (key, label) → rows. keys, groups: held-back split → those it has.

    met: pair → key → labels it carries in the earlier split. straddling: pair → groups in both.
    """

    rows: dict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    keys: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    groups: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    met: dict[Pair, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    straddling: dict[Pair, set[str]] = field(default_factory=lambda: defaultdict(set))

    def hold(
        self, places: Sequence[str], keys: Sequence[str], labels: Sequence[str], groups: Sequence[str] | None
    ) -> None:
        """Remember the rows of validation and test: all of them, before `meet` is asked about an earlier split."""
        for index, place in enumerate(places):
            if place != SPLITS[0]:
                self.rows[place][keys[index], labels[index]] += 1
                self.keys[place].add(keys[index])
                if groups is not None:
                    self.groups[place].add(groups[index])

    def meet(
        self, places: Sequence[str], keys: Sequence[str], labels: Sequence[str], groups: Sequence[str] | None
    ) -> list[bool]:
        """Of each row, whether its input or its group is in a later split, too; both are counted."""
        found = []
        for index, place in enumerate(places):
            late = SPLITS[SPLITS.index(place) + 1 :]
            equal = [name for name in late if keys[index] in self.keys[name]]
            torn = [name for name in late if groups is not None and groups[index] in self.groups[name]]
            for name in equal:
                self.met[name, place][keys[index]].add(labels[index])
            for name in torn:
                self.straddling[name, place].add(groups[index] if groups is not None else "")
            found.append(bool(equal or torn))
        return found

    def overlaps(self) -> list[dict[str, Any]]:
        """The facts of `guarding.Guarded`: held-back rows met in each earlier split, all counted as "normalised",
        because only folded inputs are compared."""
        out = []
        for late, early in PAIRS:
            met = self.met[late, early]
            rows = sum(n for (key, _), n in self.rows[late].items() if key in met)
            conflicting = sum(n for (key, label), n in self.rows[late].items() if key in met and met[key] != {label})
            kinds = {"exact": 0, "normalised": rows, "near": 0, "similar": 0, "conflicting": conflicting}
            groups = len(self.straddling[late, early])
            out.append({"split": late, "with": early, "rows": rows, **kinds, "groups": groups})
        return out


def sentences(overlaps: list[dict[str, Any]]) -> Iterator[str]:
    """What a person is told: one for each pair of splits that share rows, look-alikes or groups."""
    for pair in overlaps:
        split, other = pair["split"], pair["with"]
        if copies := sum(pair[kind] for kind in COPIES):
            kinds = ", ".join(f"{pair[kind]:,} {kind}" for kind in COPIES if pair[kind])
            torn = f", {pair['conflicting']:,} of them with another label" if pair["conflicting"] else ""
            torn = ", with another label" if torn and copies == 1 else torn
            have = "has a copy" if copies == 1 else "have copies"
            yield f"{counted(copies, 'row')} of {split} {have} in {other} ({kinds}){torn}"
        if alike := pair[SIMILAR]:
            look = "looks like a row" if alike == 1 else "look like rows"
            yield f"{counted(alike, 'row')} of {split} {look} of {other}, but not enough for a copy"
        if groups := pair["groups"]:
            have = "has" if groups == 1 else "have"
            yield f"{counted(groups, 'group')} of {split} {have} rows in {other}, too"
