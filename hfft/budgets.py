"""How much may be tried in a given time: durations as people write them, and what fits into one.

In: a budget, what a row costs, which probes there are. Out: severities per probe and rows. It must not know models.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

DURATION = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)
UNITS = dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0) | dict.fromkeys(("h", "hour", "hours"), 3600.0)
UNITS |= dict.fromkeys(("m", "min", "minute", "minutes"), 60.0)
LEAST = 100  # rows below which a rate says little: rather fewer severities, then fewer probes
STEPS = (1, 1.5, 2, 3, 5, 7)  # rows are rounded down to these, so that a busy machine seldom changes their number


@dataclass(frozen=True)
class Plan:
    """rows: tried per probe and severity. severities: probe → its levels that are tried. left_out: for lack of time."""

    rows: int
    severities: dict[str, tuple[int, ...]]
    left_out: tuple[str, ...] = ()


def seconds(text: str | float) -> float:
    """A duration in seconds; a bare number is one. Raises ValueError that says what is expected.

    >>> seconds("60s"), seconds("1.5 min"), seconds(30)
    (60.0, 90.0, 30.0)
    """
    found = DURATION.fullmatch(str(text)) if not isinstance(text, bool) else None
    factor = UNITS.get(found[2].lower()) if found else None
    if not found or factor is None:
        raise ValueError(f"{text!r} is no duration: expected seconds, or a text such as 60s, 5min or 1h")
    return float(found[1]) * factor


def plan(
    levels: Mapping[str, int],
    costs: Mapping[str, float],
    n: int,
    budget: float,
    rows: int | None = None,
    whole: Collection[str] = (),
) -> Plan:
    """What to try on `n` rows within `budget` seconds.

    levels: probe → severities it has, the first to be kept first. costs: probe → seconds for one changed row. rows:
    where the recipe sets them, every probe is tried at every severity whatever it costs. whole: probes that are tried
    at every severity on 100 rows (or all `n`) at least, whatever it costs.

    All severities where each gets 100 rows (or all `n`), else the mildest, middle and strongest, else the middle one,
    else fewer probes.
    """
    every = {name: tuple(range(1, count + 1)) for name, count in levels.items()}
    if rows is not None or not levels or not n:
        return Plan(min(rows or 0, n), every)
    wanted = min(LEAST, n)
    for thinned in (_all, _ends, _middle):
        found = {name: part if name in whole else thinned(part) for name, part in every.items()}
        if (fits := _rows(found, costs, budget)) >= wanted:
            return Plan(_rounded(min(fits, n), n), found)
    kept = {name: part for name, part in every.items() if name in whole}
    for name, part in every.items():
        tried = {name: _middle(part)} | kept  # those of `whole` as they are
        if _rows(tried, costs, budget) >= wanted:
            kept = tried
    left_out = tuple(name for name in levels if name not in kept)
    kept = {name: kept[name] for name in levels if name in kept}
    fits = max(_rows(kept, costs, budget), wanted if any(name in whole for name in kept) else 0)
    return Plan(_rounded(min(fits, n), n) if kept else 0, kept, left_out)


def _rows(severities: Mapping[str, tuple[int, ...]], costs: Mapping[str, float], budget: float) -> int:
    each = sum(costs[name] * len(part) for name, part in severities.items())
    return int(min(budget / max(each, 1e-12), 1e12))


def _rounded(rows: int, n: int) -> int:
    """
    >>> _rounded(812, 2000), _rounded(2000, 2000), _rounded(9, 2000)
    (700, 2000, 7)
    """
    if rows >= n or rows < 1:
        return rows
    unit = 10 ** math.floor(math.log10(rows))
    return int(max(step * unit for step in STEPS if step * unit <= rows))


def _all(part: tuple[int, ...]) -> tuple[int, ...]:
    return part


def _ends(part: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((part[0], *_middle(part), part[-1])))


def _middle(part: tuple[int, ...]) -> tuple[int, ...]:
    return (part[len(part) // 2],)
