"""Fewer rows, for a first look: which of them are used when `data.limit` is set.

In: id, key, class and split of every row. Out: indices of rows, and what the limit does to small classes, as
sentences. The choice depends on the rows' content and the seed, never on their order. It must not know of tables.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

from hfft.errors import InputError, listed

Stratum = tuple[str, str]  # (split, class)
ENOUGH = 3  # rows of a class that can be dealt into train, validation and test


def limited(
    ids: list[str], keys: list[str], labels: list[str], places: list[str], limit: int | None, seed: int
) -> tuple[list[int], list[str]]:
    """(indices of the rows to use, findings): all rows that have a place, or `limit` of them.

    places: split of each row, "" for rows that are not used. Classes and splits keep their proportions to within one
    row, except that no class loses its last row of train. Raises InputError when there are more classes than rows.
    """
    strata: dict[Stratum, list[int]] = defaultdict(list)
    for index, place in enumerate(places):
        if place:
            strata[place, labels[index]].append(index)
    sizes = {stratum: len(strata[stratum]) for stratum in sorted(strata)}
    total = sum(sizes.values())
    if limit is None or limit >= total:
        return [index for index, place in enumerate(places) if place], []
    quota, raised = quotas(sizes, limit)
    chosen: list[int] = []
    for stratum, indices in strata.items():
        order = sorted(indices, key=lambda i: (draw(keys[i], seed), ids[i]))
        # Three copies of one input could not be split: the first few are distinct inputs, where there are any.
        first = list({keys[i]: i for i in reversed(order)}.values())[::-1][:ENOUGH]
        chosen += (first + [i for i in order if i not in first])[: quota[stratum]]
    note = f"data.limit: {limit:,} of {total:,} rows are used, class proportions kept"
    if raised:
        note += f" but for small classes: {listed(raised)}"
    return sorted(chosen), [note, *_thinned(sizes, quota)]


def few(
    ids: list[str], keys: list[str], labels: list[str], places: list[str], shots: int | None, seed: int
) -> tuple[list[str], list[str]]:
    """(split of each row, findings): of train only `shots` rows of each class keep their place, the others get "".

    Which ones depends on the rows' content and the seed; repeated inputs come last.
    """
    if shots is None:
        return places, []
    classes: dict[str, list[int]] = defaultdict(list)
    for index, place in enumerate(places):
        if place == "train":
            classes[labels[index]].append(index)
    out = ["" if place == "train" else place for place in places]
    for indices in classes.values():
        order = sorted(indices, key=lambda i: (draw(keys[i], seed), ids[i]))
        first = list({keys[i]: i for i in reversed(order)}.values())[::-1]
        for index in (first + [i for i in order if i not in first])[:shots]:
            out[index] = "train"
    total, used = sum(map(len, classes.values())), out.count("train")
    note = f"data.shots: {used:,} of {total:,} training rows are used, {shots:,} of each class"
    fewer = sorted(f"{name!r} ({len(rows)})" for name, rows in classes.items() if len(rows) < shots)
    return out, [note + (f"; fewer there are of {listed(fewer)}" if fewer else "")]


def quotas(sizes: dict[Stratum, int], limit: int) -> tuple[dict[Stratum, int], list[str]]:
    """(rows of each class and split, classes that get more than their share): `limit` rows, by largest remainder.

    First come enough rows of a class to be split, then one in every split that has the class, as the limit allows.

    >>> quotas({("train", "a"): 970, ("train", "rare"): 30}, 50)
    ({('train', 'rare'): 3, ('train', 'a'): 47}, ['rare'])
    """
    for in_train, elsewhere in ((ENOUGH, 1), (1, 1), (1, 0)):
        floor = {s: min(n, in_train if s[0] == "train" else elsewhere) for s, n in sizes.items()}
        if (least := sum(floor.values())) <= limit:
            break
    else:
        raise InputError(f"data.limit: {limit:,} rows cannot hold {least:,} classes; type data.limit={least} or more")
    quota: dict[Stratum, int] = {}
    free = dict(sizes)
    while True:  # a stratum that has less than its floor by proportion gets the floor, at the cost of the others
        rest, of = limit - sum(quota.values()), sum(free.values())
        small = [s for s, n in free.items() if n * rest < floor[s] * of]
        if not small:
            break
        quota |= {s: floor[s] for s in small}
        free = {s: n for s, n in free.items() if s not in quota}
    raised = sorted({label for _, label in quota})
    shares = {s: divmod(n * rest, of) for s, n in free.items()}
    quota |= {s: whole for s, (whole, _) in shares.items()}
    for stratum in sorted(free, key=lambda s: (-shares[s][1], s))[: limit - sum(quota.values())]:
        quota[stratum] += 1
    return quota, raised


def draw(key: str, seed: int) -> bytes:
    """A pseudo-random rank that depends on content and seed only."""
    return hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()


def _thinned(sizes: dict[Stratum, int], quota: dict[Stratum, int]) -> list[str]:
    """What a limit does to small classes, split by split."""
    findings = []
    splits = sorted({place for place, _ in sizes})
    for split in splits:
        where = f" in {split}" if len(splits) > 1 else ""
        cut = [(label, quota[place, label], n) for (place, label), n in sizes.items() if place == split]
        few = [f"{label} ({kept} of {n:,})" for label, kept, n in cut if 0 < kept < min(n, ENOUGH)]
        gone = [f"{label} ({n:,})" for label, kept, n in cut if not kept]
        if few:
            findings.append(f"data.limit leaves fewer than {ENOUGH} rows{where} of {listed(few)}")
        if gone:
            findings.append(f"data.limit leaves no row{where} of {listed(gone)}")
    return findings
