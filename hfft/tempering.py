"""One number that makes a model's probabilities honest on average: the temperature.

In: probabilities and labels. Out: a temperature with its interval, and probabilities at a temperature. numpy, scipy. It
must not know a file or a split.

One class per row: softmax(log p / T), which is softmax(z / T) of the logits z, because softmax forgets a constant that
is added to a row. Several classes per row: sigmoid(logit p / T) of each. T > 1 takes confidence back, T < 1 adds to it.
No answer changes: within a row the order of the classes stays. Guo, Pleiss, Sun & Weinberger 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax, logit, softmax

from hfft.errors import InputError
from hfft.estimates import Z, summed

# The smallest normal float32: a probability that was stored as 0 is one that float32 could not hold.
TINY = float(np.finfo(np.float32).tiny)
EDGE = 100.0  # temperatures outside [1 / EDGE, EDGE] mean that there is nothing to fit
FLAT = 1e-9  # bend of the log loss per row below which it is flat


@dataclass(frozen=True)
class Temperature:
    """value: T. low, high: 95 % interval, None where nothing was fitted. n rows. note: why not, or "" """

    value: float
    low: float | None
    high: float | None
    n: int
    note: str = ""


def of_logits(logits: np.ndarray, several: bool) -> np.ndarray:
    """A model's probabilities, float32 (n, classes): softmax, or sigmoid where a row may have several classes.

    Raises InputError where the outputs are no numbers.
    """
    logits = logits.astype(np.float64)
    if not np.isfinite(logits).all():
        raise InputError("the model's outputs are not numbers (NaN or infinite): its weights are damaged; train again")
    if several:
        return expit(logits).astype(np.float32)  # type: ignore[no-any-return]
    return softmax(logits, axis=1).astype(np.float32)  # type: ignore[no-any-return]


def logits(scores: np.ndarray, several: bool) -> np.ndarray:
    """float64 (n, classes): log p, or logit p where a row may have several classes."""
    p = scores.astype(np.float64)
    if several:
        return logit(np.clip(p, TINY, 1 - np.finfo(np.float64).eps / 2))
    return np.log(np.clip(p, TINY, 1.0))


def apply(scores: np.ndarray, temperature: float, several: bool = False) -> np.ndarray:
    """Probabilities (n, classes) at a temperature, float64: float32 could round two classes of a row into a tie.

    >>> apply(np.array([[0.9, 0.1]]), 2.0).round(3).tolist()
    [[0.75, 0.25]]
    """
    z = logits(scores, several) / temperature
    return expit(z) if several else softmax(z, axis=1)


def log_loss(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each row, (n,), in nats; with several classes per row the mean over the classes.

    Probabilities are kept off 0 and 1 by the least step of a float64, as in scikit-learn.
    """
    least = np.finfo(np.float64).eps
    shares = np.clip(np.asarray(scores, dtype=np.float64), least, 1 - least)
    if labels.ndim == 2:
        return -np.log(np.where(labels, shares, 1 - shares)).mean(axis=1)
    return -np.log(shares[np.arange(len(labels)), labels])


def fit(scores: np.ndarray, labels: np.ndarray, units: np.ndarray | None = None) -> Temperature:
    """The temperature with the least log loss on these rows.

    scores: (n, classes). labels: class indices (n,), or bool (n, classes). units: what each row belongs to. The
    interval is Wald's on log T with the sandwich variance (White 1982), which holds when no temperature fits exactly.
    Without a wrong answer the best temperature is 0 and means nothing: T stays 1, and the note says so.
    """
    from scipy.optimize import (
        minimize_scalar,
    )  # a fifth of a second of every start of `hfft predict`, which fits nothing

    n, several = len(labels), labels.ndim == 2
    if n == 0:
        return Temperature(1.0, None, None, 0, "not fitted: no rows")
    wrong = int(((scores > 0.5) != labels).sum() if several else (scores.argmax(axis=1) != labels).sum())
    if wrong == 0:
        return Temperature(1.0, None, None, n, f"not fitted: no wrong answer among {n:,} rows")
    z = logits(scores, several)
    place = None if several else np.arange(n)

    def loss(log_t: float) -> float:
        scaled = z * np.exp(-log_t)
        if several:
            return float(-np.where(labels, log_expit(scaled), log_expit(-scaled)).mean())
        return float(-log_softmax(scaled, axis=1)[place, labels].mean())

    ends = (-np.log(EDGE), np.log(EDGE))
    best = float(minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-10}).x)
    if loss(0.0) <= loss(best):
        best = 0.0
    pulls, bend = _slopes(z, labels, np.exp(-best), several)
    if bend <= FLAT * n or abs(best) > np.log(EDGE) - 1e-3:
        return Temperature(1.0, None, None, n, "not fitted: no temperature is best, the probabilities say too little")
    error = float(np.sqrt((summed(pulls, units) ** 2).sum())) / bend * np.exp(best)  # of log T: that of 1 / T, times T
    low, high = (float(np.exp(np.clip(best + sign * Z * error, *ends))) for sign in (-1, 1))
    return Temperature(float(np.exp(best)), low, high, n)


def _slopes(z: np.ndarray, labels: np.ndarray, cold: float, several: bool) -> tuple[np.ndarray, float]:
    """(each row's derivative (n,), sum of second derivatives) of the log loss by 1 / T = cold."""
    if several:
        p = expit(z * cold)
        return ((p - labels) * z).sum(axis=1), float((p * (1 - p) * z * z).sum())
    p = softmax(z * cold, axis=1)
    centre = (p * z).sum(axis=1)
    spread = (p * (z - centre[:, None]) ** 2).sum(axis=1)
    return centre - z[np.arange(len(labels)), labels], float(spread.sum())
