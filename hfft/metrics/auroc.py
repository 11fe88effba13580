"""Auroc: the chance that a row of the class scores above a row of another (area under the ROC curve), ties by half.

Two classes: one number. More, or multi-label: each class against the rest, and their plain mean. 0.5 is guessing. It
says nothing about where to put a threshold; with rare positives read `average_precision` beside it.

>>> import numpy as np
>>> labels, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
>>> whole, _ = estimates(labels, np.column_stack([1 - score, score]))
>>> whole["auroc"].value  # of 4 pairs, 3 are in order
0.75
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from hfft.estimates import RANKING, Estimate, average


def estimates(labels: np.ndarray, scores: np.ndarray) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """({"auroc": …}, {}) of two classes, else ({"auroc_macro": …}, {"auroc": [per class]})."""
    if labels.ndim == 1 and np.shape(scores)[1] == 2:
        return {"auroc": area(labels == 1, scores[:, 1])}, {}
    true = labels.T if labels.ndim == 2 else labels == np.arange(np.shape(scores)[1])[:, None]
    each = [area(*pair) for pair in zip(true, np.asarray(scores).T, strict=True)]
    return {"auroc_macro": average(each, "no class has rows inside and outside")}, {"auroc": each}


def area(true: np.ndarray, score: np.ndarray) -> Estimate:
    """Mann-Whitney's U / (positives x negatives). true: bool (n,); score: (n,).

    The pulls are the placements of DeLong et al. 1988, so that their spread is DeLong's standard error.
    """
    n, positives = len(true), int(true.sum())
    negatives = n - positives
    if not positives or not negatives:
        return Estimate(None, np.zeros(n), RANKING, 0, "no rows" if not positives else "no rows of other classes")
    whole, inside, outside = rankdata(score), rankdata(score[true]), rankdata(score[~true])
    pull = np.empty(n)
    pull[true] = (whole[true] - inside) / negatives  # negatives below each positive
    pull[~true] = 1 - (whole[~true] - outside) / positives  # positives above each negative
    value = float(pull[true].mean())
    pull -= value
    pull[true] *= n / positives * (positives / max(positives - 1, 1)) ** 0.5
    pull[~true] *= n / negatives * (negatives / max(negatives - 1, 1)) ** 0.5
    return Estimate(value, pull, RANKING, min(positives, negatives))
