"""What is answered to a row, and by which rule: probabilities become a class, sure or not, and a set of classes.

In: a run folder's files beside the model (calibration.json, decision.json, thresholds.json), raw probabilities. Out:
`Answer`s, or the same as arrays. numpy alone; it must not know what made the probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfft import answering, biasing, calibrating, conformal, tempering, thresholds, withholding
from hfft.errors import InputError, listed, meant
from hfft.recipe import Recipe
from hfft.records import VALIDATION
from hfft.run_folder import RunFolder

SETS = "lac"  # of the kinds of sets the one with the smallest, see docs/calibration.md


@dataclass(frozen=True)
class Answer:
    """prediction: the class; "" where the run abstains; with several classes per row, those that apply.

    sure: False where the run's `abstain` says not to answer, also where no threshold keeps its promise. probabilities:
    class → probability, the answer first, then by likelihood. set: the conformal prediction set, the likeliest class
    first; None where the run has none.
    """

    prediction: str | tuple[str, ...]
    sure: bool
    probabilities: dict[str, float]
    set: tuple[str, ...] | None


@dataclass(frozen=True)
class Answered:
    """The same of n rows. chosen: class index int (n,), or which of several apply, bool (n, classes).

    probabilities: float64 (n, classes), as they are told. order: class indices (n, classes), the answer first. sure:
    bool (n,). inside: the sets, bool (n, classes), or None.
    """

    chosen: np.ndarray
    probabilities: np.ndarray
    order: np.ndarray
    sure: np.ndarray
    inside: np.ndarray | None


@dataclass(frozen=True)
class Rule:
    """How a run answers. names: classes in the model's order. temperature: None where nothing was fitted.

    bias: of `decide`, (classes,). cuts: from which raw probability on each of several classes applies. abstain: the
    run's promise as model/calibration.json has it; its `threshold` is the calibrated probability that keeps it, None
    where none does. limits: quantiles of the sets, (classes,); sets: what they promise. rows: what both were fitted on.
    """

    names: tuple[str, ...]
    several: bool
    temperature: float | None = None
    bias: np.ndarray | None = None
    cuts: np.ndarray | None = None
    abstain: Mapping[str, Any] | None = None
    limits: np.ndarray | None = None
    kind: str = SETS
    sets: Mapping[str, Any] | None = None
    rows: str = VALIDATION

    def applied(self, raw: np.ndarray, calibrated: bool = True) -> Answered:
        """raw: the model's own probabilities (n, classes). calibrated: whether others are told.

        Whether an answer is sure, and the sets, always go by calibrated ones.
        """
        scores = raw.astype(np.float64)
        if self.temperature is not None:
            scores = tempering.apply(raw, self.temperature, self.several)
        first = -raw
        chosen = raw.argmax(axis=1) if self.bias is None else biasing.decided(raw, self.bias)
        if not self.several:
            first[np.arange(len(raw)), chosen] = -np.inf
        sure = np.ones(len(raw), dtype=bool)
        if self.abstain is not None:
            least = np.inf if self.threshold is None else self.threshold
            sure = scores[np.arange(len(raw)), chosen] >= least
        inside = None
        if self.limits is not None:
            inside = conformal.sets(withholding.KINDS[self.kind](scores), self.limits)
        if self.several and self.cuts is not None:
            chosen = raw >= self.cuts
        told = scores if calibrated else raw.astype(np.float64)
        return Answered(chosen, told, first.argsort(axis=1, kind="stable"), sure, inside)

    def answers(self, raw: np.ndarray, calibrated: bool = True) -> list[Answer]:
        """`applied` as an `Answer` for each row."""
        found = self.applied(raw, calibrated)
        return [self._answer(found, row) for row in range(len(raw))]

    def _answer(self, found: Answered, row: int) -> Answer:
        names, order = self.names, found.order[row]
        told = {names[k]: float(found.probabilities[row, k]) for k in order}
        sure = bool(found.sure[row])
        inside = None if found.inside is None else tuple(names[k] for k in order if found.inside[row, k])
        if self.several:
            return Answer(tuple(names[k] for k in order if found.chosen[row, k]), sure, told, inside)
        unsaid = not sure and self.threshold is not None
        return Answer("" if unsaid else names[int(found.chosen[row])], sure, told, inside)

    @property
    def threshold(self) -> float | None:
        """The calibrated probability from which on an answer is sure; None where the run has none."""
        return None if self.abstain is None else self.abstain["threshold"]

    @property
    def shown_cuts(self) -> dict[str, float] | None:
        """class → the calibrated probability from which on it applies; None where one class alone does.

        Cuts are of the model's own probabilities; a temperature moves both, so no answer changes.
        """
        if self.cuts is None:
            return None
        moved = self.cuts
        if self.temperature is not None:
            moved = tempering.apply(self.cuts[None, :], self.temperature, several=True)[0]
        return dict(zip(self.names, np.asarray(moved).tolist(), strict=True))

    @property
    def promise(self) -> str:
        """What `sure` means, or why nothing is; "" where the run promises nothing."""
        if self.abstain is None:
            return ""
        wanted = f"at most {100 * self.abstain['max_error']:g} % of them wrong, {100 * self.abstain['level']:g} % sure"
        told = f"{wanted}; by {self.abstain['n']:,} {self.rows} rows"
        if self.threshold is None:
            return f"no threshold keeps the promise ({told}), so no answer is called sure"
        return f"an answer is sure from a probability of {self.threshold:.3f} on ({told})"

    @property
    def set_promise(self) -> str:
        """What a set means; "" where the run has none."""
        if self.limits is None or not self.sets:
            return ""
        share, n = 100 * self.sets["coverage"], self.sets["n"]
        return f"a set is to hold the right class of {share:g} % of all rows (by {n:,} {self.rows} rows)"


def known_sets(kind: str) -> str:
    """The same. Raises InputError for a kind of sets that there is not."""
    if kind not in withholding.KINDS:
        raise InputError(f"--set: no {kind!r}{meant(kind, withholding.KINDS)}; known: {listed(withholding.KINDS)}")
    return kind


def read(folder: RunFolder, wanted: Recipe, names: tuple[str, ...], several: bool, kind: str = SETS) -> Rule:
    """The rule of a finished run, or of its folds together. Raises InputError where its files do not fit the model.

    kind: of the sets, one of withholding.KINDS.
    """
    facts: dict[str, Any] = calibrating.stored(folder) or {}
    sets = facts.get("sets")
    if facts:
        calibrating.fits(folder, names)
    return Rule(
        names,
        several,
        facts["temperature"]["value"] if facts else None,
        None if several else answering.biases(folder, wanted.decide, names),
        thresholds.read(folder.thresholds, names) if several else None,
        facts.get("abstain"),
        None if sets is None else withholding.limits_of(sets, known_sets(kind), names),
        kind,
        sets,
        str(facts.get("split", VALIDATION)).replace("_", "-"),
    )
