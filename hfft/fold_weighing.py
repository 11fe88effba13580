"""The verb `compare` over folds: recipe against recipe on the same folds. Reads files, imports no torch.

In: folders that `hfft cv` wrote. Out: plain facts. It opens no split.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hfft import comparing, corrected, mask_records, pairing, recipe, scoring
from hfft.comparing import BETTER, SIGNIFICANT, UNCLEAR, WORSE
from hfft.errors import InputError
from hfft.mask_records import Answers
from hfft.records import FOLDS, HELD_OUT, leading, less_is_better, read_json
from hfft.run_folder import RunFolder


def concerns(names: list[str]) -> bool:
    """Whether all of these are folders of folds: beside a run, their models answer together, on the test rows."""
    return bool(names) and all((Path(name) / FOLDS).is_file() for name in names)


def compare(names: list[str]) -> dict[str, Any]:
    """Every folder after the first against the first: {"runs", "n", "comparisons"}.

    The test is the corrected resampled t-test over folds (see corrected.py), p adjusted by Holm's method for several
    comparisons; rows won and lost are those of all held-out answers. Raises InputError when rows were dealt otherwise.
    """
    if len(names) < 2:
        raise InputError("compare needs two folders or more: hfft compare runs/first_cv runs/second_cv")
    base, *others = names
    facts, first = read_json(Path(base) / FOLDS), _parts(base)
    metrics = recipe.load(str(Path(base) / facts["members"][0])).metrics
    found = [_compared(base, first, other, _parts(other), metrics, facts["ratio"], len(others)) for other in others]
    adjusted = pairing.holm([made["differences"][made["headline"]]["p"] for made in found])
    for made, p in zip(found, adjusted, strict=True):
        made["p"] = p
        made["verdict"], made["sentence"] = _judged(base, made)
    return {"runs": names, "n": sum(part.n for part in first), "folds": len(first), "comparisons": found}


def _parts(name: str) -> list[Answers]:
    facts = read_json(Path(name) / FOLDS)
    return [mask_records.read(RunFolder(Path(name) / member).predictions(HELD_OUT)) for member in facts["members"]]


def _compared(
    base: str,
    first: list[Answers],
    other: str,
    second: list[Answers],
    metrics: list[str],
    ratio: float,
    comparisons: int,
) -> dict[str, Any]:
    if len(first) != len(second) or any({*a.ids} != {*b.ids} for a, b in zip(first, second, strict=True)):
        raise InputError(
            f"{base} and {other}: rows were dealt into other folds; train both with the same data:, data.split, seed, "
            "--folds and --repeats"
        )
    matched = [comparing.aligned(base, mine, other, theirs) for mine, theirs in zip(first, second, strict=True)]
    scores = [(scoring.score(a, metrics), scoring.score(b, metrics)) for a, b in zip(first, matched, strict=True)]
    level = 1 - SIGNIFICANT / comparisons
    apart = {}
    for key in scores[0][0]:
        pairs = [(a[key].value, b[key].value) for a, b in scores]
        values = [b - a for a, b in pairs if a is not None and b is not None]
        if "[" not in key and len(values) == len(pairs):
            apart[key] = dataclasses.asdict(corrected.mean(values, ratio, level))
    lead = leading(apart)
    if lead is None:
        raise InputError(f"{base} and {other}: no metric has a value in every fold, so they cannot be compared")
    sides = [comparing.won_lost(a, b) for a, b in zip(first, matched, strict=True)]
    counts = {"won": sum(int(won.sum()) for won, _ in sides), "lost": sum(int(lost.sum()) for _, lost in sides)}
    return {"first": base, "second": other, "differences": apart, "headline": lead} | counts


def _judged(base: str, made: dict[str, Any]) -> tuple[str, str]:
    """(verdict, sentence)"""
    lead, found = made["headline"], made["differences"][made["headline"]]
    told = pairing.told(lead, {"value": found["mean"], "low": found["low"], "high": found["high"]})
    fact = f"{told} over {len(found['values'])} folds, p = {made['p']:.2g}"
    if made["p"] >= SIGNIFICANT:
        return UNCLEAR, f"Too small to tell whether {made['second']} is better than {base}: {fact}."
    verdict = BETTER if (found["mean"] > 0) != less_is_better(lead) else WORSE
    return verdict, f"{made['second']} is {verdict} than {base}: {fact}."
