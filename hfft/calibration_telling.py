"""What a run's calibration.json means, in sentences for the terminal, the page and the card.

In: the facts that `calibrating.judged` gave. Out: sentences. Nothing is computed here but a rounding.
"""

from __future__ import annotations

import math
from typing import Any

from hfft import conformal
from hfft.records import VALIDATION

SETS = {"lac": "LAC", "aps": "APS", "lac_per_class": "LAC per class"}
MEASURES = {
    "ece": "ECE, 15 equal-width bins",
    "adaptive_ece": "Adaptive ECE, bins of equal mass",
    "classwise_ece": "Class-wise ECE",
    "nll": "Log loss",
    "brier": "Brier score",
}
SHOWN = 5


def told(facts: dict[str, Any]) -> dict[str, list[str]]:
    """Sentences: {"calibration", "answering": threshold and promise, "sets", "unbounded": classes in every set}."""
    if not facts["n"]:
        return {
            "calibration": ["There are no rows: nothing can be said."],
            "answering": [],
            "sets": [],
            "unbounded": [],
        }
    found: dict[str, list[str]] = {"calibration": _calibration(facts), "answering": [], "sets": [], "unbounded": []}
    if facts["groups"]:
        found["calibration"].append(
            f"Rows belong to {facts['groups']:,} groups: these intervals take groups, not rows, as independent; the "
            "promises below take rows as independent, so they are weaker than they sound."
        )
    if facts["several_classes_per_row"]:
        found["answering"] = ["A threshold and sets of classes are not for rows with several classes: none are made."]
        return found
    promise = facts["selective"]["promise"]
    found["answering"] = [_answering(promise, _kind(facts))] if promise else []
    if facts["sets"]:
        found["sets"] = [_set(kind, facts["sets"]) for kind in SETS]
        found["unbounded"] = _unbounded(facts["sets"], _kind(facts))
    return found


def percent(score: dict[str, Any]) -> str:
    """A share with its interval.

    >>> percent({"value": 0.8214, "low": 0.803, "high": 0.838})
    '82.1 % [80.3, 83.8]'
    """
    if score["value"] is None:
        return "nothing"
    ends = "" if score["low"] is None else f" [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"
    return f"{100 * score['value']:.1f} %{ends}"


def decimals(score: dict[str, Any], signed: bool = False) -> str:
    """A value with its interval, three decimals."""
    sign = "+" if signed else ""
    ends = "" if score.get("low") is None else f" [{score['low']:{sign}.3f}, {score['high']:{sign}.3f}]"
    return f"{score['value']:{sign}.3f}{ends}"


def beside(null: dict[str, Any]) -> str:
    """What a perfectly calibrated model would show.

    >>> beside({"mean": 0.0181, "high": 0.0262})
    '0.018 (95 %: below 0.026)'
    """
    return f"{null['mean']:.3f} (95 %: below {null['high']:.3f})"


def _calibration(facts: dict[str, Any]) -> list[str]:
    after, before = facts["after"], facts["before"]
    shown, temperature = after or before, facts["temperature"]
    kind = "ece" if "ece" in shown else "classwise_ece"
    said = []
    if after:
        more = "takes confidence back" if temperature["value"] > 1 else "adds confidence"
        ends = f"[{temperature['low']:.2f}, {temperature['high']:.2f}]"
        said.append(
            f"Temperature {temperature['value']:.2f} {ends}, fitted on {temperature['n']:,} {_kind(facts)} rows: it "
            f"{more}; no answer changes."
        )
    elif temperature:
        said.append(f"The temperature stays 1 ({temperature['note'] or 'nothing is better'}).")
    else:
        said.append("No temperature is stored, so these are the model's own probabilities.")
    name = "ECE" if kind == "ece" else "Class-wise ECE"
    was = f", {decimals(before[kind])} without the temperature," if after else ""
    said.append(
        f"{name} {decimals(shown[kind])}{was} on {facts['n']:,} rows; a perfectly calibrated model of this size would "
        f"show {beside(shown[kind]['null'])}: {_verdict(shown, kind)}."
    )
    if gain := facts["gain"]:
        said.append(
            f"Log loss {before['nll']['value']:.3f} became {after['nll']['value']:.3f} "
            f"({decimals(gain['nll'], signed=True)}), row by row: {_gained(gain['nll'])}."
        )
    return said


def _kind(facts: dict[str, Any]) -> str:
    """The rows that were tuned on: "validation", or of folds "out-of-fold"."""
    return str(facts.get("split", VALIDATION)).replace("_", "-")


def _verdict(shown: dict[str, Any], kind: str) -> str:
    if not shown[kind]["miscalibrated"]:
        return "nothing to see"
    lean = shown.get("lean")
    if not lean or lean["low"] is None or lean["low"] <= 0 <= lean["high"]:
        return "MISCALIBRATED"
    ends = sorted(100 * abs(lean[end]) for end in ("low", "high"))
    way = "too sure" if lean["value"] > 0 else "not sure enough"
    return f"MISCALIBRATED, on average {100 * abs(lean['value']):.1f} points {way} [{ends[0]:.1f}, {ends[1]:.1f}]"


def _gained(apart: dict[str, Any]) -> str:
    if apart["low"] is None or apart["low"] <= 0 <= apart["high"]:
        return "it cannot be told whether the temperature helps on these rows"
    return "the temperature helps" if apart["value"] < 0 else "the temperature HURTS on these rows"


def _answering(promise: dict[str, Any], kind: str) -> str:
    asked = f"{100 * promise['max_error']:g} %"
    level = f"{100 * promise['level']:g} % confidence"
    if promise["threshold"] is None:
        if promise["tried"]:
            least = math.ceil(math.log((1 - promise["level"]) / promise["tried"]) / math.log(1 - promise["max_error"]))
            needs = f"; even without a single error among them, {least:,} answered rows would be needed"
            if least <= promise["n"]:
                needs = ": its surest answers err too often, or are too few; a larger abstain.max_error may be kept"
        else:
            needs = ""
        return f"No threshold keeps an error of {asked} with {level} on {promise['n']:,} {kind} rows{needs}."
    test = promise["on_test"]
    what = (
        f"Answers {percent(test['answered'])} of the rows with an error of {percent(test['error'])} (promised: at most "
        f"{asked} with {level}, where confidence is at least {promise['threshold']:.3f})"
    )
    endings = {
        "kept": "the promise is kept here.",
        "in line": "these rows do not contradict the promise.",
        "broken": f"the promise is BROKEN here: these rows differ from {kind}, or {kind} was tuned on.",
        "no answers": "no row here is sure enough.",
    }
    return f"{what}: {endings[test['verdict']]}"


def _set(kind: str, sets: dict[str, Any]) -> str:
    own, asked = sets[kind], f"promised {100 * sets['coverage']:g} %"
    missed = ""
    if own["chance"]:
        low, high = own["chance"]
        asked += f", of which chance makes {100 * low:.1f} to {100 * high:.1f} here"
        missed = ": the promise is MISSED" if own["coverage"]["value"] < low else ""
    return (
        f"{SETS[kind]} sets hold the right class for {percent(own['coverage'])} of the rows ({asked}){missed}. They "
        f"hold {own['size']['value']:.2f} classes on average, one alone for {percent(own['singletons'])}, none for "
        f"{percent(own['empty'])}."
    )


def _unbounded(sets: dict[str, Any], kind: str) -> list[str]:
    """Classes that are in every set because too few rows could calibrate them."""
    names = sets["lac_per_class"]["infinite"]
    if not names:
        return []
    many = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    least = conformal.rows_needed(sets["coverage"])
    return [f"Too few {kind} rows (fewer than {least}) to bound {many}: in every set per class."]
