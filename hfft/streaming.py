"""Data that does not fit: rows are read as they come, dealt by a hash of their content, and never held all at once.

In: `Data` with `streaming`, and the modality. Out: one survey of the whole stream (counts, fingerprints, the held-back
rows on disk), and training rows as a stream of model inputs. Memory holds one batch, the shuffle buffer and the keys of
held-back rows, whatever the number of rows. It must not know about models beyond the encoder it is handed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets

from hfft import batching, labelling, labelsets, naming, pictures, scratch, sources
from hfft.errors import InputError, counted
from hfft.recipe import Data
from hfft.records import SPLITS, SplitReport, content_of
from hfft.settling import settled
from hfft.sources import shown
from hfft.splitting import Splits
from hfft.spooling import Sample, Spool, Stream
from hfft.tallying import Tally, sentences

SEARCHED = "a stream is searched for equal inputs only, not for look-alikes"


@dataclass(frozen=True)
class Survey:
    """What one pass found. splits: without train. sample: training rows at random.

    keys, groups: of held-back rows, whose equals are left out of training.
    """

    splits: Splits
    sample: datasets.Dataset
    keys: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


def survey(
    data: Data, modality: ModuleType, seed: int, keep: Sequence[str] = ("validation",), sample: int = 0
) -> Survey:
    """One pass over the stream, two where groups are dealt by hash; the splits in `keep` are spooled to disk.

    sample: how many training rows to draw from the whole stream. Raises InputError for what cannot be streamed, and
    for whatever reading all rows at once would refuse.
    """
    parts = batching.parts(data, modality)
    have = batching.official(parts, data)
    spools = {name: Spool(scratch.lasting("stream") / f"{name}.arrow") for name in keep}
    counts: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    prints, gone, classes = dict.fromkeys(SPLITS, 0), Counter[str](), Counter[str]()
    sizes = dict.fromkeys(SPLITS, 0)
    tally, drawn = Tally(), Sample(sample, seed)
    # Where a group is hashed, an input of two groups may be in train first and held back later.
    ahead = "group" in data.columns and len(have) < len(SPLITS)
    if ahead:
        _hold_ahead(tally, parts, have, data, modality)
    read, bad, several = 0, 0, False
    declared: tuple[str, ...] = ()
    for name, part in parts.items():  # held-back parts come first: their keys must be known when train is read
        base = sources.beside(data, name)
        for batch in batching.batches(part):
            made = batching.usable(batch, part.features, base, data, modality, read)
            read, bad, several = made.end, bad + made.bad, several or made.several
            declared = declared or made.declared
            classes.update(made.classes)
            places = _kept(made.rows, name, have, data, tally, gone, hold=not ahead)
            for place in SPLITS:
                mine = made.rows.select([i for i, at in enumerate(places) if at == place])
                counts[place].update(labelsets.count(mine["label"][:], data.multi_label))
                sizes[place] += len(mine)
                prints[place] = _added(prints[place], mine["id"][:])
                if place in spools and len(mine):
                    spools[place].add(mine)
                if place == "train":
                    drawn.add(mine)
    if not read:
        raise InputError(f"{shown(data)}: there are no rows in it")
    naming.check(classes, data.labels, shown(data))
    told = labelling.check(several, data, shown(data))
    report = _report(data, seed, read, {n: f"{v:064x}" for n, v in prints.items()}, tally, gone, bad)
    report.findings[:0] = told
    labels, full = settled(counts, sizes, report, declared, data)
    splits = Splits({name: spool.rows() for name, spool in spools.items()}, labels, full)
    if data.on_leak != "drop":
        return Survey(splits, drawn.rows())
    keys, groups = (frozenset().union(*held.values()) for held in (tally.keys, tally.groups))
    return Survey(splits, drawn.rows(), keys, groups)


def reopened(data: Data, modality: ModuleType, seed: int, split: str, expected: str, sample: int = 0) -> Survey:
    """A survey that keeps a held-back split's rows; InputError when they are not those of the run."""
    made = survey(data, modality, seed, (split,), sample)
    if (found := made.splits.report.fingerprints[split]) != expected:
        raise InputError(
            f"the {split} split is not the one this run was made with (fingerprint {expected[:12]} expected, "
            f"{found[:12]} found). Bring back the data, or train again on the data as it is now"
        )
    return made


def train_rows(
    data: Data, modality: ModuleType, found: Survey, encoder: Any, names: Sequence[str], seed: int
) -> Stream:
    """The training rows as `encoder` makes them, with `labels` (places in `names`), shuffled through a buffer."""
    parts = batching.parts(data, modality)
    have = batching.official(parts, data)
    streams = []
    for name, part in parts.items():
        if have and pictures.SPLIT_NAMES[name.lower()] != "train":
            continue
        base, task = sources.beside(data, name), modality.__name__
        finish = _Finish(part.features, name, base, have, data, task, found.keys, found.groups, encoder, tuple(names))
        shuffled = part.shuffle(seed=seed, buffer_size=data.shuffle_buffer)
        columns = list(next(iter(part), {}))
        streams.append(shuffled.map(finish, batched=True, batch_size=modality.STREAMED, remove_columns=columns))
    return Stream(streams, found.splits.report.size("train"), encoder)


@dataclass
class _Finish:
    """A batch of raw rows as model inputs, training rows only. A class, because workers that are spawned need it."""

    features: Any
    name: str
    base: Path
    have: tuple[str, ...]
    data: Data
    modality: str
    held_keys: frozenset[str]
    held_groups: frozenset[str]
    encoder: Any
    names: tuple[str, ...]

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        modality = importlib.import_module(self.modality)
        rows = batching.keyed(batch, self.features, self.base, self.data, modality)
        keys, groups = rows["key"][:], batching.groups(rows)
        places = batching.dealt(keys, groups, self.name, self.have, self.data)
        mine = rows.select(
            [
                i
                for i, place in enumerate(places)
                if place == "train"
                and keys[i] not in self.held_keys
                and not (groups is not None and groups[i] in self.held_groups)
            ]
        )
        inputs = {role: mine[role][:] for role in modality.ROLES if role in mine.column_names}
        labels = labelsets.targets(mine["label"][:], self.names, self.data.multi_label)
        return self.encoder(inputs) | {"labels": labels} if labels else {"labels": []}


def _kept(
    rows: datasets.Dataset,
    name: str,
    have: tuple[str, ...],
    data: Data,
    tally: Tally,
    gone: Counter[str],
    hold: bool,
) -> list[str]:
    """Split of each row, "" where it is left out as a copy; `tally` and `gone` are brought up to date."""
    keys, labels, groups = rows["key"][:], rows["label"][:], batching.groups(rows)
    places = batching.dealt(keys, groups, name, have, data)
    own = pictures.SPLIT_NAMES[name.lower()] if have else None
    if own not in (None, "train") and hold:
        tally.hold(places, keys, labels, groups)
    copies = tally.meet(places, keys, labels, groups)
    if data.on_leak != "drop":
        return places
    gone.update(own or place for place, copy in zip(places, copies, strict=True) if copy)
    return ["" if copy else place for place, copy in zip(places, copies, strict=True)]


def _hold_ahead(
    tally: Tally,
    parts: dict[str, datasets.IterableDataset],
    have: tuple[str, ...],
    data: Data,
    modality: ModuleType,
) -> None:
    """One pass that only remembers what is held back."""
    for name, part in parts.items():
        base = sources.beside(data, name)
        for batch in batching.batches(part):
            rows = batching.keyed(batch, part.features, base, data, modality)
            keys, groups = rows["key"][:], batching.groups(rows)
            tally.hold(batching.dealt(keys, groups, name, have, data), keys, rows["label"][:], groups)


def _added(total: int, ids: list[str]) -> int:
    """A digest of a set of rows that needs no order and no memory: the sum of the rows' digests, modulo 2^256."""
    for identity in ids:
        stem = f"{content_of(identity)}-{identity.partition('-')[2]}"
        total += int.from_bytes(hashlib.sha256(stem.encode("utf-8", "surrogatepass")).digest(), "big")
    return total % 2**256


def _report(
    data: Data, seed: int, read: int, prints: dict[str, str], tally: Tally, gone: Counter[str], bad: int
) -> SplitReport:
    """Raises InputError when there are copies and `data.on_leak` is fail."""
    overlaps = tally.overlaps()
    met = list(sentences(overlaps))
    if met and data.on_leak == "fail":
        raise InputError(
            f"{shown(data)}: {'; '.join(met)}. data.on_leak is fail: mend the data, or type data.on_leak=drop to leave "
            "the copies out of train, or data.on_leak=warn to keep them"
        )
    method = {**dataclasses.asdict(data.split), "seed": seed, "rows_read": read, "limit": None, "streaming": True}
    left_out = {name: gone[name] for name in SPLITS[:-1]} if data.on_leak == "drop" else {}
    leaks = {"policy": data.on_leak, "overlaps": overlaps, "left_out": left_out, "note": SEARCHED}
    findings = [f"{counted(bad, 'row')} cannot be used and {'is' if bad == 1 else 'are'} left out"] if bad else []
    findings += met
    if met and data.on_leak == "warn":
        findings.append("copies are kept, because data.on_leak is warn; a stream is not scored without them")
    if cut := [f"{counted(n, 'row')} of {name}" for name, n in left_out.items() if n]:
        findings.append(f"left out for that: {' and '.join(cut)}")
    return SplitReport(method, {}, prints, [*findings, SEARCHED], leaks)
