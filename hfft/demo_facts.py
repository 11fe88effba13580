"""What a page to try a model says of it, and of one answer: facts and sentences, not yet HTML.

In: the files of a run folder; an answer with calibrated probabilities. Out: plain facts for the page's templates. Opens
no split and knows no model. No torch, no transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfft import calibrating, calibration_telling, openings, summarising
from hfft.errors import counted
from hfft.recipe import Recipe
from hfft.records import VALIDATION, Score, leading, read_json
from hfft.run_folder import RunFolder

SHOWN = 10  # classes with a bar of their own
NAMED = 12  # classes of a set that are written out
NEARLY = 0.1  # of the rows answered: below it, page after page of "not sure" would look like a broken model


def about(folder: RunFolder, wanted: Recipe) -> dict[str, Any]:
    """What stands around every answer: {name, what, score, withheld, openings, promises, how}.

    withheld: as the function says it, with what to do. score: one sentence with n and interval. openings: how often the
    test split was opened. promises: of threshold and sets, and what the test rows said of them. how: what the shown
    probabilities are.
    """
    scores = folder.read_scores()
    split = "test" if "test" in scores else VALIDATION
    metric = leading(key for key in scores.get(split, {}) if "[" not in key)
    score = scores[split][metric] if metric else None
    tested = score if split == "test" else None
    told = openings.told(folder, metric, tested)
    facts = folder.root / calibrating.FILE
    judged = calibration_telling.told(read_json(facts)) if facts.is_file() else {"answering": [], "sets": []}
    return {
        "name": folder.root.resolve().name,
        "what": _what(wanted),
        "score": _score(metric, score, split, summarising.called(folder), wanted),
        "withheld": withheld(calibrating.stored(folder), folder.root),
        "openings": [*filter(None, [told["warning"]]), *told["sentences"]],
        "promises": judged["answering"] + judged["sets"],
        "how": _how(folder, wanted),
    }


def answered(
    prediction: str | Sequence[str],
    sure: bool,
    probabilities: Mapping[str, float],
    likely: Sequence[str] | None,
    stored: dict[str, Any] | None,
    cuts: Mapping[str, float] | None,
) -> dict[str, Any]:
    """One answer as the page shows it: {verdict, unsure, bars, several, sure, rest, set}.

    probabilities: the answer first. likely: its set of classes. stored: model/calibration.json. cuts: where several
    classes may apply, from which of the shown probabilities on each does.
    """
    applying = set() if cuts is None else set(prediction)
    first = next(iter(probabilities))
    ranked = sorted(probabilities, key=lambda name: name not in applying)  # those that apply, then by likelihood
    kept = ranked[: max(SHOWN, len(applying))]
    bars = [
        {
            "name": name,
            "share": 100 * probabilities[name],
            "cut": None if cuts is None else 100 * cuts[name],
            "chosen": name in applying if cuts is not None else name == first,
        }
        for name in kept
    ]
    rest = [probabilities[name] for name in probabilities if name not in kept]
    facts: dict[str, Any] = {"bars": bars, "several": cuts is not None, "sure": sure, "unsure": "", "rest": ""}
    facts["verdict"] = [name for name in ranked if name in applying] if cuts is not None else [first]
    if rest:
        facts["rest"] = _rest(rest, cuts is not None)
    if not sure:
        facts["unsure"] = unsure(stored)
    ordered = None if likely is None else [name for name in probabilities if name in likely]
    facts["set"] = _set(ordered, stored, len(probabilities))
    return facts


def unsure(stored: dict[str, Any] | None) -> str:
    """Why an answer is left to people: what was promised, and on how many rows that rests."""
    promise = stored and stored["abstain"]
    if not stored or not promise:
        return "It should not answer this."
    rows = f"{promise['n']:,} {_kind(stored)} rows"
    level, most = f"{100 * promise['level']:g} %", f"{100 * promise['max_error']:g} %"
    if promise["threshold"] is None:
        return f"No threshold on {rows} keeps at most {most} wrong answers, so no answer is called sure."
    return (
        f"It answers from {100 * promise['threshold']:.1f} % on, and this is below. From there on at most {most} of "
        f"its answers are wrong, with {level} confidence: of {rows} it answered {promise['answered']:,}, "
        f"{promise['errors']:,} of them wrong."
    )


def withheld(stored: dict[str, Any] | None, root: Path | None = None) -> str:
    """That (nearly) no answer is called sure, and why; "" where enough are. root: of the run, to say what to do."""
    promise = stored and stored["abstain"]
    if not stored or not promise or not promise["n"]:
        return ""
    answered = 0 if promise["threshold"] is None else promise["answered"]
    if answered >= NEARLY * promise["n"]:
        return ""
    share, most, level = (100 * x for x in (answered / promise["n"], promise["max_error"], promise["level"]))
    told = (
        f'Expect "not sure" and a best guess: of {promise["n"]:,} {_kind(stored)} rows it would call {answered:,} '
        f"({share:.1f} %) sure. The model is not broken: so few of its answers keep the promise of its recipe, at most "
        f"{most:g} % wrong ones with {level:g} % confidence."
    )
    if root is None:
        return told
    return (
        f"{told} To have it answer more: in {root} raise abstain.max_error in recipe.yaml and delete "
        f"model/{calibrating.FILE}, then type hfft judge {root}; nothing is trained again."
    )


def promise(stored: dict[str, Any] | None) -> str:
    """What a set of classes promises, and on how many rows that rests; "" where there are no sets."""
    if not stored or not stored["sets"]:
        return ""
    rests = f"that rests on {stored['sets']['n']:,} {_kind(stored)} rows"
    return f"Such sets are to hold the right class for {100 * stored['sets']['coverage']:g} % of rows; {rests}."


def masked(mask: np.ndarray, names: Sequence[str], colours: Sequence[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """The legend of a mask, int (h, w): the classes in it with colour and share of the pixels, largest first."""
    pixels = np.bincount(mask.reshape(-1), minlength=len(names))
    order = [place for place in np.argsort(-pixels, kind="stable").tolist() if pixels[place]]
    shares = (100 * pixels / mask.size).tolist()
    paints = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours]
    return [{"name": names[place], "colour": paints[place], "share": shares[place]} for place in order]


def _what(wanted: Recipe) -> str:
    kind = {"text": "texts", "image": "pictures"}["text" if wanted.task == "text_classification" else "image"]
    if wanted.masks:
        return f"Gives each pixel of {kind} a class."
    return f"Tells which classes apply to {kind}." if wanted.data.multi_label else f"Puts {kind} into classes."


def _score(metric: str | None, score: Score | None, split: str, name: str, wanted: Recipe) -> str:
    if metric is None or score is None or score.value is None:
        return f"It has not been scored: type hfft eval {name}."
    ends = "" if score.low is None else f" [{score.low:.3f}, {score.high:.3f}]"
    title = summarising.inline(summarising.title(metric))
    told = f"{title} {score.value:.3f}{ends} on {score.n:,} {split} {wanted.unit}s; brackets hold the 95 % interval."
    if split == "test":
        return f"Tested: {told}"
    return (
        f"Not tested yet: {told} These rows chose the model, so that flatters it; hfft eval {name} opens the test rows."
    )


def _how(folder: RunFolder, wanted: Recipe) -> str:
    if wanted.masks:
        return ""
    stored = calibrating.stored(folder)
    if stored is None:
        return "The model's own probabilities: this run has no calibration."
    temperature = stored["temperature"]
    kind, n = _kind(stored), temperature["n"]
    if temperature["value"] == 1.0:
        return f"The model's own probabilities: a temperature was looked for on {n:,} {kind} rows, and 1 is kept."
    return f"Calibrated: temperature {temperature['value']:.2f}, fitted on {n:,} {kind} rows."


def _kind(stored: dict[str, Any]) -> str:
    """The rows that were tuned on: "validation", or of folds "out-of-fold"."""
    return str(stored.get("split", VALIDATION)).replace("_", "-")


def _rest(shares: Sequence[float], several: bool) -> str:
    named = f"{counted(len(shares), 'more class')}"
    if several:
        return f"{named}, each below {100 * max(shares):.1f} %" if max(shares) else named
    return f"{named}, together {100 * sum(shares):.1f} %"


def _set(likely: Sequence[str] | None, stored: dict[str, Any] | None, classes: int) -> dict[str, Any] | None:
    """The set of classes in words; None where there is none."""
    if likely is None or not (told := promise(stored)):
        return None
    note = ""
    if not likely:
        note = "It is empty: nothing looks right."
    elif len(likely) == classes:
        note = "It holds every class: nothing is ruled out."
    return {"names": list(likely[:NAMED]), "more": max(0, len(likely) - NAMED), "promise": told, "note": note}
