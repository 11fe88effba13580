"""The verb `compare` over several seeds: recipe against recipe, not run against run. Reads files, imports no torch.

In: folders that `hfft run --seeds` wrote and `hfft eval` scored. Out: plain facts. It opens no split.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hfft import comparing, mask_records, pairing, recipe, seeding
from hfft.comparing import BETTER, UNCLEAR, WORSE
from hfft.errors import InputError, listed
from hfft.records import SEEDS, Score, leading, less_is_better, read_json
from hfft.run_folder import RunFolder


def concerns(names: list[str]) -> bool:
    """Whether these are folders of several seeds; InputError when only some of them are."""
    many = [name for name in names if (Path(name) / SEEDS).is_file()]
    if many and len(many) < len(names):
        members = read_json(Path(many[0]) / SEEDS)["members"]
        raise InputError(
            f"{many[0]} holds runs of several seeds and {next(n for n in names if n not in many)} is a single run: "
            f"compare it with one of them ({listed(f'{many[0]}/{member}' for member in members)})"
        )
    return bool(many)


def compare(names: list[str]) -> dict[str, Any]:
    """Every folder after the first against the first: {"runs", "n", "comparisons"}.

    The n-th seed of one is paired with the n-th of the other; seeds beyond the shorter list take no part. The interval
    of the mean difference (see `seeding.spread`) allows for other seeds and other rows; with several comparisons its
    level is 1 - 0.05 / comparisons. Raises InputError when a run has not been scored, or when their test rows differ.
    """
    if len(names) < 2:
        raise InputError("compare needs two folders or more: hfft compare runs/first runs/second")
    (base, first), *others = [(name, _members(name)) for name in names]
    metrics = recipe.load(str(first[0].root)).metrics
    level = 1 - 0.05 / len(others)
    found = [_compared(base, first, name, second, metrics, level) for name, second in others]
    n = mask_records.read(first[0].predictions("test")).n
    return {"runs": names, "n": n, "comparisons": found}


def _members(name: str) -> list[RunFolder]:
    return [RunFolder.existing(Path(name) / member) for member in read_json(Path(name) / SEEDS)["members"]]


def _compared(
    base: str, first: list[RunFolder], other: str, second: list[RunFolder], metrics: list[str], level: float
) -> dict[str, Any]:
    pairs, scores, apart = list(zip(first, second, strict=False)), [], []
    if len(pairs) < 2:
        raise InputError(f"{base} and {other}: expected two seeds or more in each")
    for mine, theirs in pairs:
        one, two = (mask_records.read(run.predictions("test")) for run in (mine, theirs))
        found = comparing.compare([(str(mine.root), one), (str(theirs.root), two)], metrics)[0]
        kept = found.differences.items()
        scores.append({key: Score(d.value, d.low, d.high, d.n, d.method) for key, d in kept})
        won, lost = np.isin(one.ids, found.won), np.isin(one.ids, found.lost)
        apart.append(dict(zip(one.ids, won.astype(float) - lost, strict=True)))
    rows = sorted(apart[0])
    alike = seeding.likeness(np.array([[part[row] for row in rows] for part in apart]))
    spreads = seeding.spreads(scores, alike, level)
    lead = leading(spreads)
    if lead is None:
        raise InputError(f"{base} and {other}: no metric has a value for every seed, so the means cannot be compared")
    verdict, sentence = _judged(base, other, lead, spreads[lead])
    facts = {key: dataclasses.asdict(made) for key, made in spreads.items()}
    return {"first": base, "second": other, "seeds": len(pairs), "differences": facts, "headline": lead} | {
        "verdict": verdict,
        "sentence": sentence,
    }


def _judged(first: str, second: str, metric: str, found: seeding.Spread) -> tuple[str, str]:
    """(verdict, sentence)"""
    points = pairing.told(metric, {"value": found.mean, "low": found.low, "high": found.high})
    fact = f"{points} over {len(found.values)} pairs of seeds"
    if found.low <= 0 <= found.high:
        return UNCLEAR, f"Too small to tell whether {second} is better than {first} on average: {fact}."
    verdict = BETTER if (found.mean > 0) != less_is_better(metric) else WORSE
    return verdict, f"{second} is {verdict} than {first} on average: {fact}."
