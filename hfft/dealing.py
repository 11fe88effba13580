"""Which split a row goes to: at random, by time or by hash. Pure functions of lists, no tables.

In: keys, classes or times of the rows, shares and a seed. Out: a split's name per key or row, and sentences on what
could not be dealt as asked. The result depends on content and seed, never on the order of the rows.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter, defaultdict

import datasets
import numpy as np

from hfft.errors import InputError, listed
from hfft.limiting import draw
from hfft.records import SPLITS

KNOWN = 100_000  # keys whose cut is kept in memory
Keys = dict[str, str]  # key → class
Shares = dict[str, float]  # split → share; "train" and one or two more, summing to 1


def at_random(classes: Keys, shares: Shares, seed: int, stratify: bool) -> tuple[Keys, list[str]]:
    """(key → split, findings): `datasets.train_test_split` once or twice, and rare classes by hand.

    A class with too few keys for a stratified split gives each of the other splits one key if it has enough, and stays
    in train otherwise.
    """
    others = [name for name in shares if name != "train"]
    sizes = Counter(classes.values())
    rare = {name for name, n in sizes.items() if stratify and n * min(shares.values()) < 2}
    out: Keys = {}
    lonely = []
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
            lonely.append(f"{name} ({sizes[name]})")
    common = {key: classes[key] for key in sorted(classes) if classes[key] not in rare}
    rest = _cut(common, sum(shares[name] for name in others), seed, stratify)
    out |= {key: "train" for key in common if key not in rest}
    if len(others) == 2:
        held = _cut(rest, shares[others[1]] / (shares[others[0]] + shares[others[1]]), seed, stratify)
        out |= {key: others[1] if key in held else others[0] for key in rest}
    else:
        out |= dict.fromkeys(rest, others[0])
    return out, alone_in_train(lonely, "distinct rows")


def by_time(times: np.ndarray, shares: Shares, gap: float) -> tuple[list[str], list[str]]:
    """(split of each row, "" in a gap; findings): train is the past, test the latest rows; equal times stay together.

    times: float (n,), any unit. gap: in the same unit; rows less than `gap` before the next split begins are left out.
    """
    order = [name for name in SPLITS if name in shares]
    moments, counts = np.unique(times, return_counts=True)
    if len(moments) < len(order):
        raise InputError(
            f"data.split.by is time: {len(moments)} different times cannot be cut into {len(order)} splits"
        )
    done = np.concatenate([[0], np.cumsum(counts)]) / len(times)
    out = np.full(len(times), order[0], dtype=object)
    start, share = 0, 0.0
    starts = []
    for place, name in enumerate(order[1:], 1):
        share += shares[order[place - 1]]
        # The cut nearest to the wanted share that leaves a moment for every split.
        low, high = start + 1, len(moments) - (len(order) - place)
        start = low + int(np.argmin(np.abs(done[low : high + 1] - share)))
        out[times >= moments[start]] = name
        starts.append(moments[start])
    late = np.zeros(len(times), dtype=bool)
    for begin in starts:
        late |= (times < begin) & (times > begin - gap)
    out[late] = ""
    if not late.any():
        return out.tolist(), []
    return out.tolist(), [f"{late.sum():,} rows lie in the gap before validation or test and are left out"]


def by_hash(keys: list[str], shares: Shares, salt: str) -> list[str]:
    """Split of each row: a number from 0 to 1 that depends on key and salt only, held against the shares.

    Adding rows never moves old ones, and a larger test share only takes rows from its neighbour.
    """
    order = [name for name in reversed(SPLITS) if name in shares]  # test, validation, train
    edges = np.cumsum([shares[name] for name in order])[:-1]
    digests = (hashlib.blake2b(f"{salt}\x1f{key}".encode(), digest_size=8).digest() for key in keys)
    points = [int.from_bytes(digest, "big") / 2**64 for digest in digests]
    return [order[place] for place in np.searchsorted(edges, points, side="right")]


def alone_in_train(names: list[str], what: str) -> list[str]:
    """A sentence on classes that could not be dealt, if there are any; what: of what they have too few."""
    if not names:
        return []
    have = "one class has" if len(names) == 1 else f"{len(names)} classes have"
    return [f"{have} too few {what} to be split, all in train and not measured: {listed(names)}"]


def _cut(classes: Keys, share: float, seed: int, stratify: bool) -> Keys:
    """The keys of a random part of about `share`, by `datasets.train_test_split`."""
    size = round(len(classes) * share)
    if not classes or size in (0, len(classes)):
        return {} if not size else dict(classes)
    given = tuple(classes), tuple(classes.values())
    held = (_held if len(classes) <= KNOWN else _held.__wrapped__)(*given, size, seed, stratify)
    return {key: classes[key] for key in held}


@functools.lru_cache(maxsize=3)  # the folds of one table begin with the same two cuts, and go on with one of their own
def _held(keys: tuple[str, ...], labels: tuple[str, ...], size: int, seed: int, stratify: bool) -> tuple[str, ...]:
    """The keys that are cut off. labels: of each key."""
    names = sorted(set(labels))
    features = datasets.Features({"key": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    rows = datasets.Dataset.from_dict({"key": list(keys), "label": list(labels)}, features=features)
    column = "label" if stratify and len(names) > 1 else None
    held = rows.train_test_split(test_size=size, stratify_by_column=column, seed=seed)["test"]
    return tuple(held["key"][:])
