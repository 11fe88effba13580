"""Which of two models is better on the same rows, and can it be told at all.

In: `Predictions` of both, or `MaskPredictions`, whose rows are images. Out: `Comparison`: differences, rows won and
lost, a verdict in words. This stage must not know how the predictions were made. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hfft import mask_pairing, pairing, scoring
from hfft.counts import count
from hfft.errors import InputError, counted, listed
from hfft.image_intervals import ALONE
from hfft.intervals import FEW_ERRORS, blind_rows
from hfft.mask_records import Answers, MaskPredictions
from hfft.pairing import Difference
from hfft.records import Predictions, leading, less_is_better

BETTER, WORSE, UNCLEAR = "better", "worse", "cannot tell"
SIGNIFICANT = 0.05
Kind = TypeVar("Kind", Predictions, MaskPredictions, Answers)


@dataclass(frozen=True)
class Comparison:
    """Second against first. won, lost: ids of rows that only the second, only the first, got right.

    p: of the headline metric, as adjusted for the number of comparisons. mcnemar: (exact, mid-p) of accuracy,
    None where rows come in groups: it takes every row for a witness of its own. Of masks, images are won and lost whose
    own IoU is higher and lower (see `MaskPredictions.own_iou`), and there is no McNemar's test.
    """

    first: str
    second: str
    n: int
    differences: dict[str, Difference]
    headline: str
    p: float
    verdict: str
    sentence: str
    mcnemar: tuple[float, float] | None
    won: list[str]
    lost: list[str]


def compare(runs: Sequence[tuple[str, Answers]], metrics: Sequence[str]) -> list[Comparison]:
    """Every run after the first against the first, p-values adjusted by Holm's method.

    runs: (name, predictions) of two runs or more. metrics: names from hfft/metrics/. Raises InputError when the rows,
    their labels or the classes differ.
    """
    (name, base), *others = runs
    found = []
    for other, predictions in others:
        matched = aligned(name, base, other, predictions)
        differences = _differences(base, matched, metrics)
        headline = _headline(differences)
        won, lost = (base.ids[rows].tolist() for rows in won_lost(base, matched))
        rows = isinstance(base, Predictions) and matched.groups is None
        tests = pairing.mcnemar(len(won), len(lost)) if rows else None
        # Of accuracy there is an exact test, where rows are independent: no resample is needed.
        p = tests[1] if headline == "accuracy" and tests else differences[headline].p
        found.append((other, differences, headline, p, tests, won, lost))
    adjusted = pairing.holm([p for _, _, _, p, *_ in found])
    made = []
    for (other, differences, headline, _, tests, won, lost), p in zip(found, adjusted, strict=True):
        verdict, sentence = _judged(name, other, headline, differences[headline], p, len(others))
        made.append(Comparison(name, other, base.n, differences, headline, p, verdict, sentence, tests, won, lost))
    return made


def aligned(name: str, base: Kind, other: str, predictions: Answers) -> Kind:
    """The second predictions in the rows and classes of the first; InputError that says what differs."""
    masks, too = (isinstance(part, MaskPredictions) for part in (base, predictions))
    if masks != too:
        raise InputError(f"{name} and {other} cannot be compared: one answers rows, the other each pixel of an image")
    mine, theirs = set(base.ids), set(predictions.ids)
    if mine != theirs:
        raise InputError(
            f"{name} and {other} were scored on different test rows: {counted(len(mine), 'row')} and "
            f"{counted(len(theirs), 'row')}, {len(mine & theirs):,} in common. Only models scored on the same rows "
            "can be compared: train both with the same data:, data.split and seed"
        )
    if set(base.names) != set(predictions.names):
        only = [sorted(set(a) - set(b)) for a, b in ((base.names, predictions.names), (predictions.names, base.names))]
        raise InputError(
            f"{name} and {other} know different classes: only {name}: {listed(only[0]) or 'none'}; only {other}: "
            f"{listed(only[1]) or 'none'}"
        )
    place = {identity: row for row, identity in enumerate(predictions.ids)}
    rows = np.array([place[identity] for identity in base.ids], dtype=np.int64)
    if isinstance(base, MaskPredictions) and isinstance(predictions, MaskPredictions):
        return mask_pairing.aligned(name, base, other, predictions, rows)
    assert isinstance(base, Predictions) and isinstance(predictions, Predictions)
    columns = np.array([predictions.names.index(label) for label in base.names])
    number = np.empty(len(columns), dtype=np.int64)
    number[columns] = np.arange(len(columns))
    if base.multi_label != predictions.multi_label:
        raise InputError(f"{name} and {other} cannot be compared: one gives each row one class, the other several")
    given = (predictions.labels[rows], predictions.predicted[rows])
    labels, predicted = (part[:, columns] if base.multi_label else number[part] for part in given)
    if different := int((labels != base.labels).reshape(base.n, -1).any(axis=1).sum()):
        raise InputError(f"{name} and {other} have different labels for {different:,} rows")
    groups = base.groups  # a run of an older hfft did not keep them
    if groups is None and predictions.groups is not None:
        groups = predictions.groups[rows]
    return Predictions(base.ids, labels, predicted, predictions.scores[rows][:, columns], base.names, groups)


def gain(base: Answers, predictions: Answers, metrics: Sequence[str]) -> tuple[str, Difference] | None:
    """(headline metric, its difference) of predictions over a baseline's on the same rows in the same order.

    None where no metric has a value on these rows.
    """
    differences = _differences(base, predictions, metrics)
    metric = leading(differences)
    return (metric, differences[metric]) if metric else None


def cautious(base: Kind, other: Kind, metric: str, apart: Difference) -> Difference:
    """The difference of two models on the same rows in any order, widened where it rests on few discordant rows."""
    other = aligned("one", base, "the other", other)
    if isinstance(base, MaskPredictions) and isinstance(other, MaskPredictions):
        return mask_pairing.cautious(base, other, apart)
    assert isinstance(base, Predictions) and isinstance(other, Predictions)
    won, lost = hits(other) & ~hits(base), hits(base) & ~hits(other)
    rows, discordant = blind_rows(count(base.labels, base.predicted, len(base.names))), int((won | lost).sum())
    if base.groups is not None:  # the rows of a group are one witness
        rows = min(rows, len(np.unique(base.groups)))
        discordant = len(np.unique(base.groups[won | lost]))
    # A loss differs on every row; only where differences come from answers can they fail to happen.
    if discordant >= FEW_ERRORS or less_is_better(metric):
        return apart
    return pairing.careful(apart, int(won.sum()), int(lost.sum()), rows)


def won_lost(base: Answers, other: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Rows that the second answers better, and worse: bool (n,) each."""
    if isinstance(base, MaskPredictions) and isinstance(other, MaskPredictions):
        return mask_pairing.won_lost(base, other)
    assert isinstance(base, Predictions) and isinstance(other, Predictions)
    mine, theirs = hits(base), hits(other)
    return theirs & ~mine, mine & ~theirs


def _differences(base: Answers, other: Answers, metrics: Sequence[str]) -> dict[str, Difference]:
    """Of every metric of the whole split, in the metrics' order; rows are drawn as the second's groups say."""
    if isinstance(base, MaskPredictions) and isinstance(other, MaskPredictions):
        scoring.keys(metrics, base.names, masks=True)
        return mask_pairing.differences(base, other, scoring.statistic(metrics))
    assert isinstance(base, Predictions) and isinstance(other, Predictions)
    found = pairing.differences(
        base.labels, base.predicted, other.predicted, len(base.names), scoring.statistic(metrics), other.groups
    )
    graded = scoring.graded(base, metrics), scoring.graded(other, metrics)
    found |= pairing.graded_differences(graded[0], graded[1], other.groups)
    return {key: found[key] for key in scoring.keys(metrics, base.names, base.multi_label) if key in found}


def _headline(differences: dict[str, Difference]) -> str:
    metric = leading(differences)
    if metric is None:
        raise InputError("none of the metrics has a value on these rows, so nothing can be compared")
    return metric


def hits(predictions: Predictions) -> np.ndarray:
    """Rows that are right as a whole, bool (n,)."""
    return (predictions.predicted == predictions.labels).reshape(predictions.n, -1).all(axis=1)


def _judged(first: str, second: str, metric: str, apart: Difference, p: float, tests: int) -> tuple[str, str]:
    """(verdict, sentence)."""
    points = pairing.told(metric, dataclasses.asdict(apart))
    noun = pairing.noun(apart.method)
    chance = f"p = {p:.3g}{f', adjusted for {tests} comparisons' * (tests > 1)}, {counted(apart.n, noun)}"
    if p < SIGNIFICANT and apart.value:
        verdict = BETTER if (apart.value > 0) != (less_is_better(metric)) else WORSE
        return verdict, f"{second} is {verdict} than {first}: {points} ({chance})."
    if apart.value == 0:
        return UNCLEAR, f"{second} and {first} cannot be told apart: {points} ({chance})."
    if ALONE in apart.method:
        which = f"{points}, {counted(apart.n, noun)}, {apart.method.removeprefix('paired ').split(',')[0]}"
        return (
            UNCLEAR,
            f"Cannot be told whether {second} is better than {first}: {which}. Score {noun}s of more groups.",
        )
    needed = pairing.rows_needed(apart)
    rows = (
        f" About {pairing.rounded(needed)} {noun}s would be needed to show a difference of this size." if needed else ""
    )
    aside = pairing.narrow(dataclasses.asdict(apart)) if tests == 1 else ""
    return UNCLEAR, f"Too small to tell whether {second} is better than {first}: {points} ({chance}{aside}).{rows}"
