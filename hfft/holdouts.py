"""Which rows of train and validation are held out in turn, where models are judged by what is fitted on the others.

In: a recipe and a number of folds. Out: rows, the fold of each, and the copies that must leave the others. The test
split takes no part. Like gathering.py, a place where stages meet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType

import datasets
import numpy as np

from hfft import gathering, labelsets, limiting, predicting, splitting
from hfft.errors import InputError, counted
from hfft.gathering import Say
from hfft.guarding import MANY, USUAL
from hfft.recipe import Recipe

NEVER = -1  # of rows that are never held out


@dataclass(frozen=True)
class Holdouts:
    """rows: of train and validation, sorted by id. fold: of each, int (n,), NEVER for those that are always fitted on.

    copies: bool (n, folds), rows that look like one of that fold. given: indices into `names`, int (n,), or bool
    (n, classes). pool: rows there were to choose from. findings: sentences. test: rows that stay sealed.
    """

    rows: datasets.Dataset
    fold: np.ndarray
    copies: np.ndarray
    given: np.ndarray
    names: tuple[str, ...]
    modality: ModuleType
    pool: int
    test: int
    findings: list[str]

    @property
    def groups(self) -> np.ndarray | None:
        has = "group" in self.rows.column_names
        return np.array(self.rows["group"][:], dtype=object) if has else None

    def parts(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """(rows to fit on, rows held out) of fold `number`, both bool (n,)."""
        held = self.fold == number
        return ~held & ~self.copies[:, number], held

    @property
    def folds(self) -> int:
        return self.copies.shape[1]


def deal(wanted: Recipe, folds: int, most: int, say: Say) -> Holdouts:
    """Read the data, and deal at most `most` rows of train and validation into `folds`, as `hfft cv` would.

    Equal inputs and groups stay in one fold; by time there is one fold, validation. Raises InputError where the data
    cannot be read or dealt so.
    """
    found = gathering.read(wanted, say)
    gathering.check_names(wanted, found.splits.labels)
    parts = found.splits.parts
    pool = datasets.concatenate_datasets([parts["train"], parts["validation"]])
    ids, late = pool["id"][:], [False] * len(parts["train"]) + [True] * len(parts["validation"])
    strata = (
        labelsets.pooled(pool["label"][:], 3 * len(ids) // most + 1) if wanted.data.multi_label else pool["label"][:]
    )
    kept, _ = limiting.limited(ids, pool["key"][:], strata, ["train"] * len(ids), most, wanted.split_seed)
    kept = sorted(kept, key=lambda row: ids[row])
    rows, names = pool.select(kept), found.splits.labels
    given = predicting.label_ids(rows["label"][:], names, wanted.data.multi_label)
    said = [f"{len(kept):,} of {len(ids):,} rows are used, class proportions kept (--rows)"] * (len(kept) < len(ids))
    if wanted.data.split.by == "time":
        fold = np.where([late[row] for row in kept], 0, NEVER)
        copies = np.zeros((len(kept), 1), dtype=bool)  # the leak guard has been there
        said.append("data.split.by is time: what comes after is held out, once, and not dealt into folds")
    else:
        spec = replace(wanted.data, split=replace(wanted.data.split, folds=folds, fold=1))
        where, more = splitting.fold_numbers(rows, spec, wanted.split_seed)
        fold, said = np.array(where), [*said, *more]
        copies, more = _copies(wanted, rows, fold, folds, found.modality)
        said += more
    _enough(given[fold >= 0])
    for finding in said:
        say(f"  note: {finding}")
    return Holdouts(rows, fold, copies, given, names, found.modality, len(ids), found.report.size("test"), said)


def _enough(given: np.ndarray) -> None:
    """Raise InputError where the rows held out show one class only."""
    if len(np.unique(given, axis=0)) < 2:
        raise InputError("the rows held out are all of one class, and no model is better than another; bring more rows")


def _copies(
    wanted: Recipe, rows: datasets.Dataset, fold: np.ndarray, folds: int, modality: ModuleType
) -> tuple[np.ndarray, list[str]]:
    """(rows that look like one of each fold, bool (n, folds); a sentence where there are any)."""
    if wanted.data.on_leak == "warn":
        return np.zeros((len(rows), folds), dtype=bool), [
            "copies in other folds are kept, because data.on_leak is warn"
        ]
    least = wanted.data.copy_at or modality.COPY_AT
    found = modality.near(rows, fold + 1, wanted.split_seed, least)
    alike = np.zeros((len(rows), folds + 1), dtype=bool)
    columns = found.index.shape[1]
    alike[:, :columns] = (found.index >= 0) & (found.similarity >= least)
    copies, met = alike[:, 1:], int(alike.any(axis=1).sum())
    if not met:
        return copies, []
    if met >= MANY and met > USUAL * len(rows) and wanted.data.copy_at is None:
        return np.zeros_like(copies), [
            f"{met:,} rows look like rows of other folds: by nature, it seems, and they stay"
        ]
    return copies, [f"{counted(met, 'row')} with a copy in another fold: left out of what is fitted then"]
