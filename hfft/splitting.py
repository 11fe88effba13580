"""One table into train, validation and test.

In: rows with `id`, `key`, `label` (and `split`, `group` or `time` where the recipe asks for them). Out: `Splits`, in
which no row of train is a copy of a held-back one unless the recipe says so. The result depends on the rows' content
and the seed, never on their order. It must not know about models.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import folds, labelsets, moments, sharing, sheets
from hfft.apportioning import by_classes
from hfft.dealing import Keys, Shares, at_random, by_hash, by_time
from hfft.errors import InputError, listed
from hfft.grouping import by_group
from hfft.guarding import SIMILAR, Guarded, Leak, Policy, guard
from hfft.limiting import ENOUGH, few, limited
from hfft.loading import Table
from hfft.recipe import Data
from hfft.records import HELD_OUT, SPLITS, SplitReport, fingerprint, read_json, write_json, write_whole
from hfft.run_folder import RunFolder
from hfft.settling import settled
from hfft.sources import shown

EXCERPT = 200  # characters of a text in leaks.csv


@dataclass(frozen=True)
class Splits:
    """parts: split → rows. labels: class names, from train. report: what was dealt where. leaks: copies found.

    torn: ids of held-back rows whose group is in an earlier split, too, and was kept there.
    """

    parts: dict[str, datasets.Dataset]
    labels: tuple[str, ...]
    report: SplitReport
    leaks: list[Leak] = field(default_factory=list)
    torn: frozenset[str] = frozenset()


def split(table: Table, data: Data, seed: int, modality: ModuleType | None = None) -> Splits:
    """Deal the rows as `data.split` says, and take copies of held-back rows out of train as `data.on_leak` says.

    modality: searches for look-alikes; without one only equal inputs are looked for. Raises InputError when a split
    would be empty, a class is unknown, or there are leaks and `data.on_leak` is fail.
    """
    rows, official = table.rows, data.split.by == "predefined"
    have = set(rows["split"][:]) if official else {"train"}
    if "train" not in have:
        raise InputError(f"data.split.by is predefined: expected a train split, got {listed(sorted(have))}")
    before = Guarded(rows["split"][:] if official else ["train"] * len(rows))
    if official and data.on_leak == "drop":  # rows that leave cannot count as kept by data.limit
        before = _guarded(rows, before.places, data, seed, None)
    ids, keys, labels = (rows[name][:] for name in ("id", "key", "label"))
    strata = labelsets.pooled(labels, _least(data, len(labels))) if data.multi_label else labels
    chosen, found = limited(ids, keys, strata, before.places, data.limit, seed)
    picked, places = rows.select(chosen), [before.places[i] for i in chosen]
    if missing := [name for name in ("validation", "test") if name not in have]:
        places, more = _dealt(picked, places, missing, data, seed)
        found += more
    guarded = _guarded(picked, places, data, seed, modality).after(before, picked["id"][:])
    if data.split.folds:
        guarded, more = _folded(picked, guarded, data, seed, modality)
        found += more
    ids, keys, labels = (picked[name][:] for name in ("id", "key", "label"))
    shots, notes = few(ids, keys, labels, guarded.places, data.shots, seed)
    units = picked["group"][:] if "group" in picked.column_names else keys
    shared, more = sharing.kept(units, labels, shots, data.train_share, seed, data.multi_label)
    guarded = dataclasses.replace(guarded, places=shared)
    found += _repeats(keys, labels) + guarded.findings(data.on_leak) + notes + more
    # Sorted by id: the order of the file must not reach training or prediction.
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    names = (*SPLITS, HELD_OUT) if data.split.folds else SPLITS
    made = {name: picked.select([i for i in order if guarded.places[i] == name]) for name in names}
    report = _report(data, seed, len(rows), [*table.dropped, *found], guarded)
    return _checked(Splits(made, (), report, guarded.leaks, guarded.torn), table, data)


def write(splits: Splits, run: RunFolder) -> None:
    """split.json (sizes, fingerprints, findings), split.parquet (row id → split, leak) and, if any, leaks.csv."""
    write_json(run.split, splits.report.facts())
    if splits.report.method.get("streaming"):
        return  # a list of all rows is what a stream has not: their places follow from their content
    ids = {name: part["id"][:] for name, part in splits.parts.items()}
    dropped = splits.report.leaks["policy"] == "drop"
    kinds = dict.fromkeys(splits.torn, "group")
    kinds |= {leak.id: leak.kind for leak in splits.leaks if leak.kind == SIMILAR or not dropped}
    columns = {
        "id": [i for part in ids.values() for i in part],
        "split": [n for n, part in ids.items() for _ in part],
        "leak": pa.array([kinds.get(i) for part in ids.values() for i in part], pa.string()),
    }
    write_whole(run.root / "split.parquet", lambda target: pq.write_table(pa.table(columns), target))
    if splits.leaks:
        names = [entry.name for entry in dataclasses.fields(Leak)]
        # What a test row says is read by nobody before the split is opened; the copy's own text is there.
        closed = [
            dataclasses.replace(leak, text="", label="") if leak.split == "test" else leak for leak in splits.leaks
        ]
        sheets.write(run.root / "leaks.csv", names, map(dataclasses.asdict, closed))


def reopen(table: Table, run: RunFolder, name: str) -> datasets.Dataset:
    """The rows that the run put into split `name`; InputError when the data has changed since."""
    saved = pq.read_table(run.root / "split.parquet")
    wanted = {i for i, place in zip(saved["id"].to_pylist(), saved["split"].to_pylist(), strict=True) if place == name}
    ids = table.rows["id"][:]
    rows = table.rows.select(sorted((i for i, row in enumerate(ids) if row in wanted), key=lambda i: ids[i]))
    expected = read_json(run.split)["fingerprints"][name]
    if len(rows) != len(wanted) or fingerprint(rows["id"][:]) != expected or fingerprint(list(wanted)) != expected:
        raise InputError(
            f"the {name} split is not the one this run was made with: {len(wanted):,} rows expected "
            f"(fingerprint {expected[:12]}), {len(rows):,} of them found "
            f"(fingerprint {fingerprint(rows['id'][:])[:12]}). "
            "Bring back the data, or train again on the data as it is now"
        )
    return rows


def _guarded(rows: datasets.Dataset, places: list[str], data: Data, seed: int, modality: ModuleType | None) -> Guarded:
    ids, keys, labels = (rows[name][:] for name in ("id", "key", "label"))
    groups = rows["group"][:] if "group" in rows.column_names else None
    copy_at = data.copy_at or (modality.COPY_AT if modality else 0.0)
    near = partial(_near, rows, modality, seed, copy_at) if modality else None
    files = "image" in rows.column_names and bool(_excerpt(rows[0]))
    policy = Policy(data.on_leak, copy_at, shown(data), data.copy_at is not None, files)
    return guard(places, ids, keys, labels, groups, near, policy, lambda i: _excerpt(rows[i]))


def _near(rows: datasets.Dataset, modality: ModuleType, seed: int, least: float, part: np.ndarray) -> tuple[Any, ...]:
    """(index, similarity), both (n, splits), and the search's note; rows of part -1 are not looked at."""
    used = np.flatnonzero(part >= 0)
    found = modality.near(rows.select(used), part[used], seed, least)
    index, similarity = np.full((len(part), len(SPLITS)), -1), np.zeros((len(part), len(SPLITS)))
    columns = found.index.shape[1]
    index[used, :columns] = np.where(found.index >= 0, used[found.index], -1)
    similarity[used, :columns] = found.similarity
    return index, similarity, found.note


def _dealt(
    rows: datasets.Dataset, places: list[str], missing: list[str], data: Data, seed: int
) -> tuple[list[str], list[str]]:
    """(split of each row, findings): the missing splits, one or both, dealt from the rows of train."""
    spec, columns = data.split, rows.column_names
    if spec.by == "random" and "group" in columns and data.on_leak != "warn":
        raise InputError(
            f"data.{'group_pattern' if data.group_pattern else 'columns.group'} is given, but data.split.by is random: "
            "groups would straddle. Type data.split.by=group to keep each in one split, or data.on_leak=warn to see "
            "how many do"
        )
    spare = [i for i, place in enumerate(places) if place == "train"]
    mine = rows.select(spare)
    shares = {name: getattr(spec, name) for name in ("train", *missing)}
    shares = {name: share / sum(shares.values()) for name, share in shares.items()}
    keys, labels = mine["key"][:], mine["label"][:]
    groups = mine["group"][:] if "group" in columns else None
    found: list[str] = []
    if spec.by == "time":
        if len(set(mine["unit"][:])) > 1:
            raise InputError("data.columns.time: some files hold dates and others numbers; write them alike")
        times = np.asarray(mine["time"][:])
        dates = mine["unit"][0] == "seconds"
        dealt, found = by_time(times, shares, moments.gap(spec.gap, dates))
        found = [moments.spans(times, dealt, dates), *found]
    elif spec.by == "hash":
        dealt = by_hash(groups or keys, shares, spec.salt)
    elif groups and spec.by != "random":
        sets = [labelsets.names(label) for label in labels] if data.multi_label else labels
        dealt, found = by_group(groups, sets, shares, seed, spec.stratify)
        sizes = {name: len({g for g, place in zip(groups, dealt, strict=True) if place == name}) for name in shares}
        found = [f"groups: {', '.join(f'{n:,} in {name}' for name, n in sizes.items())}", *found]
    else:
        by_key, found = _at_random(_classes(keys, labels), shares, seed, data)
        dealt = [by_key[key] for key in keys]
    out = list(places)
    for i, place in zip(spare, dealt, strict=True):
        out[i] = place
    if spec.by != "predefined":
        return out, found
    return out, [f"there is no {name} split: cut from train ({shares[name]:.0%})" for name in missing] + found


def _folded(
    rows: datasets.Dataset, guarded: Guarded, data: Data, seed: int, modality: ModuleType | None
) -> tuple[Guarded, list[str]]:
    """(the same with train and validation dealt anew, a fold of them held out; findings). The test split stays.

    Copies of held-out rows leave train, as those of test rows did before.
    """
    spec = data.split
    round_, held = divmod((spec.fold or 1) - 1, spec.folds or 1)
    mine = [i for i, place in enumerate(guarded.places) if place in ("train", "validation")]
    pool = rows.select(mine)
    where, found = fold_numbers(pool, data, seed + round_)
    places = ["test" if fold == held else "train" for fold in where]  # for those inside, what is held out is the test
    places, more = _dealt(pool, places, ["validation"], data, seed)
    inside = _guarded(pool, places, data, seed, modality)
    found += [line for line in more if not line.startswith("there is no")] + inside.findings(data.on_leak, "the fold")
    again = f", dealt for the {round_ + 1}th time" if round_ > 1 else ", dealt anew" if round_ else ""
    found = [f"fold {held + 1} of {spec.folds} is held out{again}: {places.count('test'):,} rows", *found]
    out = list(guarded.places)
    for i, place in zip(mine, inside.places, strict=True):
        out[i] = HELD_OUT if place == "test" else place
    return dataclasses.replace(guarded, places=out), found


def fold_numbers(pool: datasets.Dataset, data: Data, seed: int) -> tuple[list[int], list[str]]:
    """(fold of each row, findings), dealt as the splits were."""
    spec, keys, labels = data.split, pool["key"][:], pool["label"][:]
    count = spec.folds or 1
    groups = pool["group"][:] if "group" in pool.column_names else None
    if spec.by == "hash":
        return folds.by_hash(groups or keys, count, f"{spec.salt}\x1f{seed}"), []
    if groups and spec.by != "random":
        sets = [labelsets.names(label) for label in labels] if data.multi_label else labels
        return folds.of_groups(groups, sets, count, seed, spec.stratify)
    classes = _classes(keys, labels)
    if data.multi_label and spec.stratify:
        where, found = folds.by_set({key: labelsets.names(label) for key, label in classes.items()}, count, seed)
    else:
        where, found = folds.by_key(classes, count, seed, spec.stratify)
    return [where[key] for key in keys], found


def _at_random(classes: Keys, shares: Shares, seed: int, data: Data) -> tuple[Keys, list[str]]:
    if data.multi_label and data.split.stratify:
        return by_classes({key: labelsets.names(label) for key, label in classes.items()}, shares, seed)
    return at_random(classes, shares, seed, data.split.stratify)


def _least(data: Data, rows: int) -> int:
    """Rows of a set of classes from which `data.limit` leaves ENOUGH of it: rarer sets are drawn together."""
    return math.ceil(ENOUGH * rows / (data.limit or rows))


def _excerpt(row: dict[str, Any]) -> str:
    """What a person needs to find a row again: its text, or the path of its picture."""
    if "text" in row:
        return " | ".join(part for part in (row["text"], row.get("text_pair")) if part)[:EXCERPT]
    return str((row.get("image") or {}).get("path") or "")


def _classes(keys: list[str], labels: list[str]) -> Keys:
    """key → its class; where equal inputs carry several, the most frequent, ties by name."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for key, label in zip(keys, labels, strict=True):
        votes[key][label] += 1
    return {key: min(count, key=lambda name: (-count[name], name)) for key, count in votes.items()}


def _repeats(keys: list[str], labels: list[str]) -> list[str]:
    """What equal inputs were found, as sentences."""
    seen: dict[str, set[str]] = defaultdict(set)
    for key, label in zip(keys, labels, strict=True):
        seen[key].add(label)
    findings = []
    if extra := len(keys) - len(seen):
        findings.append(f"{extra:,} of {len(keys):,} rows repeat an earlier input; equal inputs stay in one split")
    if torn := sum(len(names) > 1 for names in seen.values()):
        findings.append(
            f"{torn:,} input{'s' * (torn != 1)} {'occur' if torn != 1 else 'occurs'} with more than one label"
        )
    return findings


def _report(data: Data, seed: int, read: int, findings: list[str], guarded: Guarded) -> SplitReport:
    spec = {key: value for key, value in vars(data.split).items() if data.split.folds or key not in ("folds", "fold")}
    method = {**spec, "seed": seed, "rows_read": read, "limit": data.limit}
    method |= {"train_share": data.train_share} if data.train_share < 1 else {}
    return SplitReport(method, {}, {}, findings, guarded.facts(data.on_leak))


def _checked(splits: Splits, table: Table, data: Data) -> Splits:
    """The same splits with class names, counts and fingerprints; InputError where nothing can be learnt or measured."""
    made = splits.parts
    counts = {name: labelsets.count(part["label"][:], data.multi_label) for name, part in made.items()}
    sizes = {name: len(part) for name, part in made.items()}
    distinct = len({key for part in made.values() for key in part["key"][:]})
    labels, report = settled(counts, sizes, splits.report, table.declared, data, distinct, table.fixed)
    inputs = len(set(made["test"]["key"][:]))
    if inputs < 0.95 * len(made["test"]):
        report.findings.append(
            f"test has {len(made['test']):,} rows but only {inputs:,} distinct inputs: its intervals are too narrow"
        )
    prints = {name: fingerprint(part["id"][:]) for name, part in made.items()}
    return Splits(made, labels, dataclasses.replace(report, fingerprints=prints), splits.leaks, splits.torn)
