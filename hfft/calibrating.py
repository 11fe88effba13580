"""From predictions to what may be believed of their probabilities: fitted on validation, judged on test.

In: `Predictions` of validation, later of test, and the recipe's `abstain`. Out: plain facts, kept in
`model/calibration.json` (fitted) and `calibration.json` (judged). It must not know how the predictions were made.

Validation is dealt into two halves by a hash of each row's group or content: one fits the temperature, the other the
threshold and the quantiles, because their guarantees need rows that nothing was fitted to. One thing was: validation
chose the checkpoint. So the guarantees are not exact, and what the test rows show stands beside them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hfft import halving, reliability, tempering, withholding
from hfft.errors import InputError
from hfft.estimates import numbered
from hfft.means import mean
from hfft.records import OUT_OF_FOLD, VALIDATION, Predictions, Score, read_json, write_json
from hfft.run_folder import RunFolder
from hfft.schema import Abstain

FILE = "calibration.json"
ECE = "ece"
VERSION = 1  # of the definitions; a reader that knows another one must not guess
SALT = b"hfft calibration halves 1:"
ABOUT_FOLDS = (
    "Fitted on out-of-fold answers, each of a single model; the mean of all models' probabilities is less sure than "
    "they are, so guarantees of the threshold and the sets are not exact. The temperature comes from one half of the "
    "rows, threshold and quantiles from the other, on calibrated probabilities. A quantile that is null lets every "
    "class in; a threshold that is null keeps no promise."
)
FORMS = {False: "softmax(log(p) / temperature)", True: "sigmoid(log(p / (1 - p)) / temperature) of each class"}
ABOUT = (
    "Fitted on validation, which also chose the checkpoint: guarantees of the threshold and the sets are not exact. "
    "The temperature comes from one half of the rows, threshold and quantiles from the other, on calibrated "
    "probabilities. A quantile that is null lets every class in; a threshold that is null keeps no promise."
)


def fitted(predictions: Predictions, wanted: Abstain, split: str = VALIDATION) -> dict[str, Any]:
    """What `model/calibration.json` holds: temperature, threshold, quantiles; plain JSON-able data.

    split: what the predictions are of.

    With several classes per row: the temperature alone. The result depends on the set of rows, not on their order.
    """
    several, half = predictions.labels.ndim == 2, first_half(predictions)
    one, other = predictions.where(half), predictions.where(~half)
    temperature = tempering.fit(one.scores, one.labels, numbered(one.groups))
    facts: dict[str, Any] = {
        "version": VERSION,
        "about": ABOUT if split == VALIDATION else ABOUT_FOLDS,
        "split": split,
        "rows": {"temperature": one.n, "thresholds": other.n},
        "classes": list(predictions.names),
        "several_classes_per_row": several,
        "temperature": dataclasses.asdict(temperature) | {"form": FORMS[several]},
        "abstain": None,
        "sets": None,
    }
    if several:
        return facts
    scores = tempering.apply(other.scores, temperature.value)
    return facts | withholding.chosen(scores, other.labels, other.predicted, predictions.names, wanted)


def judged(predictions: Predictions, stored: dict[str, Any] | None) -> dict[str, Any]:
    """What the test rows say, as plain JSON-able data: the run's `calibration.json`.

    stored: as `fitted` gave it; None for a run without it, of which only the raw probabilities can be judged.
    """
    names, several, n = predictions.names, predictions.labels.ndim == 2, predictions.n
    units = numbered(predictions.groups)
    facts: dict[str, Any] = {"version": VERSION, "n": n, "classes": len(names), "several_classes_per_row": several}
    facts |= {"groups": None if units is None else len(np.unique(units)), "rows": stored and stored["rows"]}
    facts |= {"temperature": stored and stored["temperature"], "before": None, "after": None, "gain": None}
    facts |= {"selective": None, "sets": None}
    if stored and stored.get("split") == OUT_OF_FOLD:
        facts["split"] = OUT_OF_FOLD
    if n == 0:
        return facts
    labels, predicted = predictions.labels, predictions.predicted
    scores = predictions.scores.astype(np.float64)
    facts["before"] = reliability.measured(predictions.scores, labels, predicted, names, units)
    raw = scores
    if stored:  # also at 1: as where the threshold was chosen, and as `predict` does
        scores = tempering.apply(scores, stored["temperature"]["value"], several)
    if stored and stored["temperature"]["value"] != 1.0:
        facts["after"] = reliability.measured(scores, labels, predicted, names, units)
        won = {
            "nll": tempering.log_loss(scores, labels) - tempering.log_loss(raw, labels),
            "brier": reliability.brier(scores, labels) - reliability.brier(raw, labels),
        }
        facts["gain"] = {name: dataclasses.asdict(mean(value, units)) for name, value in won.items()}
    if not several:
        facts |= withholding.judged(scores, labels, predicted, names, units, stored)
    return facts


def first_half(predictions: Predictions) -> np.ndarray:
    """Mask bool (n,) of the rows that fit the temperature: about half, those that belong together in one."""
    return halving.first_half(predictions, SALT)


def stored(folder: RunFolder) -> dict[str, Any] | None:
    """What `model/calibration.json` holds; None in a run that has none. Raises InputError when it cannot be read."""
    path = folder.model / FILE
    if not path.is_file():
        return None
    facts = read_json(path)
    if not isinstance(facts, dict) or facts.get("version") != VERSION:
        raise InputError(
            f"{path} is not of version {VERSION}, which this hfft knows: delete it, then `hfft judge {folder.root}`"
        )
    return facts


def fits(folder: RunFolder, names: Sequence[str]) -> None:
    """Raise InputError when what is stored cannot be read or is about other classes than these."""
    facts = stored(folder)
    if facts and set(facts["classes"]) != set(names):
        path = folder.model / FILE
        raise InputError(f"{path} is about other classes than the data: delete it, then `hfft judge {folder.root}`")


def settled(folder: RunFolder, wanted: Abstain, keep: bool = True) -> dict[str, Any] | None:
    """The stored facts; a run from before they were kept gets them now, from its validation predictions.

    keep: write what is made now, so that prediction finds it, too.
    """
    facts, path = stored(folder), folder.predictions("validation")
    if facts is None and path.is_file():
        facts = fitted(Predictions.read(path), wanted)
        if keep:
            write_json(folder.model / FILE, facts)
    return facts


def scores(facts: dict[str, Any]) -> dict[str, Score]:
    """What gates may ask of the judged facts: {"ece": of the probabilities that `predict` gives}."""
    told = (facts["after"] or facts["before"] or {}).get("ece")
    return {ECE: Score(*(told[part] for part in ("value", "low", "high", "n", "method")))} if told else {}
