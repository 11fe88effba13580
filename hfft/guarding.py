"""The leak guard: rows of one split that are copies of rows in another, found before training.

In: ids, keys, classes and splits of rows, and a search for look-alikes. Out: the same splits with copies of held-back
rows taken out of train (or refused, or only reported), and what was found. It must not know about models.

Four kinds, from sure to possible: "exact" (the same input), "normalised" (the same after folding of case, white space
and Unicode form), "near" (look-alikes from the policy's similarity on) are copies; "similar" rows are look-alikes below
it, which are only reported and scored apart. A held-back row counts once per split it is met in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hfft.errors import InputError, counted
from hfft.records import PAIRS, SPLITS, content_of
from hfft.tallying import COPIES, SIMILAR, sentences

# part of each row (n,), -1 for rows that are not used → (index, similarity), both (n, splits), and a note
Near = Callable[[np.ndarray], tuple[Any, ...]]


# Above this share of a held-back split, and from this many rows on, look-alikes are no slips: copies were made before
# splitting, or the data repeats itself by nature (forms, templates). What is right then, only its owner knows.
USUAL, MANY = 0.2, 10


@dataclass(frozen=True)
class Policy:
    """on_leak: "drop", "fail" or "warn". copy_at: similarity from which a look-alike is a copy. shown: the data.

    sure: the recipe itself says copy_at, so look-alikes count as copies however many there are. names: rows have files
    whose names may say what belongs together.
    """

    on_leak: str
    copy_at: float
    shown: str
    sure: bool = False
    names: bool = False


@dataclass(frozen=True)
class Leak:
    """A held-back row and the row of an earlier split that it is a copy of. text, other_text: what a person is shown.

    conflicting: the copy carries another label; where several equal ones do, any of them.
    """

    id: str
    split: str
    label: str
    text: str
    other_id: str
    other_split: str
    other_label: str
    other_text: str
    kind: str
    similarity: float
    conflicting: bool


@dataclass(frozen=True)
class Guarded:
    """places: split of each row, "" where it was taken out. leaks: one per held-back row and earlier split.

    straddling: (split, earlier split) → groups in both. left_out: split → rows taken out. note: on the search.
    torn: ids of held-back rows whose group is in an earlier split, too.
    """

    places: list[str]
    leaks: list[Leak] = field(default_factory=list)
    straddling: dict[tuple[str, str], int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    note: str = ""
    torn: frozenset[str] = frozenset()

    def findings(self, policy: str, test: str = "test") -> list[str]:
        """What a person is told, as sentences. test: what the last split is called there."""
        said = list(
            sentences([entry | {"split": test} if entry["split"] == "test" else entry for entry in self.overlaps()])
        )
        if policy == "warn" and said:
            said.append("copies are kept, because data.on_leak is warn")
        if self.note:
            said.append(self.note)
        gone = [f"{counted(n, 'row')} of {name}" for name, n in self.left_out.items() if n]
        return said + ([f"left out for that: {' and '.join(gone)}"] if gone else [])

    def overlaps(self) -> list[dict[str, Any]]:
        """How many rows of each split are met in each earlier one, by kind; conflicting counts copies only."""
        met: dict[tuple[str, str], Counter[str]] = {pair: Counter() for pair in PAIRS}
        for leak in self.leaks:
            met[leak.split, leak.other_split].update([leak.kind, "rows"])
            met[leak.split, leak.other_split]["conflicting"] += leak.conflicting and leak.kind != SIMILAR
        kinds = ("rows", *COPIES, SIMILAR, "conflicting")
        return [
            {"split": late, "with": early}
            | {kind: met[late, early][kind] for kind in kinds}
            | {"groups": self.straddling.get((late, early), 0)}
            for late, early in PAIRS
        ]

    def facts(self, policy: str) -> dict[str, Any]:
        """What was found and done as plain data, for split.json."""
        return {"policy": policy, "overlaps": self.overlaps(), "left_out": self.left_out, "note": self.note}

    def after(self, earlier: Guarded, ids: Sequence[str]) -> Guarded:
        """This search and an `earlier` one as one, about the rows `ids`: the surest copy of a row in a split counts."""
        kept, surest = set(ids), {kind: place for place, kind in enumerate((*COPIES, SIMILAR))}
        found = [leak for leak in earlier.leaks + self.leaks if leak.id in kept]
        best = {(leak.id, leak.other_split): leak for leak in sorted(found, key=lambda leak: -surest[leak.kind])}
        order = {pair: place for place, pair in enumerate(PAIRS)}
        leaks = sorted(best.values(), key=lambda leak: (order[leak.split, leak.other_split], leak.id))
        left_out = {name: n + earlier.left_out.get(name, 0) for name, n in self.left_out.items()}
        straddling = earlier.straddling | self.straddling
        return Guarded(self.places, leaks, straddling, left_out, self.note, self.torn)


def guard(
    places: list[str],
    ids: Sequence[str],
    keys: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[str] | None,
    near: Near | None,
    policy: Policy,
    text: Callable[[int], str],
) -> Guarded:
    """Find copies between splits and do as the policy says.

    places: split of each row, "" for rows that are not used. near: search for look-alikes, None to leave it out.
    text: index of a row → what a person is shown of it. Raises InputError when the policy is "fail" and there is a
    copy, or a group in two splits.
    """
    part = np.array([SPLITS.index(place) if place else -1 for place in places])
    partner, similarity = _equal(part, ids, keys)
    note = ""
    if near is not None:
        index, alike, note = near(part)
        found = (partner < 0) & (index >= 0)
        partner, similarity = np.where(found, index, partner), np.where(found, alike, similarity)
    equal = _same(partner, keys)
    copied = equal | ((partner >= 0) & (similarity >= policy.copy_at))
    leaks = _leaks(part, partner, similarity, copied, ids, keys, labels, text)
    straddling, early, late = _straddling(part, groups)
    if policy.on_leak == "fail" and (straddling or any(leak.kind != SIMILAR for leak in leaks)):
        raise InputError(_refusal(Guarded(places, leaks, straddling), policy.shown))
    if policy.on_leak != "drop":
        torn = frozenset(ids[row] for row in np.flatnonzero(late).tolist())
        return Guarded(places, leaks, straddling, {}, note, torn)
    if not policy.sure:
        _refuse_usual(part, copied & ~equal, policy)
    later = np.array([copied[:, place + 1 :].any(axis=1) for place in range(len(SPLITS))])
    gone = early | ((part >= 0) & later[np.maximum(part, 0), np.arange(len(part))])
    left_out = {name: int((gone & (part == place)).sum()) for place, name in enumerate(SPLITS[:-1])}
    kept = ["" if out else place for place, out in zip(places, gone, strict=True)]
    return Guarded(kept, leaks, straddling, left_out, note)


def _equal(part: np.ndarray, ids: Sequence[str], keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(index, similarity), both (n, splits): a row of each other split with an equal key, the same content first."""
    contents = [content_of(identity) for identity in ids]
    owners: list[dict[str, int]] = [{} for _ in SPLITS]
    order = sorted((i for i in range(len(ids)) if part[i] >= 0), key=lambda i: ids[i], reverse=True)
    for row in order:  # the lowest id is written last, and stays
        owners[part[row]][f"key {keys[row]}"] = row
        owners[part[row]][contents[row]] = row
    index = np.full((len(ids), len(SPLITS)), -1)
    for row in order:
        for other, owner in enumerate(owners):
            if other != part[row]:
                index[row, other] = owner.get(contents[row], owner.get(f"key {keys[row]}", -1))
    return index, np.where(index >= 0, 1.0, 0.0)


def _refuse_usual(part: np.ndarray, alike: np.ndarray, policy: Policy) -> None:
    """Raise InputError where look-alikes are so many that leaving them out is a decision, not a repair."""
    for place in range(1, len(SPLITS)):
        held = part == place
        met = int(alike[held, :place].any(axis=1).sum())
        if met < MANY or met <= USUAL * held.sum():
            continue
        gone = int((alike[:, place] & (part >= 0) & (part < place)).sum())
        by = "a data.group_pattern that finds in file names" if policy.names else "a column that says"
        raise InputError(
            f"{policy.shown}: {met:,} of {int(held.sum()):,} rows of {SPLITS[place]} look like rows of earlier splits. "
            "Either copies were made before splitting, or this data repeats itself by nature. Type data.copy_at=0.8 "
            f"(or another similarity) to leave {counted(gone, 'look-alike')} out of train, data.on_leak=warn to keep "
            f"them and see the score with and without, or data.split.by=group with {by} what belongs together"
        )


def _same(partner: np.ndarray, keys: Sequence[str]) -> np.ndarray:
    """Whether row and partner have equal keys, bool (n, splits)."""
    names = np.asarray(keys, dtype=object)
    return np.asarray((partner >= 0) & (names[:, None] == names[partner]))


def _leaks(
    part: np.ndarray,
    partner: np.ndarray,
    similarity: np.ndarray,
    copied: np.ndarray,
    ids: Sequence[str],
    keys: Sequence[str],
    labels: Sequence[str],
    text: Callable[[int], str],
) -> list[Leak]:
    """Held-back rows with a partner in an earlier split, in the order of splits and ids."""
    carried: dict[tuple[int, str], set[str]] = defaultdict(set)
    for place, key, label in zip(part.tolist(), keys, labels, strict=True):
        carried[place, key].add(label)
    out = []
    for late, early in PAIRS:
        other = SPLITS.index(early)
        rows = np.flatnonzero((part == SPLITS.index(late)) & (partner[:, other] >= 0)).tolist()
        for row in sorted(rows, key=lambda i: ids[i]):
            met = int(partner[row, other])
            same = keys[row] == keys[met]
            kind = "exact" if content_of(ids[row]) == content_of(ids[met]) else "normalised"
            if not same:
                kind = "near" if copied[row, other] else SIMILAR
            theirs = carried[other, keys[row]] if same else {labels[met]}
            mine = (ids[row], late, labels[row], text(row))
            its = (ids[met], early, labels[met], text(met))
            out.append(Leak(*mine, *its, kind, round(float(similarity[row, other]), 4), theirs != {labels[row]}))
    return out


def _straddling(
    part: np.ndarray, groups: Sequence[str] | None
) -> tuple[dict[tuple[str, str], int], np.ndarray, np.ndarray]:
    """((split, earlier split) → groups in both, rows whose group is in a later split, rows whose is in an earlier)."""
    early, late = np.zeros((2, len(part)), dtype=bool)
    if groups is None:
        return {}, early, late
    where: dict[str, set[int]] = defaultdict(set)
    for place, group in zip(part.tolist(), groups, strict=True):
        if place >= 0:
            where[group].add(place)
    counts = {
        (last, first): n
        for last, first in PAIRS
        if (n := sum({SPLITS.index(last), SPLITS.index(first)} <= places for places in where.values()))
    }
    for row, (place, group) in enumerate(zip(part.tolist(), groups, strict=True)):
        early[row] = place >= 0 and max(where[group]) > place
        late[row] = place >= 0 and min(where[group]) < place
    return counts, early, late


def _refusal(found: Guarded, shown: str) -> str:
    what = "; ".join(sentences(found.overlaps()))
    return (
        f"{shown}: {what}. data.on_leak is fail: mend the data, or type data.on_leak=drop to leave the copies out of "
        "train, or data.on_leak=warn to keep them and see the score with and without them"
    )
