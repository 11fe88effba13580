"""Average_precision: going down the ranking, the mean of the precision at each row of the class.

The area under the precision-recall curve, without interpolation; rows that tie count together. Guessing gives the
class's share of rows, so compare within a class only. macro is the plain mean over classes with rows.

>>> import numpy as np
>>> labels, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
>>> _, each = estimates(labels, np.column_stack([1 - score, score]))
>>> round(each["average_precision"][1].value, 4)  # (1 / 1 + 2 / 3) / 2
0.8333
"""

from __future__ import annotations

import numpy as np

from hfft.estimates import RANKING, Estimate, average


def estimates(labels: np.ndarray, scores: np.ndarray) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """({"average_precision_macro": …}, {"average_precision": [per class]})."""
    true = labels.T if labels.ndim == 2 else labels == np.arange(np.shape(scores)[1])[:, None]
    each = [precision(*pair) for pair in zip(true, np.asarray(scores).T, strict=True)]
    return {"average_precision_macro": average(each, "no class has rows")}, {"average_precision": each}


def precision(true: np.ndarray, score: np.ndarray) -> Estimate:
    """Average precision. true: bool (n,); score: (n,).

    With A and B the positives and rows at or above a row's score, the value is the mean over positives of A / B. Giving
    one row a little more weight raises A and B of every positive at or below it: the pull is that derivative.
    """
    n, positives = len(true), int(true.sum())
    if not positives:
        return Estimate(None, np.zeros(n), RANKING, 0, "no rows")
    order = np.argsort(-score, kind="stable")
    hit = true[order].astype(float)
    _, run, lengths = np.unique(-score[order], return_inverse=True, return_counts=True)
    last = np.cumsum(lengths) - 1  # the end of each run of equal scores
    above, rows = np.cumsum(hit)[last][run], (last + 1.0)[run]
    value = float((hit * above / rows).sum() / positives)
    first = (last - lengths + 1)[run]  # a row moves those from the start of its own run downwards
    by_hit, by_row = (np.cumsum((hit * part)[::-1])[::-1][first] for part in (1 / rows, above / rows**2))
    pull = np.empty(n)
    pull[order] = (hit * (above / rows - value) + hit * by_hit - by_row) * n / positives
    return Estimate(value, pull, RANKING, positives)
