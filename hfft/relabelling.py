"""What relabelling the rows whose label looks wrong could be worth, beside what more rows would be.

In: what `hfft labels` says of a run, its validation predictions, and the learning curve's fit. Out: plain facts and
sentences, which say what is an estimate and what is a bound. Like gathering.py, this is a place where stages meet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hfft import doubting, scoring
from hfft.counts import count
from hfft.power_law import Fit
from hfft.records import Predictions


def told(audit: dict[str, Any], answers: Predictions, fit: Fit, metrics: Sequence[str], lead: str) -> dict[str, Any]:
    """{"validation": …, "train": … or None, "sentences"}.

    audit: of `auditing.labels`. answers: the validation predictions of the model on the most rows. fit: of `lead`.
    validation.at_most: the score if the model is right wherever a flagged label says otherwise. train.at_least: what
    the curve says that many right rows are worth, because a wrong row is worth at best what no row is; if a share r of
    n rows is wrong, n rows are as good as n (1 - r) right ones at most, and relabelled they are as good as n / (1 - r)
    of today's.
    """
    splits = audit["splits"]
    held = _facts(splits["validation"]) | _raised(audit["doubts"], answers, metrics, lead)
    train = None
    if "train" in splits:
        train = _facts(splits["train"])
        share = train["flagged"] / max(train["n"], 1)
        train["at_least"] = dataclasses.asdict(fit.gain(1.0, 1 / (1 - share))) if 0 < share < 1 else None
    sentences = [_held(held, lead), *([_train(train, lead)] if train else [])]
    return {"validation": held, "train": train, "sentences": sentences}


def _facts(split: dict[str, Any]) -> dict[str, Any]:
    kept = {key: split[key] for key in ("n", "flagged", "disagreed", "low", "high")}
    return kept | {"weak": split["disagreed"] > doubting.WEAK * split["n"]}


def _raised(
    doubts: Sequence[dict[str, Any]], answers: Predictions, metrics: Sequence[str], lead: str
) -> dict[str, float | int]:
    flagged = {doubt["id"] for doubt in doubts if doubt["split"] == "validation"}
    turned = np.array([row in flagged for row in answers.ids]) & (answers.labels != answers.predicted)
    mended = dataclasses.replace(answers, labels=np.where(turned, answers.predicted, answers.labels))
    score, most = (
        scoring.points(count(part.labels, part.predicted, len(part.names)), metrics, part.names)[lead]
        for part in (answers, mended)
    )
    return {"turned": int(turned.sum()), "score": score, "at_most": most}


def _held(held: dict[str, Any], lead: str) -> str:
    if not held["flagged"]:
        return f"No label of {held['n']:,} validation rows looks wrong to the model on the most rows."
    return (
        f"{_many(held, 'validation')}. If the model is right about each of the {held['turned']:,} that it answers "
        f"otherwise, its {lead} is {held['at_most']:.4f} and not {held['score']:.4f}: the most that relabelling them "
        f"can add to what is measured. The model stays the same.{_weak(held, 'the model')}"
    )


def _train(train: dict[str, Any], lead: str) -> str:
    if not train["at_least"]:
        return f"No label of {train['n']:,} training rows looks wrong out of fold."
    value, low, high = (100 * train["at_least"][end] for end in ("value", "low", "high"))
    return (
        f"{_many(train, 'training')}. If all of them are wrong, relabelling them is worth at least {value:+.1f} points "
        f"of {lead} [{low:+.1f}, {high:+.1f}], what the curve says that so many right rows add: a bound from below, "
        "because wrong rows may do harm, too. If they are right, it is worth nothing."
        f"{_weak(train, 'the judge, a logistic regression,')}"
    )


def _many(found: dict[str, Any], what: str) -> str:
    looks = "looks" if found["flagged"] == 1 else "look"
    return f"{found['flagged']:,} of {found['n']:,} {what} labels {looks} wrong, which is an estimate and no proof"


def _weak(found: dict[str, Any], who: str) -> str:
    if not found["weak"]:
        return ""
    share = found["disagreed"] / found["n"]
    return f" But {who} disagrees with {share:.0%} of all labels: many of these will be its own mistakes."
