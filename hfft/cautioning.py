"""What people should know before they believe scores: where so few rows, groups or errors cannot carry an interval.

In: `Predictions` or `MaskPredictions`. Out: sentences. It computes no score. numpy only; no torch, no transformers.
"""

from __future__ import annotations

import numpy as np

from hfft import mask_cautions
from hfft.counts import count
from hfft.errors import classes
from hfft.intervals import FEW_ERRORS, FEW_ROWS
from hfft.mask_records import Answers, MaskPredictions
from hfft.records import Predictions


def notes(predictions: Answers) -> list[str]:
    """Sentences for people: where these rows are too few for the intervals to keep their 95 %, and what is left out."""
    if predictions.n == 0:
        return ["There are no rows: nothing can be said."]
    if isinstance(predictions, MaskPredictions):
        return mask_cautions.notes(predictions)
    counts = count(predictions.labels, predictions.predicted, len(predictions.names))
    errors = int(counts.wrong)
    said = _grouping(predictions)
    if absent := [name for name, rows in zip(predictions.names, counts.support, strict=True) if rows == 0]:
        said.append(
            f"{classes(absent, 'has', 'have')} no rows here, so averages over classes leave "
            f"{'it' if len(absent) == 1 else 'them'} out and nothing is known about finding "
            f"{'it' if len(absent) == 1 else 'them'}."
        )
    order = np.argsort(counts.support, kind="stable")
    if few := [f"{predictions.names[k]} ({counts.support[k]})" for k in order if 0 < counts.support[k] < FEW_ROWS]:
        said.append(
            f"{classes(few, 'has', 'have')} fewer than {FEW_ROWS} rows: "
            "the intervals of averages over classes may be too narrow."
        )
    if predictions.only_answer is not None and errors:
        said.append(
            f"The model answers {predictions.only_answer!r} for each of the {predictions.n:,} rows, whatever they "
            "hold: it has learnt nothing that these scores could show, and nothing can make its answer flip."
        )
    silent = (counts.support > 0) & (counts.predicted == 0)
    if mute := [name for name, never in zip(predictions.names, silent, strict=True) if never]:
        said.append(f"{classes(mute, 'is', 'are')} never predicted: the precision counts as 0 in averages.")
    if errors < FEW_ERRORS:
        answers = predictions.n * len(predictions.names)
        of = f"of {answers:,} answers" if predictions.multi_label else f"of {predictions.n:,} rows"
        said.append(
            f"Only {errors} {of} {'is' if errors == 1 else 'are'} wrong: a bootstrap cannot see "
            "errors this rare, so the intervals of averages over classes are widened to what the rarest class allows."
        )
    return said


def _grouping(predictions: Predictions) -> list[str]:
    """What groups do to the intervals; nothing where each row is its own."""
    groups = 0 if predictions.groups is None else len(set(predictions.groups))
    if not 0 < groups < predictions.n:
        return []
    said = f"The {predictions.n:,} rows belong to {groups:,} groups, and the intervals take groups as the witnesses"
    few = f"; fewer than {FEW_ROWS} groups make them too narrow" if groups < FEW_ROWS else ""
    return [f"{said}{few}."]
