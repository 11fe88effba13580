"""F1: the harmonic mean of a class's precision and recall, 2 hits / (rows truly the class + rows predicted as it).

macro is the plain mean of the classes' F1 (not the F1 of mean precision and mean recall; Opitz & Burst 2019 show that
the two differ), weighted the mean by true rows; micro equals the accuracy when each row has exactly one class.

A class's F1 is a rising function of one proportion, J = hits / rows that are truly *or* predicted the class: F1 is
2 J / (1 + J). So its interval is Wilson's for J, carried over, and needs no bootstrap.

>>> from hfft.counts import count
>>> counts = count(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=2)
>>> per_class(counts)["f1"].round(4).tolist()  # class 0: 2 x 2 / (3 + 2); class 1: 2 x 1 / (1 + 2)
[0.8, 0.6667]
>>> {key: round(float(value), 4) for key, value in score(counts).items()}
{'f1_macro': 0.7333, 'f1_micro': 0.75, 'f1_weighted': 0.7667}
"""

from __future__ import annotations

import numpy as np

from hfft.counts import Counts
from hfft.intervals import Proportion


def score(counts: Counts) -> dict[str, np.ndarray]:
    """macro, micro and weighted F1, arrays (...); macro runs over all classes in `counts`."""
    each = per_class(counts)["f1"]
    totals = (counts.support + counts.predicted).sum(axis=-1)
    return {
        "f1_macro": counts.mean(each),
        "f1_micro": 2 * counts.hits.sum(axis=-1) / np.maximum(totals, 1),
        "f1_weighted": counts.weighted(each),
    }


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """{"f1": array (..., classes)}; 0 for a class that neither occurs nor is predicted."""
    return {"f1": 2 * counts.hits / np.maximum(counts.support + counts.predicted, 1)}


def proportions(counts: Counts) -> dict[str, Proportion]:
    either = counts.support + counts.predicted - counts.hits
    whole = Proportion(counts.hits.sum(axis=-1), counts.n)  # one class per row: the accuracy
    if counts.multi_label:
        undefined, method = "no labels, true or predicted", "Wilson on labels true or predicted"
        whole = Proportion(counts.hits.sum(axis=-1), either.sum(axis=-1), undefined, method, of_jaccard)
    undefined, method = "no rows and never predicted", "Wilson on rows truly or predicted the class"
    return {"f1_micro": whole, "f1": Proportion(counts.hits, either, undefined, method, of_jaccard)}


def of_jaccard(share: float) -> float:
    """F1 of J = hits / rows truly or predicted the class."""
    return 2 * share / (1 + share)
