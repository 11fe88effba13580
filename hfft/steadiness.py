"""Which of two models is steadier on the very same changed rows.

In: answers of both to the rows that their runs changed alike (see answers.py). Out: differences of the rates, paired
row by row. It must not know how rows were changed. No torch, no transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from hfft import answers, estimates, pairing
from hfft.answers import AS_IT_IS, MINIMUM, Answers, Cell
from hfft.intervals import FEW_ERRORS
from hfft.pairing import Difference
from hfft.records import Score

Cells = Mapping[Cell, Answers]
Failures = dict[tuple[int, str], tuple[float, str]]  # (severity, row) → (failed, what the row belongs to)


def apart(first: Cells, second: Cells, kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Second minus first for each probe that both were asked, p-values adjusted by Holm's method; the largest first.

    kinds: probe → invariance, direction or minimum functionality. Only rows count that both runs changed at the same
    severity; rows of a group, and a row's severities, are one witness. Sentences of templates are paired by what they
    say and the class they have. Of each: {"name", "title", "n": rows, "severities": those that both have, "first",
    "second": rates, "sides": the same as scores, "difference": {value, low, high, p}}.
    """
    found = []
    for name, kind in kinds.items():
        one, other = (_failures(name, kind, cells) for cells in (first, second))
        shared = sorted(one.keys() & other.keys())
        if shared:
            found.append(_difference(name, shared, one, other))
    adjusted = pairing.holm([row["difference"]["p"] for row in found])
    for row, p in zip(found, adjusted, strict=True):
        row["difference"]["p"] = p
    return sorted(found, key=lambda row: -abs(row["difference"]["value"]))


def _failures(name: str, kind: str, cells: Cells) -> Failures:
    out: Failures = {}
    for (probe, severity), after in cells.items():
        if probe != name or (kind != MINIMUM and AS_IT_IS not in cells):
            continue
        rows, level, before = after.ids.tolist(), severity, after
        units = after.ids if after.groups is None else after.groups
        if kind == MINIMUM:
            # template-NUMBER.PLACE.KEY: another recipe may have the sentence elsewhere. Older runs have no key, and
            # what their sentences were is not known.
            rows, level = [row.rpartition(".")[2] if row.count(".") == 2 else "" for row in rows], 0
            units = np.array(rows, dtype=object)
        else:
            before = answers.beside(cells[AS_IT_IS], after)
        failed = answers.failed(kind, before, after)
        out |= {(level, row): (float(x), u) for row, x, u in zip(rows, failed, units, strict=True) if row}
    return out


def _difference(name: str, shared: list[tuple[int, str]], one: Failures, other: Failures) -> dict[str, Any]:
    first, second = (np.array([found[key][0] for key in shared], dtype=float) for found in (one, other))
    units = np.array([one[key][1] for key in shared], dtype=object)
    draws = None if len(set(units)) == len(units) else estimates.numbered(units)
    whole = not any(((part != 0) & (part != 1)).any() for part in (first, second))  # of masks, shares of an image
    means = [estimates.mean(part, estimates.SHARE if whole else estimates.MEAN) for part in (first, second)]
    made = Difference(*estimates.apart(means[0], means[1], draws), len(shared), "paired")
    sums = estimates.summed(second - first, draws)
    # Rows, or units of them, that fail with the second alone, and with the first alone.
    more, fewer = int((sums > 0).sum()), int((sums < 0).sum())
    if more + fewer < FEW_ERRORS:
        made = pairing.careful(made, more, fewer, len(sums))  # of failures: those that raise the difference come first
        made = replace(made, p=max(made.p, pairing.mcnemar(more, fewer)[1]))
    rows = len({row for _, row in shared})
    sides = {side: asdict(_score(found, draws, rows)) for side, found in zip(("first", "second"), means, strict=True)}
    told = {"name": name, "title": name.replace("_", " ").capitalize(), "n": rows}
    told |= {"severities": sorted({severity for severity, _ in shared} - {0})}
    told |= {side: score["value"] for side, score in sides.items()}
    low, high = max(made.low, -1.0), min(made.high, 1.0)  # no two shares are further apart
    apart = {"value": made.value, "low": low, "high": high, "p": made.p}
    return told | {"sides": sides, "difference": apart}


def _score(found: estimates.Estimate, draws: np.ndarray | None, rows: int) -> Score:
    ends = estimates.interval(found, draws)
    return Score(found.value, ends.low, ends.high, rows, ends.method)
