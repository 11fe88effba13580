"""Which fold a row is in, for cross-validation. Pure functions of lists, no tables.

In: key, class (or classes) and perhaps group of each row, a number of folds, a seed. Out: a fold's number per row, and
sentences on what could not be dealt as asked. The result depends on content and seed, never on the order of the rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from hfft.apportioning import by_classes
from hfft.errors import InputError, listed
from hfft.grouping import by_group
from hfft.limiting import draw

ALWAYS = -1  # rows that are never held out: the only ones of their class


def by_key(classes: Mapping[str, str], folds: int, seed: int, stratify: bool) -> tuple[dict[str, int], list[str]]:
    """(key → fold, findings); classes: key → class. Two folds differ by one key at most, in size and in every class.

    The one key of a class that has no other is in no fold: it is always trained on. Raises InputError when there are
    fewer keys than folds.
    """
    sizes = Counter(classes.values())
    alone = {name for name, n in sizes.items() if n == 1} if stratify else set()
    keys = [key for key in classes if classes[key] not in alone]
    _enough(len(keys), folds, "distinct inputs")
    # Class after class, each in random order, like cards around a table.
    order = sorted(keys, key=lambda key: (classes[key] if stratify else "", draw(key, seed), key))
    out = dict.fromkeys(classes, ALWAYS) | {key: place % folds for place, key in enumerate(order)}
    return out, _said(alone, sizes if stratify else {}, folds)


def by_set(sets: Mapping[str, Sequence[str]], folds: int, seed: int) -> tuple[dict[str, int], list[str]]:
    """The same where several classes may apply; sets: key → its classes. By iterative stratification."""
    _enough(len(sets), folds, "distinct inputs")
    names = ["train", *(f"fold {place}" for place in range(1, folds))]  # the first gets what only one fold can have
    dealt, _ = by_classes(sets, dict.fromkeys(names, 1 / folds), seed)
    sizes = Counter(name for given in sets.values() for name in given)
    alone = {name for name, n in sizes.items() if n == 1}
    out = {key: ALWAYS if set(sets[key]) & alone else names.index(place) for key, place in dealt.items()}
    return out, _said(alone, sizes, folds)


def of_groups(
    groups: Sequence[str], labels: Sequence[str | tuple[str, ...]], folds: int, seed: int, stratify: bool
) -> tuple[list[int], list[str]]:
    """(fold of each row, findings): the rows of a group stay together, class counts as even as that allows.

    A group that alone has a class is in no fold. labels: the class of each row, or its classes. Raises InputError when
    there are fewer groups than folds.
    """
    having: dict[str, set[str]] = defaultdict(set)
    for group, label in zip(groups, labels, strict=True):
        for name in (label,) if isinstance(label, str) else label:
            having[name].add(group)
    alone = {name for name, met in having.items() if len(met) == 1}
    kept = {group for name in alone for group in having[name]}
    rows = [i for i, group in enumerate(groups) if group not in kept]
    _enough(len({groups[i] for i in rows}), folds, "groups")
    names = [str(fold) for fold in range(folds)]
    shares = dict.fromkeys(names, 1 / folds)
    dealt, _ = by_group([groups[i] for i in rows], [labels[i] for i in rows], shares, seed, stratify)
    out = [ALWAYS] * len(groups)
    for i, name in zip(rows, dealt, strict=True):
        out[i] = names.index(name)
    return out, _said(alone, {}, folds, "group")


def by_hash(keys: Sequence[str], folds: int, salt: str) -> list[int]:
    """Fold of each row by its key and the salt alone: adding rows moves no other."""
    digests = (hashlib.blake2b(f"{salt}\x1ffold\x1f{key}".encode(), digest_size=8).digest() for key in keys)
    return [int.from_bytes(digest, "big") * folds >> 64 for digest in digests]


def _enough(there: int, folds: int, what: str) -> None:
    if there < folds:
        raise InputError(f"{there} {what} cannot be dealt into {folds} folds; expected at least {folds}")


def _said(alone: Collection[str], sizes: Mapping[str, int], folds: int, what: str = "distinct input") -> list[str]:
    """On classes that are never held out, and on those that are not held out in every fold."""
    found = []
    if alone:
        have = "one class has" if len(alone) == 1 else f"{len(alone)} classes have"
        found = [f"{have} one {what} only, trained on in every fold and not measured: {listed(sorted(alone))}"]
    few = sorted(f"{name} ({n})" for name, n in sizes.items() if n < folds and name not in alone)
    return found + ([f"fewer distinct inputs than folds, so not in every fold: {listed(few)}"] if few else [])
