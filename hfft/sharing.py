"""A share of the training rows, for a learning curve: which of them are used when `data.train_share` is set.

In: unit, classes and split of every row. Out: the splits without the rows that are left out, and a sentence. Shares are
nested: the rows of a smaller one are among those of a larger one. Which rows depends on their content and the seed,
never on their order. It must not know of tables.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from hfft import labelsets
from hfft.errors import InputError, counted
from hfft.limiting import draw


def kept(
    units: Sequence[str], labels: Sequence[str], places: Sequence[str], share: float, seed: int, multi_label: bool
) -> tuple[list[str], list[str]]:
    """(split of each row, findings): of train a `share` of the rows keeps its place, the others get "".

    units: group of each row, or its key: rows of one unit stay together. Every class keeps its share to within about a
    row, and at least one unit. Raises InputError where the share cannot hold a row, or a unit, of every class.
    """
    if share == 1.0:
        return list(places), []
    train = [i for i, place in enumerate(places) if place == "train"]
    held: dict[str, Counter[str]] = defaultdict(Counter)
    sizes: Counter[str] = Counter()
    for i in train:
        held[units[i]].update(labelsets.names(labels[i]) if multi_label else (labels[i],))
        sizes[units[i]] += 1
    order, core = ranked(held, sizes, seed)
    total, chosen, rows = len(train), set[str](), 0
    for unit in order:
        if rows + sizes[unit] / 2 > share * total + 1e-9:  # more of it would be too much than too little
            break
        chosen.add(unit)
        rows += sizes[unit]
    if not core <= chosen:
        raise InputError(_too_few(sum(sizes[unit] for unit in core), total, share, held))
    whole = ", what belongs together is whole" if len(sizes) < total else ""
    note = f"data.train_share: {rows:,} of {total:,} training rows are used ({share:g}), class proportions kept{whole}"
    out = ["" if place == "train" and unit not in chosen else place for place, unit in zip(places, units, strict=True)]
    return out, [note]


def ranked(held: dict[str, Counter[str]], sizes: Counter[str], seed: int) -> tuple[list[str], set[str]]:
    """(units, the first to be kept first; those that come first so that each class has one).

    held: unit → class → rows. sizes: unit → rows. Every beginning of the list has nearly the classes' proportions: the
    rarest class spreads its units evenly from 0 to 1, then the next, around those of its units that have a place
    already. For one class a row that is Webster's method of apportionment; the order of classes is that of Sechidis,
    Tsoumakas & Vlahavas 2011.
    """
    totals: Counter[str] = Counter()
    for count in held.values():
        totals.update(count)
    by_draw = sorted(held, key=lambda unit: (draw(unit, seed), unit))
    where: dict[str, float] = {}
    for name in sorted(totals, key=lambda name: (totals[name], name)):
        _spread([(unit, held[unit][name]) for unit in by_draw if held[unit][name]], where)
    _spread([(unit, sizes[unit]) for unit in by_draw], where)
    order = sorted(by_draw, key=lambda unit: where[unit])  # stable: ties stay as drawn
    first: dict[str, str] = {}
    for unit in order:
        for name in held[unit]:
            first.setdefault(name, unit)
    core = set(first.values())
    return [unit for unit in order if unit in core] + [unit for unit in order if unit not in core], core


def _spread(members: Sequence[tuple[str, int]], where: dict[str, float]) -> None:
    """Give every unit that has no place yet one from 0 to 1, so that weight is spread evenly along with those placed.

    members: (unit, weight > 0).
    """
    total = sum(weight for _, weight in members)
    stops = sorted((where[unit], weight) for unit, weight in members if unit in where)
    passed, stop, done = 0, 0, 0
    for unit, weight in [member for member in members if member[0] not in where]:
        middle = done + weight / 2
        while stop < len(stops) and middle + passed >= stops[stop][0] * total:
            passed += stops[stop][1]
            stop += 1
        where[unit] = (middle + passed) / total
        done += weight


def _too_few(core: int, total: int, share: float, held: dict[str, Counter[str]]) -> str:
    names = {name for count in held.values() for name in count}
    least = math.ceil(1000 * core / total) / 1000
    return (
        f"data.train_share: {share:g} of {counted(total, 'training row')} is {share * total:,.0f}, too few for "
        f"{len(names):,} classes; type data.train_share={least:g} or more"
    )
