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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import datasets
import pyarrow as pa

from hfft import loading, naming, pictures, sources
from hfft.dealing import by_hash
from hfft.errors import InputError, counted
from hfft.recipe import Data
from hfft.records import SPLITS, SplitReport, content_of
from hfft.sources import shown
from hfft.splitting import Splits, settled
from hfft.spooling import Spool, Stream, folder

BATCH = 2_000  # rows read, dealt and forgotten together
SEARCHED = "a stream is searched for equal inputs only, not for look-alikes"


@dataclass(frozen=True)
class Survey:
    """What one pass found. splits: without train. held: split → keys of official held-back rows (predefined only)."""

    splits: Splits
    held: dict[str, set[str]]


def survey(data: Data, modality: ModuleType, seed: int, keep: Sequence[str] = ("validation",)) -> Survey:
    """One pass over the stream; the splits in `keep` are spooled to disk.

    Raises InputError for what cannot be streamed, and for whatever reading all rows at once would refuse.
    """
    parts = _parts(data, modality)
    spools = {name: Spool(folder() / f"{name}.arrow") for name in keep}
    counts: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    prints, gone, classes = dict.fromkeys(SPLITS, 0), Counter[str](), Counter[str]()
    held: dict[str, set[str]] = {name: set() for name in SPLITS}
    read, bad = 0, 0
    declared: tuple[str, ...] = ()
    for name, part in parts.items():  # held-back parts come first: their keys must be known when train is read
        for batch in _batches(part):
            made = _usable(batch, part.features, name, data, modality, read)
            read, bad = made.end, bad + made.bad
            declared = declared or made.declared
            classes.update(made.classes)
            places = _places(made.rows, name, tuple(parts), data, held)
            for place in SPLITS:
                mine = made.rows.select([i for i, at in enumerate(places) if at == place])
                counts[place].update(mine["label"][:])
                prints[place] = _added(prints[place], mine["id"][:])
                if place in spools and len(mine):
                    spools[place].add(mine)
            gone[name] += places.count("")
    if not read:
        raise InputError(f"{shown(data)}: there are no rows in it")
    naming.check(classes.elements(), data.labels, shown(data))
    report = _report(data, seed, read, {n: f"{v:064x}" for n, v in prints.items()}, gone, bad)
    labels, full = settled(counts, report, declared, data)
    return Survey(Splits({name: spool.rows() for name, spool in spools.items()}, labels, full), held)


def reopened(data: Data, modality: ModuleType, seed: int, split: str, expected: str) -> Survey:
    """A survey that keeps a held-back split's rows; InputError when they are not those of the run."""
    made = survey(data, modality, seed, (split,))
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
    parts = _parts(data, modality)
    order = tuple(parts)
    if data.split.by == "predefined":
        parts = {name: part for name, part in parts.items() if pictures.SPLIT_NAMES[name.lower()] == "train"}
    streams = []
    for name, part in parts.items():
        finish = _Finish(part.features, name, order, data, modality.__name__, found.held, encoder, tuple(names))
        shuffled = part.shuffle(seed=seed, buffer_size=data.shuffle_buffer)
        columns = list(next(iter(part)))
        streams.append(shuffled.map(finish, batched=True, batch_size=1000, remove_columns=columns))
    return Stream(datasets.concatenate_datasets(streams), found.splits.report.size("train"), encoder)


def sample(data: Data, modality: ModuleType, found: Survey, most: int) -> datasets.Dataset:
    """The first `most` training rows, with inputs and labels: for baselines and for showing."""
    rows: list[datasets.Dataset] = []
    for name, part in (parts := _parts(data, modality)).items():
        for batch in _batches(part):
            made = _usable(batch, part.features, name, data, modality, 0)
            places = _places(made.rows, name, tuple(parts), data, found.held)
            rows.append(made.rows.select([i for i, at in enumerate(places) if at == "train"]))
            if sum(map(len, rows)) >= most:
                break
    whole = datasets.concatenate_datasets([part for part in rows if len(part)])
    return whole.select(range(min(most, len(whole))))


@dataclass(frozen=True)
class _Usable:
    """One batch: usable rows, its classes as read, the declared order, unusable rows, rows read up to its end."""

    rows: datasets.Dataset
    classes: Counter[str]
    declared: tuple[str, ...]
    bad: int
    end: int


@dataclass
class _Finish:
    """A batch of raw rows as model inputs, training rows only. A class, because workers that are spawned need it."""

    features: Any
    name: str
    order: tuple[str, ...]
    data: Data
    modality: str
    held: dict[str, set[str]]
    encoder: Any
    names: tuple[str, ...]

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        modality = importlib.import_module(self.modality)
        made = _usable(batch, self.features, self.name, self.data, modality, 0)
        places = _places(made.rows, self.name, self.order, self.data, self.held)
        mine = made.rows.select([i for i, at in enumerate(places) if at == "train"])
        place = {label: index for index, label in enumerate(self.names)}
        inputs = {role: mine[role][:] for role in modality.ROLES if role in mine.column_names}
        labels = [place[label] for label in mine["label"][:]]
        return self.encoder(inputs) | {"labels": labels} if labels else {"labels": []}


def _parts(data: Data, modality: ModuleType) -> dict[str, datasets.IterableDataset]:
    """Source splits as streams, test before validation before train."""
    if data.split.by not in ("hash", "predefined"):
        raise InputError(f"data.streaming: rows cannot be dealt by {data.split.by}; type data.split.by=hash")
    if data.limit:
        raise InputError(
            "data.streaming: data.limit needs all rows at once; set train.max_steps and split shares instead"
        )
    if "image" in modality.ROLES and sources.image_folder(data):
        raise InputError("data.streaming: a folder of pictures is read by its paths already; type data.streaming=false")
    parts = sources.load(data)
    if data.split.by == "predefined":
        parts, _ = loading.official_parts(parts, data)
    late = {name: SPLITS.index(pictures.SPLIT_NAMES.get(name.lower(), "train")) for name in parts}
    out = {}
    for name in sorted(parts, key=lambda name: -late[name]):
        part = parts[name]
        for column, feature in (part.features or {}).items():
            if isinstance(feature, datasets.Image):
                part = part.cast_column(column, datasets.Image(decode=False))
        out[name] = part
    return out


def _batches(part: datasets.IterableDataset) -> Iterator[dict[str, list[Any]]]:
    try:
        yield from part.iter(batch_size=BATCH)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"the data cannot be read to its end: {' '.join(str(error).split())[:300]}") from error


def _usable(
    batch: dict[str, list[Any]], features: Any, name: str, data: Data, modality: ModuleType, start: int
) -> _Usable:
    """Columns by role, labels by name, ids and keys: what `loading.read` does, for one batch."""
    part = datasets.Dataset.from_dict(batch, features=features)
    table = loading.by_role(part, data, modality, sources.beside(data, name))
    classes = Counter(label for label in table.rows["label"][:] if label is not None)
    rows, bad = loading.identified(loading.named(table, data).rows, modality)
    if bad and data.on_bad_rows == "fail":
        numbered = {start + index: why for index, why in bad.items()}
        raise InputError(
            f"{loading.sentence_of_bad(numbered, {}, shown(data))}. Mend them, or leave them out with "
            "data.on_bad_rows=drop"
        )
    return _Usable(rows, classes, table.declared, len(bad), start + len(part))


def _places(
    rows: datasets.Dataset, name: str, parts: tuple[str, ...], data: Data, held: dict[str, set[str]]
) -> list[str]:
    """Split of each row, "" where it is left out; official held-back keys are put into `held` on the way."""
    keys = rows["key"][:]
    shares = {split: getattr(data.split, split) for split in SPLITS}
    if data.split.by == "hash":
        return by_hash(rows["group"][:] if "group" in rows.column_names else keys, shares, data.split.salt)
    own = pictures.SPLIT_NAMES[name.lower()]
    have = {pictures.SPLIT_NAMES[part.lower()] for part in parts}
    if own == "train":
        left = {split: share for split, share in shares.items() if split == "train" or split not in have}
        total = sum(left.values())
        places = by_hash(keys, {split: share / total for split, share in left.items()}, data.split.salt)
    else:
        places = [own] * len(keys)
        held[own].update(keys)
    later = set(SPLITS[SPLITS.index(own) + 1 :]) & have
    copies = [any(key in held[split] for split in later) for key in keys]
    if any(copies) and data.on_leak == "fail":
        raise InputError(
            f"{shown(data)}: {sum(copies):,} rows of {own} are in a later split, too; data.on_leak is fail"
        )
    return ["" if copy and data.on_leak == "drop" else place for place, copy in zip(places, copies, strict=True)]


def _added(total: int, ids: list[str]) -> int:
    """A digest of a set of rows that needs no order and no memory: the sum of the rows' digests, modulo 2^256."""
    for identity in ids:
        stem = f"{content_of(identity)}-{identity.partition('-')[2]}"
        total += int.from_bytes(hashlib.sha256(stem.encode("utf-8", "surrogatepass")).digest(), "big")
    return total % 2**256


def _report(data: Data, seed: int, read: int, prints: dict[str, str], gone: Counter[str], bad: int) -> SplitReport:
    method = {**dataclasses.asdict(data.split), "seed": seed, "rows_read": read, "limit": None, "streaming": True}
    leaks: dict[str, Any] = {"policy": data.on_leak, "overlaps": [], "left_out": dict(gone), "note": SEARCHED}
    findings = [f"{counted(bad, 'row')} cannot be used and {'is' if bad == 1 else 'are'} left out"] if bad else []
    findings += [
        f"left out: {counted(n, 'row')} of {name} that a later split has, too" for name, n in gone.items() if n
    ]
    return SplitReport(method, {}, prints, [*findings, SEARCHED], leaks)
