"""Which labels look wrong, and how far that limits what a score can mean.

In: `Predictions` by a model that was not fitted to these rows. Out: doubts, a table of them, sentences. numpy and
scipy; cleanlab in one function, scikit-learn in another. It must not know models, data or run folders.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hfft import sheets
from hfft.errors import InputError
from hfft.intervals import wilson
from hfft.records import Predictions

# With fewer flags the ends of the interval of their share are more than a factor of five apart.
FEW_FLAGS = 5
FOLDS = 5
# A model that disagrees with a larger share of the labels is too weak a judge: in simulations the share it flags then
# leaves the share of wrong labels by more than 2.5 points, up to 50 (docs/labels.md).
WEAK = 0.10


@dataclass(frozen=True)
class Doubt:
    """A row whose label looks wrong. suggested: the likeliest other class. Confidences: the model's probabilities."""

    split: str
    id: str
    label: str
    suggested: str
    confidence_in_label: float
    confidence_in_suggested: float


@dataclass(frozen=True)
class Share:
    """Of n rows, the model disagrees with the labels of `disagreed`; `flagged` of those look mislabelled.

    low, high: 95 % Wilson interval of flagged / n.
    """

    n: int
    flagged: int
    disagreed: int
    low: float
    high: float


def suspicious(predictions: Predictions, split: str) -> list[Doubt]:
    """Rows that confident learning takes for mislabelled, least confidence in the label first, ties by id.

    A row is flagged when the model is surer of another class than it is on average for that class's own rows; of
    these, as many per pair of classes as the estimated noise allows (Northcutt, Jiang & Chuang 2021, prune by noise
    rate). Probabilities must come from a model that has not seen these labels. Raises InputError without cleanlab.
    """
    scores, names = predictions.scores, predictions.names
    doubts = []
    for i in _flagged(predictions.labels, scores):
        label = predictions.labels[i]
        other = int(np.where(np.arange(len(names)) == label, -1, scores[i]).argmax())
        sure = float(scores[i, label]), float(scores[i, other])
        doubts.append(Doubt(split, str(predictions.ids[i]), names[label], names[other], *sure))
    return ranked(doubts)


def ranked(doubts: Iterable[Doubt]) -> list[Doubt]:
    """Least confidence in the label first, ties by split and id."""
    return sorted(doubts, key=lambda doubt: (doubt.confidence_in_label, doubt.split, doubt.id))


def share(predictions: Predictions, doubts: Sequence[Doubt]) -> Share:
    """How many of the rows are flagged; doubts: those of these predictions."""
    disagreed = int((predictions.labels != predictions.predicted).sum())
    return Share(predictions.n, len(doubts), disagreed, *wilson(len(doubts), predictions.n))


def without(predictions: Predictions, doubts: Iterable[Doubt]) -> Predictions:
    """The predictions without the flagged rows."""
    gone = {doubt.id for doubt in doubts}
    kept = np.array([row not in gone for row in predictions.ids], dtype=bool)
    parts = {name: getattr(predictions, name)[kept] for name in ("ids", "labels", "predicted", "scores")}
    return dataclasses.replace(predictions, **parts)


def ceiling(split: str, found: Share) -> str:
    """What the flags mean for a score on this split, and what they do not prove.

    Conditional, because neither the share of right flags nor the share of wrong labels found is known; and silent
    about a ceiling where there are fewer than five flags or the model is too weak a judge.

    >>> ceiling("test", Share(1773, 0, 90, 0.0, 0.0022))
    'test: no label of 1,773 looks wrong to this model. That is no proof that all are right: no ceiling can be told.'
    """
    if not found.flagged:
        what = f"{split}: no label of {found.n:,} looks wrong to this model"
        return f"{what}. That is no proof that all are right: no ceiling can be told."
    many = f"{found.flagged:,} label{'s' * (found.flagged > 1)} of {found.n:,}"
    what = f"{split}: {many} look{'s' * (found.flagged == 1)} wrong to this model"
    if found.disagreed > WEAK * found.n:
        return (
            f"{what}; but it disagrees with {_percent(found.disagreed / found.n)} of all labels, so many of these will "
            "be its own mistakes. Read the rows from the top; no ceiling can be told."
        )
    if found.flagged < FEW_FLAGS:
        return f"{what}. These are too few to tell a ceiling."
    reach = _range(1 - found.high, 1 - found.low)
    return (
        f"{what}, {_range(found.low, found.high)} (95 % interval of the share flagged). Flagged is not proven wrong, "
        "and wrong labels may be missed. If exactly the flagged ones were wrong, a model without a mistake would reach "
        f"{reach} accuracy on rows like these, and a score above that would mean nothing."
    )


def together(keys: Sequence[str], groups: Sequence[str] | None) -> np.ndarray:
    """A number per row, int (n,), equal for rows that share a key or a group, directly or through other rows.

    >>> together(["a", "a", "b", "c"], ["x", "y", "y", "z"]).tolist()
    [0, 0, 0, 1]
    """
    kinds = [np.unique(np.asarray(kind, dtype=str), return_inverse=True)[1] for kind in (keys, groups or keys)]
    size = int(kinds[0].max()) + 1
    ends = (kinds[0], kinds[1] + size)
    links = coo_array((np.ones(len(keys)), ends), shape=(size + int(kinds[1].max()) + 1,) * 2)
    return connected_components(links, directed=False)[1][kinds[0]]


def out_of_fold(
    features: np.ndarray, labels: np.ndarray, units: np.ndarray | Sequence[str], classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float32 (n, classes), judged bool (n,)): logistic regression fitted to the other four fifths.

    features: (n, d). labels: (n,) class ids. units: rows of one unit stay in one fold, so that no input is judged by a
    model that has seen it. judged is False, and the row zero, where the class has no rows in the other folds: nothing
    can be said about it. Raises InputError when no class has rows for five folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if np.bincount(labels).max() < FOLDS or len(set(units)) < FOLDS:
        raise InputError(f"the {len(labels):,} training rows are too few to judge their labels in {FOLDS} folds")
    scores = np.zeros((len(labels), classes), dtype=np.float32)
    judged = np.zeros(len(labels), dtype=bool)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Classes with fewer rows than folds are what `judged` is for.
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(folds.split(features, labels, units))
    for fit, held in parts:
        known = np.unique(labels[fit])
        if len(known) < 2:
            continue
        # Strong shrinkage: hundreds of features would otherwise make it sure of its mistakes.
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        model.fit(features[fit], labels[fit])
        scores[np.ix_(held, known)] = model.predict_proba(features[held])
        judged[held] = np.isin(labels[held], known)
    scores[~judged] = 0
    return scores, judged


def write(path: Path, doubts: Sequence[Doubt], inputs: Mapping[str, Mapping[str, Any]]) -> None:
    """CSV of the doubts in their order, with the columns of `inputs` (row id → {column: text}) where they are known."""
    extra = list(dict.fromkeys(column for row in inputs.values() for column in row))
    columns = [field.name for field in dataclasses.fields(Doubt)] + extra
    sheets.write(path, columns, ({**vars(doubt), **inputs.get(doubt.id, {})} for doubt in doubts))


def _flagged(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices of rows whose label looks wrong. The only place that knows cleanlab."""
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "cleanlab":
            raise
        raise InputError(
            "finding label errors needs cleanlab, which is not installed: pip install 'hfft[labels]'"
        ) from error
    if len(np.unique(labels)) < 2:  # nothing to tell apart
        return np.array([], dtype=np.int64)
    with warnings.catch_warnings():
        # Classes with no row or one: there is nothing to flag in them.
        warnings.filterwarnings("ignore", message="May not flag all label issues")
        found = find_label_issues(
            labels, scores, filter_by="prune_by_noise_rate", return_indices_ranked_by="self_confidence", n_jobs=1
        )
    return np.asarray(found, dtype=np.int64)


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {_percent(high)}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
