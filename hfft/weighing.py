"""The verb `compare`: two finished runs, or more, on the same test rows. It reads their files, and imports no torch.

In: run folders. Out: plain facts. It opens no split: every run has been scored by `hfft eval` before.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from hfft import answers, comparing, mask_pairing, mask_records, pairing, recipe, steadiness
from hfft.errors import InputError
from hfft.mask_records import Answers, MaskPredictions
from hfft.records import read_json
from hfft.run_folder import RunFolder

EXAMPLES = 5  # rows won and lost that are shown


def compare(names: list[str], called: list[str] | None = None) -> dict[str, Any]:
    """Every run after the first against the first: {"runs", "n", "comparisons"}.

    called: what the runs are called in sentences, if not as they were typed. Raises InputError when a run has not been
    scored, or when rows, labels or classes differ.
    """
    if len(names) < 2:
        raise InputError("compare needs two runs or more: hfft compare runs/first runs/second")
    folders = [RunFolder.existing(name, folds=True) for name in names]
    metrics = recipe.load(str(folders[0].root)).metrics
    called = called or names
    runs = [(name, mask_records.read(folder.predictions("test"))) for name, folder in zip(called, folders, strict=True)]
    made = comparing.compare(runs, metrics)
    shown = [
        _facts(found, folders[0], folder) | {"classes": _classes(runs[0], other, found)}
        for found, folder, other in zip(made, folders[1:], runs[1:], strict=True)
    ]
    return {"runs": called, "n": runs[0][1].n, "comparisons": shown}


def _facts(found: comparing.Comparison, first: RunFolder, second: RunFolder) -> dict[str, Any]:
    """A comparison as plain data; of the rows won and lost, the most confident mistakes with their text."""
    facts = dataclasses.asdict(found)
    facts["examples"] = {"won": _examples(first, found.won), "lost": _examples(second, found.lost)}
    return facts | {"probes": _probes(first, second)}


def _probes(first: RunFolder, second: RunFolder) -> list[dict[str, Any]]:
    """Differences of failure rates on the rows that both runs changed alike; none where one of them was not probed.

    Of test rows, or where not both were probed on them, of validation rows. Of each probe besides what `steadiness`
    gives: {"split", "says", "tried": [severities of the first run, of the second]}.
    """
    runs = (first, second)
    for split in ("test", "validation"):
        if not all(run.probed(split).is_file() and run.how_probed(split).is_file() for run in runs):
            continue
        mine, theirs = (read_json(run.how_probed(split))["probes"] for run in runs)
        kinds = {name: about["kind"] for name, about in mine.items() if name in theirs}
        one, other = (answers.read(run.probed(split)) for run in runs)
        found = steadiness.apart(one, other, kinds)
        return [
            row
            | {"split": split, "says": mine[row["name"]]["says"]}
            | {"tried": [part[row["name"]].get("severities", []) for part in (mine, theirs)]}
            for row in found
        ]
    return []


def _classes(
    first: tuple[str, Answers], second: tuple[str, Answers], found: comparing.Comparison
) -> list[dict[str, Any]]:
    """Rows won and lost of each class: {name, n, won, lost, p}; none where a row may have several classes.

    p: McNemar's exact test of the class's recall, Holm-adjusted for the classes; None where rows come in groups. Of
    masks, images whose IoU of the class is higher or lower, and no p.
    """
    base = first[1]
    if isinstance(base, MaskPredictions):
        matched = comparing.aligned(*first, *second)
        assert isinstance(matched, MaskPredictions)
        return mask_pairing.by_class(base, matched)
    if base.multi_label:
        return []
    place = {row: number for number, row in enumerate(base.ids.tolist())}
    parts = [np.arange(base.n), *(np.array([place[row] for row in rows], int) for rows in (found.won, found.lost))]
    n, won, lost = (np.bincount(base.labels[part], minlength=len(base.names)).tolist() for part in parts)
    tests = [pairing.mcnemar(*pair)[0] for pair in zip(won, lost, strict=True)] if found.mcnemar else []
    adjusted = pairing.holm(tests) if tests else [None] * len(base.names)
    rows = zip(base.names, n, won, lost, adjusted, strict=True)
    return [dict(zip(("name", "n", "won", "lost", "p"), row, strict=True)) for row in rows if row[1]]


def _examples(run: RunFolder, rows: list[str]) -> list[dict[str, Any]]:
    """What `run` answered wrongly among `rows`, the surest first."""
    if not run.mistakes("test").is_file():
        return []
    wanted, table = set(rows), pq.read_table(run.mistakes("test"))
    columns = ["id", "label", "prediction", "confidence", "text"]
    kept = [row for row in table.select(columns).to_pylist() if row["id"] in wanted]
    return kept[:EXAMPLES]
