"""From probabilities to answers, as the recipe's `decide` says: what is tuned, what is checked, what is told.

In: a recipe, predictions of validation rows, rows of each class in train. Out: the same predictions with other answers,
and `model/decision.json`. It must not know test rows when something is tuned. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfft import biasing, rooms, thresholds
from hfft.biasing import Value
from hfft.errors import InputError, counted, listed, meant
from hfft.recipe import Recipe
from hfft.records import VALIDATION, Predictions, read_json
from hfft.run_folder import RunFolder
from hfft.schema_decide import ADJUSTED, ARGMAX, BIASED, Decide


def check(wanted: Recipe, names: Sequence[str]) -> None:
    """Raise InputError for a metric that no bias can be tuned for; told before a model is opened."""
    if wanted.decide.by == BIASED:
        value_of(wanted.decide.metric, names)


def value_of(metric: str, names: Sequence[str]) -> Value:
    """The metric as a function of `Counts`. Raises InputError unless answers make it and all classes enter it."""
    from hfft import scoring  # with much of scipy, and only tuning needs it

    found = {name: rooms.find("metrics", name) for name in rooms.names("metrics")}
    modules = [name for name, made in found.items() if not (scoring.is_graded(made) or scoring.is_of_masks(made))]
    homes = {key: name for name in modules for key in scoring.keys([name], names) if "[" not in key}
    if metric not in homes:
        why = ""
        if "[" in metric:
            why = " (that of one class alone is best when nothing else is answered)"
        elif metric in rooms.names("metrics"):
            fitting = [key for key in homes if key.startswith(f"{metric}_")]
            why = f" (type {' or '.join(fitting)})" if fitting else " (probabilities make it, which stay as they are)"
        raise InputError(
            f"decide.metric: no {metric!r} of all answers{why}{meant(metric, homes)}; known: {listed(homes, 24)}"
        )
    statistic = scoring.statistic([homes[metric]])
    return lambda counts: statistic(counts)[metric]


def settled(
    folder: RunFolder, wanted: Recipe, predictions: Predictions, rows: Mapping[str, int], split: str = VALIDATION
) -> Predictions:
    """Validation predictions with the answers that the recipe wants, and how they are made, kept beside the model.

    rows: class → training rows. split: what the predictions are of. With `by: argmax` nothing is written and the
    predictions are returned as they came.
    """
    decide, names = wanted.decide, predictions.names
    if decide.by == ARGMAX:
        return predictions
    found = np.bincount(predictions.labels, minlength=len(names)).tolist()
    facts: dict[str, Any] = {"by": decide.by, "metric": None, "tau": None}
    if decide.by == ADJUSTED:
        found = [rows[name] for name in names]
        bias = biasing.adjustment(found, decide.tau)
        facts |= {"tau": decide.tau, "from": "train", "rule": "-tau log(share of the class in train)"}
    else:
        bias = biasing.tune(predictions.scores, predictions.labels, value_of(decide.metric, names))
        rule = f"{decide.metric} is highest, then shrunk by k / (k + {biasing.SHRUNK:g}) for k rows of the class"
        facts |= {"metric": decide.metric, "from": split, "rule": rule}
    made = dataclasses.replace(predictions, predicted=biasing.decided(predictions.scores, bias))
    facts |= {"rows": sum(found), "n": predictions.n, "changed": int((made.predicted != predictions.predicted).sum())}
    two = biasing.of_two(names, bias)
    facts |= {"threshold": two and {"class": two[0], "probability": two[1]}}
    biasing.write(folder.decision, names, bias, facts, found)
    return made


def tuned(
    folder: RunFolder, wanted: Recipe, predictions: Predictions, rows: Mapping[str, int], split: str = VALIDATION
) -> Predictions:
    """As `settled`; with several classes per row by their thresholds, which are kept beside the model likewise."""
    if not predictions.multi_label:
        return settled(folder, wanted, predictions, rows, split)
    found = thresholds.tune(predictions)
    thresholds.write(folder.thresholds, found, predictions, split)
    return thresholds.applied(predictions, found)


def applied(folder: RunFolder, decide: Decide, predictions: Predictions) -> Predictions:
    """Predictions with the answers of a finished run: by its biases where it has any."""
    bias = biases(folder, decide, predictions.names)
    if bias is None:
        return predictions
    return dataclasses.replace(predictions, predicted=biasing.decided(predictions.scores, bias))


def biases(folder: RunFolder, decide: Decide, names: Sequence[str]) -> np.ndarray | None:
    """float (classes,), or None where the likeliest class is answered. Raises InputError where they are lost."""
    if decide.by == ARGMAX:
        return None
    if not folder.decision.is_file():
        raise InputError(
            f"{folder.root}: {folder.decision.name} is not in its model folder: it ended before it was known how to "
            f"answer; type `hfft run {folder.root} --resume`"
        )
    return biasing.read(folder.decision, names)


def rule(folder: RunFolder) -> str:
    """How answers are decided; "" where the likeliest class is answered."""
    return f"answers are {biasing.how(read_json(folder.decision))}" if folder.decision.is_file() else ""


def sentence(folder: RunFolder) -> str:
    """How answers are decided and what that means for the validation score; "" where the likeliest class is."""
    if not folder.decision.is_file():
        return ""
    facts = read_json(folder.decision)
    told = f"{rule(folder)}; that changes {counted(facts['changed'], 'answer')} of {facts['n']:,}"
    if facts["by"] == BIASED:
        return f"{told}. The validation scores are flattered by that; the test rows take no part in it"
    return f"{told} on validation, and no probability"
