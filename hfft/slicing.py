"""Where a model is weaker than elsewhere: slices of the test rows, found on one half and confirmed on the other.

In: `Predictions`, and a file with attributes of the same rows. Out: plain facts, `slices.json`. It must not know how
either was made. Of `MaskPredictions` a row is an image, and its measure a number, its own IoU, in place of right or
wrong.

Whoever looks at fifty slices finds a weak one by chance. So one half of the rows, dealt by a hash of each row's group
or content, names at most ten suspects; the other half tests these alone, one-sided, with Holm's correction. A slice is
confirmed at 5 % over all of them together, and its score and gap come from the half that did not choose it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import bucketing, halving, slice_telling, weakness
from hfft.errors import InputError
from hfft.estimates import numbered
from hfft.mask_records import Answers as Predicted
from hfft.mask_records import MaskPredictions
from hfft.means import mean, share
from hfft.pairing import holm
from hfft.records import Score

SALT = b"hfft slice halves 1:"
LEAST = 30  # rows of a slice
LEAST_IN_HALF = 10
MOST = 0.9  # share of the rows; of a larger slice the rest is the news, and is a slice itself
SUSPICIOUS = SIGNIFICANT = 0.05
SUSPECTS = 10
SEEN = 0.1  # share of the rows that a slice has in the sentence on what could be found
CONFIRMED, SUSPECTED, UNTOLD = "confirmed", "suspected", "not told"
ORDER = (CONFIRMED, SUSPECTED, UNTOLD)


@dataclass(frozen=True)
class Answers:
    """right: whether all of a row was answered rightly, bool (n,), or how well, float (n,).

    units: of each row, or None. half: that suspects.
    """

    right: np.ndarray
    units: np.ndarray | None
    half: np.ndarray
    likeness: float

    def where(self, rows: np.ndarray) -> Answers:
        units = None if self.units is None else np.unique(self.units[rows], return_inverse=True)[1]
        return Answers(self.right[rows], units, self.half[rows], self.likeness)

    def weaker(self, mask: np.ndarray) -> tuple[float, float]:
        if self.right.dtype == bool:
            return weakness.weaker(self.right, mask, self.units, self.likeness)
        return (weakness.lower(self.right, mask, self.units, self.likeness),) * 2

    def told(self, mask: np.ndarray) -> bool:
        """Whether both sides can have an interval: that of a mean of numbers takes two units."""
        units = np.arange(len(mask)) if self.units is None else self.units
        return self.right.dtype == bool or all(len(np.unique(units[side])) > 1 for side in (mask, ~mask))

    def shares(self, mask: np.ndarray) -> tuple[Score, Score]:
        """Accuracy of the rows of `mask`, and of the rest; of numbers, their means."""
        return self.score(mask), self.score(~mask)

    def score(self, rows: np.ndarray) -> Score:
        right, units = self.right[rows], None if self.units is None else self.units[rows]
        return share(right, units) if right.dtype == bool else mean(right, units, (0.0, 1.0))


@dataclass(frozen=True)
class Slice:
    """Rows that share a value of an attribute. mask: bool (n,)."""

    attribute: str
    value: str
    mask: np.ndarray


def judged(predictions: Predicted, path: Path) -> dict[str, Any] | None:
    """The facts of `slices.json` on one split, as plain JSON-able data; None where `path` does not exist.

    path: predictions/<split>_attributes.parquet. Raises InputError when it is damaged or lacks some of the rows.
    """
    if not path.is_file():
        return None
    return of_attributes(predictions, read(path, predictions.ids))


def read(path: Path, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Attribute → float (n,) or text (n,) as objects, in the order of `ids`."""
    again = f"run `hfft eval {path.parent.parent}` again"
    try:
        table = pq.read_table(path)
        place = {identity: row for row, identity in enumerate(table["id"].to_pylist())}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{path} is damaged: {again} ({type(error).__name__}: {error})") from error
    order = [place.get(str(identity), -1) for identity in ids]
    if -1 in order:
        raise InputError(f"{path} knows nothing of {order.count(-1):,} of the predicted rows: {again}")
    columns = {name: table[name] for name in table.column_names if name != "id"}
    return {
        name: np.array(column.to_pylist(), dtype=float if pa.types.is_floating(column.type) else object)[order]
        for name, column in columns.items()
    }


def of_attributes(predictions: Predicted, attributes: dict[str, np.ndarray]) -> dict[str, Any]:
    """The same of attributes that are known already."""
    right, measure = _measured(predictions)
    if (blank := np.isnan(right)).any():  # images of which no pixel counts
        kept = {name: column[~blank] for name, column in attributes.items()}
        return of_attributes(predictions.where(~blank), kept)
    units, half = numbered(predictions.groups), halving.first_half(predictions, SALT)
    answers = Answers(right, units, half, weakness.alike(right, units))
    first, second = answers.where(half), answers.where(~half)
    slices = [part for part in _slices(attributes) if answers.told(part.mask) and second.told(part.mask[~half])]
    suspects = _suspects(slices, first, half)
    p = holm([second.weaker(slices[i].mask[~half])[0] for i in suspects])
    adjusted = dict(zip(suspects, p, strict=True))
    rows = [_row(part, answers, second, adjusted.get(place)) for place, part in enumerate(slices)]
    rows.sort(key=lambda row: (ORDER.index(row["state"]), row["gap"]["high"], row["attribute"], row["value"]))
    facts: dict[str, Any] = {"n": predictions.n, "measure": measure, "least": LEAST, "tried": len(slices)}
    facts |= {
        "overall": dataclasses.asdict(answers.score(np.ones(len(right), dtype=bool))),
        "halves": [int(half.sum()), int((~half).sum())],
    }
    facts |= {"suspects": len(suspects), "visible": _visible(second, len(suspects)), "rows": rows}
    return facts | {"sentences": slice_telling.told(facts)}


def _measured(predictions: Predicted) -> tuple[np.ndarray, str]:
    """(right or wrong, or a number in [0, 1], of each row (n,); what that is called)."""
    if isinstance(predictions, MaskPredictions):
        return predictions.own_iou, slice_telling.OWN_IOU
    right = predictions.labels == predictions.predicted
    return (right.all(axis=1) if predictions.multi_label else right), "accuracy"


def _slices(attributes: dict[str, np.ndarray]) -> list[Slice]:
    found = []
    for name, column in attributes.items():
        buckets = bucketing.bucketed(column, slice_telling.unit(name))
        for code, value in enumerate(buckets.values):
            mask = buckets.codes == code
            if LEAST <= np.count_nonzero(mask) <= MOST * len(mask):
                found.append(Slice(name, value, mask))
    return found


def _suspects(slices: list[Slice], first: Answers, half: np.ndarray) -> list[int]:
    """Places of the slices that look worst on the first half, worst first. Nothing here has to hold: the other half
    decides, so mid-p serves."""
    found = []
    for place, part in enumerate(slices):
        mask, other = part.mask[half], part.mask[~half]
        if min(mask.sum(), other.sum(), (~mask).sum(), (~other).sum()) < LEAST_IN_HALF:
            continue  # on either half there must be a slice, and a rest to hold it against
        if first.weaker(mask)[1] < SUSPICIOUS:
            found.append((weakness.gap(*first.shares(mask))["high"], place))
    return [place for _, place in sorted(found)[:SUSPECTS]]


def _row(part: Slice, answers: Answers, second: Answers, p: float | None) -> dict[str, Any]:
    """p: adjusted, None for a slice that was not suspected. Of a suspect, only the other half is asked how weak it is:
    where it was chosen it looks weaker than it is."""
    chosen = p is not None
    found = second.shares(part.mask[~answers.half]) if chosen else answers.shares(part.mask)
    return {
        "attribute": part.attribute,
        "title": slice_telling.title(part.attribute),
        "value": part.value,
        "rows_are": slice_telling.rows_of(part.attribute, part.value),
        "n": int(part.mask.sum()),
        "score": dataclasses.asdict(found[0]),
        "rest": dataclasses.asdict(found[1]),
        "gap": weakness.gap(*found),
        "gap_from": "the half that did not choose it" if chosen else "all rows",
        "state": UNTOLD if p is None else CONFIRMED if p <= SIGNIFICANT else SUSPECTED,
        "p": p,
    }


def _visible(second: Answers, suspects: int) -> dict[str, float] | None:
    """What a slice of a tenth of the rows must lose to be confirmed, with as many suspects as there are, or one."""
    n, right = len(second.right), second.right
    if n * SEEN < LEAST_IN_HALF or not 0 < right.mean() < 1:
        return None
    size = 1.0 if second.units is None else float((np.bincount(second.units) ** 2.0).sum()) / n
    worth = n / (1 + second.likeness * (size - 1))
    level = SIGNIFICANT / max(suspects, 1)
    if right.dtype == bool:
        points = weakness.visible(float(right.mean()), worth, SEEN, level)
    else:
        points = weakness.seen(float(right.std()), worth, SEEN, level)
    return {"part": SEEN, "points": min(points, float(right.mean()))}
