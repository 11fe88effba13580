"""One table into train, validation and test.

In: rows with `id`, `key`, `label` (and `split` when predefined). Out: `Splits`. Rows whose inputs are equal share a
key and always stay together. The result depends on the rows' content and the seed, never on their order.
It must not know about models.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from hfft.errors import InputError, listed
from hfft.limiting import draw, limited
from hfft.loading import Table, class_names
from hfft.recipe import Data, Split
from hfft.records import SPLITS, RunFolder, SplitReport, fingerprint, read_json, write_json, write_whole
from hfft.sources import shown

Keys = dict[str, str]  # key → class


@dataclass(frozen=True)
class Splits:
    """parts: split → rows. labels: class names, from the train split. report: what was dealt where."""

    parts: dict[str, datasets.Dataset]
    labels: tuple[str, ...]
    report: SplitReport


def split(table: Table, data: Data, seed: int) -> Splits:
    """Deal the rows as `data.split` says. Raises InputError when a split would be empty or a class is unknown."""
    rows, findings = table.rows, list(table.dropped)
    keys, labels = rows["key"][:], rows["label"][:]
    if data.split.by == "predefined":
        have = set(rows["split"][:])
        places, found = _giving_way(rows["split"][:], keys)
        findings += found
    else:
        have = {"train"}  # until they are dealt
        places = ["train"] * len(rows)
    chosen, found = limited(rows["id"][:], keys, labels, places, data.limit, seed)
    picked = rows.select(chosen)
    keys, labels, places = ([column[i] for i in chosen] for column in (keys, labels, places))
    if missing := [name for name in ("validation", "test") if name not in have]:
        places, more = _cut_from_train(keys, labels, places, missing, data.split, seed)
        found += more
    findings += found + _repeats(keys, labels)
    # Sorted by id: the order of the file must not reach training or prediction.
    ids = picked["id"][:]
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    made = {name: picked.select([i for i in order if places[i] == name]) for name in SPLITS}
    return _checked(made, table.declared, data, seed, len(rows), findings)


def deal(classes: Keys, shares: dict[str, float], seed: int, stratify: bool) -> tuple[Keys, list[str]]:
    """(key → split, findings): `datasets.train_test_split` once or twice, and rare classes by hand.

    shares: split → share; "train" and one or two more, summing to 1. A class with too few keys for a stratified
    split gives each of the other splits one key if it has enough, and stays in train otherwise.
    """
    others = [name for name in shares if name != "train"]
    sizes = Counter(classes.values())
    rare = {name for name, n in sizes.items() if stratify and n * min(shares.values()) < 2}
    out: Keys = {}
    alone = []
    members: dict[str, list[str]] = defaultdict(list)
    for key, name in classes.items():
        members[name].append(key)
    for name in sorted(rare):
        keys = sorted(members[name], key=lambda key: draw(key, seed))
        for left, other in zip(range(len(others), 0, -1), others, strict=True) if len(keys) > len(others) else []:
            # One key stays for each split still to come, and one for train.
            taken = min(max(1, round(sizes[name] * shares[other])), len(keys) - left)
            out |= dict.fromkeys(keys[:taken], other)
            keys = keys[taken:]
        out |= dict.fromkeys(keys, "train")
        if sizes[name] <= len(others):
            alone.append(f"{name} ({sizes[name]})")
    common = {key: classes[key] for key in sorted(classes) if classes[key] not in rare}
    rest = _cut(common, sum(shares[name] for name in others), seed, stratify)
    out |= {key: "train" for key in common if key not in rest}
    if len(others) == 2:
        held = _cut(rest, shares[others[1]] / (shares[others[0]] + shares[others[1]]), seed, stratify)
        out |= {key: others[1] if key in held else others[0] for key in rest}
    else:
        out |= dict.fromkeys(rest, others[0])
    if not alone:
        return out, []
    what = "one class has" if len(alone) == 1 else f"{len(alone)} classes have"
    return out, [f"{what} too few distinct rows to be split, all in train and not measured: {listed(alone)}"]


def write(splits: Splits, run: RunFolder) -> None:
    """split.json (sizes, fingerprints, findings) and split.parquet (row id → split)."""
    write_json(run.split, vars(splits.report))
    ids = {name: part["id"][:] for name, part in splits.parts.items()}
    table = pa.table(
        {"id": [i for part in ids.values() for i in part], "split": [n for n, part in ids.items() for _ in part]}
    )
    write_whole(run.root / "split.parquet", lambda target: pq.write_table(table, target))


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


def _cut(classes: Keys, share: float, seed: int, stratify: bool) -> Keys:
    """The keys of a random part of about `share`, by `datasets.train_test_split`."""
    size = round(len(classes) * share)
    if not classes or size in (0, len(classes)):
        return {} if not size else dict(classes)
    names = sorted(set(classes.values()))
    features = datasets.Features({"key": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    rows = datasets.Dataset.from_dict({"key": list(classes), "label": list(classes.values())}, features=features)
    column = "label" if stratify and len(names) > 1 else None
    held = rows.train_test_split(test_size=size, stratify_by_column=column, seed=seed)["test"]
    return {key: classes[key] for key in held["key"][:]}


def _giving_way(places: list[str], keys: list[str]) -> tuple[list[str], list[str]]:
    """(split of each row, "" where it is left out; findings): train gives way where an input is held back, too."""
    if "train" not in places:
        raise InputError(f"data.split.by is predefined: expected a train split, got {listed(sorted(set(places)))}")
    findings = []
    owner: Keys = {}
    for name in ("train", "validation", "test"):  # the later wins: the official test split stays whole
        owner |= {key: name for key, place in zip(keys, places, strict=True) if place == name}
    out = [place if place == owner[key] else "" for key, place in zip(keys, places, strict=True)]
    for name in ("train", "validation"):
        gone = sum(1 for place, kept in zip(places, out, strict=True) if place == name and not kept)
        if gone:
            rows = f"{gone:,} row{'s' * (gone != 1)} of {name}"
            findings.append(f"{rows} left out: the same input is in a split held back from training")
    return out, findings


def _cut_from_train(
    keys: list[str], labels: list[str], places: list[str], missing: list[str], spec: Split, seed: int
) -> tuple[list[str], list[str]]:
    """(split of each row, findings): the missing splits, one or both, dealt from the rows of train."""
    spare = [i for i, place in enumerate(places) if place == "train"]
    shares = {name: getattr(spec, name) for name in ("train", *missing)}
    total = sum(shares.values())
    classes = _classes([keys[i] for i in spare], [labels[i] for i in spare])
    dealt, found = deal(classes, {name: share / total for name, share in shares.items()}, seed, spec.stratify)
    out = list(places)
    for i in spare:
        out[i] = dealt[keys[i]]
    if spec.by == "random":
        return out, found
    return out, [f"there is no {name} split: cut from train ({shares[name] / total:.0%})" for name in missing] + found


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


def _checked(
    made: dict[str, datasets.Dataset], declared: tuple[str, ...], data: Data, seed: int, read: int, findings: list[str]
) -> Splits:
    distinct = len({key for part in made.values() for key in part["key"][:]})
    for name, part in made.items():
        if not len(part):
            equal = f" with {distinct:,} different input{'s' * (distinct > 1)}" if distinct < read else ""
            raise InputError(f"{shown(data)}: {read:,} rows{equal} are too few: the {name} split would be empty")
    labels = class_names(made["train"]["label"][:], declared)
    if len(labels) < 2:
        raise InputError(f"{shown(data)}: the train split has one class only, {labels[0]!r}; expected at least two")
    for name in ("validation", "test"):
        unknown = sorted(set(made[name]["label"][:]) - set(labels))
        if unknown:
            raise InputError(
                f"the {name} split has classes that train has not: {listed(unknown)}. Train has {listed(labels)}; "
                f"{name} has {listed(sorted(set(made[name]['label'][:])))}"
            )
    inputs = len(set(made["test"]["key"][:]))
    if inputs < 0.95 * len(made["test"]):
        findings.append(
            f"test has {len(made['test']):,} rows but only {inputs:,} distinct inputs: its intervals are too narrow"
        )
    counts = {}
    for name, part in made.items():
        count = Counter(part["label"][:])
        counts[name] = {label: count[label] for label in labels}
        absent = [label for label in labels if not count[label]]
        if absent:
            findings.append(f"no row of {listed(map(repr, absent))} in {name}")
    method = {
        "by": data.split.by,
        "train": data.split.train,
        "validation": data.split.validation,
        "test": data.split.test,
        "stratify": data.split.stratify,
        "seed": seed,
        "rows_read": read,
        "limit": data.limit,
    }
    prints = {name: fingerprint(part["id"][:]) for name, part in made.items()}
    return Splits(made, labels, SplitReport(method, counts, prints, findings))
