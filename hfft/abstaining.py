"""When a model should not answer: risk against coverage, and a threshold for a promised error rate.

In: each row's confidence and whether its answer is wrong. Out: the curve, its area, thresholds. numpy, scipy. It must
not know where confidence comes from. Coverage is the share of rows that are answered, risk the share of errors in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hfft.intervals import wilson
from hfft.means import mean
from hfft.records import Score


@dataclass(frozen=True)
class Promise:
    """Answer where confidence >= threshold; threshold None: no threshold keeps the promise.

    errors of `answered` among n rows; bound: what the error rate stays below with probability `level`, all tries paid
    for; tried: how many thresholds were looked at.
    """

    max_error: float
    level: float
    threshold: float | None
    answered: int
    errors: int
    n: int
    bound: float | None
    tried: int


def curve(confidence: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk), each (n,): answering the 1, 2 … n most confident rows.

    Rows of equal confidence cannot be told apart, so their errors are spread evenly: no order of the rows matters.
    """
    n = len(confidence)
    rank = np.arange(1, n + 1)
    order = np.argsort(-confidence, kind="stable")
    errors = np.concatenate([[0.0], np.cumsum(wrong[order], dtype=float)])
    ends = np.concatenate([[0], np.flatnonzero(np.diff(confidence[order])) + 1, [n]]) if n else np.zeros(1, int)
    return rank / max(n, 1), np.interp(rank, ends, errors[ends]) / rank


def areas(confidence: np.ndarray, wrong: np.ndarray, units: np.ndarray | None = None) -> tuple[Score, Score]:
    """(AURC, E-AURC): mean risk over all coverages, and what of it a perfect order of the same answers would save.

    Geifman, Uziel & El-Yaniv 2019. AURC is 0 without errors; E-AURC is 0 when all errors are the least confident rows.
    Intervals rest on each row's influence (an error at rank share t pulls by -log t, and any row moves the ranks of
    those after it), normal on the log scale; simulated with 500 rows of which 8 to 32 % are wrong they hold the truth
    in 92 to 95 %. Without an error, the upper end is what Wilson allows the error rate.
    """
    n = len(confidence)
    if n == 0:
        nothing = Score(None, None, None, 0, "undefined: no rows")
        return nothing, nothing
    _, risk = curve(confidence, wrong)
    rank = np.arange(1, n + 1)
    order = np.argsort(-confidence, kind="stable")
    steps = np.diff(risk * rank, prepend=0.0)  # errors in order, ties shared out
    rate = float(risk[-1])
    best = float((np.maximum(rank - (n - steps.sum()), 0) / rank).mean())
    area = float(risk.mean())
    later = np.cumsum((steps / rank)[::-1])[::-1]
    pull = -steps * np.log((rank - 0.5) / n) - later
    # Of the best area r + (1 - r) log(1 - r), the derivative by the risk r; a model without a right answer has none.
    slope = -np.log(max(1 - rate, 0.5 / n))
    scores = []
    for value, each in ((area, pull), (area - best, pull - slope * steps)):
        pulls = np.empty(n)
        pulls[order] = each
        scores.append(_logarithmic(value, mean(pulls - pulls.mean() + value, units)))
    return scores[0], scores[1]


def _logarithmic(value: float, normal: Score) -> Score:
    """An interval that is normal on the log scale, from one that is normal on its own, for a value in [0, 1]."""
    if normal.low is None or normal.high is None:
        return normal
    if value <= 0:
        return Score(0.0, 0.0, wilson(0, normal.n)[1], normal.n, "Wilson on the error rate")
    factor = math.exp(min((normal.high - normal.low) / (2 * value), 50))
    return Score(value, value / factor, min(value * factor, 1.0), normal.n, f"{normal.method} on the log scale")


def accuracy_at(coverage: float, confidence: np.ndarray, wrong: np.ndarray) -> Score:
    """Accuracy among the most confident rows that make up this share of all (rounded up), with Wilson's interval."""
    n = math.ceil(round(coverage * len(confidence), 9))
    if n == 0:
        return Score(None, None, None, 0, "undefined: no rows")
    right = n * (1 - curve(confidence, wrong)[1][n - 1])
    return Score(float(right / n), *wilson(min(right, n), n), n, "Wilson")


def upper_bound(errors: int, n: int, delta: float) -> float:
    """What the error rate stays below with probability 1 - delta: exact, from the binomial (Clopper & Pearson 1934).

    >>> round(upper_bound(0, 59, 0.05), 4)
    0.0495
    """
    from scipy.stats import beta  # half a second of every start of `hfft predict`, which needs none

    return 1.0 if errors >= n else float(beta.ppf(1 - delta, errors + 1, n - errors))


def promised(confidence: np.ndarray, wrong: np.ndarray, max_error: float, level: float) -> Promise:
    """The lowest threshold found whose error rate among answered rows is at most max_error with probability `level`.

    Selection with guaranteed risk (Geifman & El-Yaniv 2017, algorithm 1): bisection over the confidences that occur,
    each try judged by `upper_bound` at (1 - level) / tries. Here answering everything is a try, too, and the best
    threshold that passed is kept, not the last one tried. The guarantee is for rows like these, drawn independently.
    """
    wrong = np.asarray(wrong, dtype=bool)
    n = len(confidence)
    values, first = np.unique(np.sort(confidence), return_index=True)
    misses = np.concatenate([np.cumsum(wrong[np.argsort(confidence, kind="stable")][::-1])[::-1], [0]])
    tries = 1 + math.ceil(math.log2(len(values))) if n else 0

    def tried(place: int) -> Promise | None:
        answered, errors = n - int(first[place]), int(misses[first[place]])
        bound = upper_bound(errors, answered, (1 - level) / tries)
        kept = Promise(max_error, level, float(values[place]), answered, errors, n, bound, tries)
        return kept if bound <= max_error else None

    best = Promise(max_error, level, None, 0, 0, n, None, tries)
    if n == 0:
        return best
    if everything := tried(0):
        return everything
    low, high = 0, len(values)  # at low the promise is broken; at high nothing is answered
    while high - low > 1:
        middle = (low + high) // 2
        if found := tried(middle):
            best, high = found, middle
        else:
            low = middle
    return best
