"""How well features of a model that was not fine-tuned tell classes apart, without training it.

In: features of rows and their classes. Out: the evidence of a linear model (LogME), and the votes of nearest
neighbours. Nothing here knows a model, a file or a fold. numpy, scipy.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

NEIGHBOURS = 10
GRID = np.logspace(-8, 8, 129)  # of alpha / beta, in units of the mean eigenvalue of features' second moments
CHUNK = 1024  # rows whose similarities are held at a time
TINY = 1e-12


def targets(given: np.ndarray, classes: int) -> np.ndarray:
    """Float (n, classes) of 0 and 1. given: class indices (n,), or bool (n, classes), which of several apply."""
    return given.astype(float) if given.ndim == 2 else np.eye(classes)[given]


def logme(features: np.ndarray, wanted: np.ndarray) -> float:
    """Log of the maximum evidence per row, the mean over classes (You et al. 2021, "LogME", ICML).

    features: (n, d). wanted: (n, classes) of 0 and 1. Each column y is y = F w + noise, w ~ N(0, 1 / alpha), noise ~
    N(0, 1 / beta); the evidence p(y | F, alpha, beta) of their equation 2 is at its maximum over alpha and beta. They
    iterate to a fixed point. Here beta is eliminated: with t = alpha / beta, s the eigenvalues of F F' and z = U' y,

        S(t) = y'y - sum z_i^2 s_i / (s_i + t),  beta = n / S(t),
        log p = n/2 (log(n / S) - 1 - log 2 pi) + 1/2 sum log(t / (s_i + t)),

    which leaves one dimension: a grid of t, then golden sections around its best point, so that a second maximum is not
    mistaken for the first. Classes without a row, or with every row, say nothing and are left out. Higher is better;
    values can be compared for the same rows only. Raises ValueError where no class is left.
    """
    told = wanted[:, (wanted.sum(0) > 0) & (wanted.sum(0) < len(wanted))].astype(float)
    if not told.shape[1]:
        raise ValueError("there is one class only")
    spectrum, shadow = _spectrum(np.asarray(features, dtype=float), told)
    whole = (told**2).sum(0)
    unit = max(float(spectrum.sum()) / max(len(spectrum), 1), TINY)

    def evidence(t: np.ndarray) -> np.ndarray:
        """t: (classes,) or, for all classes alike, a number."""
        left = whole - (shadow * (spectrum[:, None] / (spectrum[:, None] + t))).sum(0)
        spread = np.log(t / (spectrum[:, None] + t)).sum(0)
        n = len(told)
        return n / 2 * (np.log(n / np.maximum(left, TINY * whole)) - 1 - np.log(2 * np.pi)) + spread / 2

    found = np.stack([evidence(np.full(told.shape[1], point * unit)) for point in GRID])
    best = found.argmax(0)
    low = np.log(GRID[np.maximum(best - 1, 0)] * unit)
    high = np.log(GRID[np.minimum(best + 1, len(GRID) - 1)] * unit)
    top = found.max(0)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        one, other = high - golden * (high - low), low + golden * (high - low)
        at_one, at_other = evidence(np.exp(one)), evidence(np.exp(other))
        top = np.maximum(top, np.maximum(at_one, at_other))
        low, high = np.where(at_one < at_other, one, low), np.where(at_one < at_other, high, other)
    return float(top.mean() / len(told))


def votes(train: np.ndarray, given: np.ndarray, features: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Shares of the nearest training rows by cosine similarity, float32 (n, classes): each has one vote.

    train, features: (m, d), (n, d). given: (m, classes) of 0 and 1. Fewer training rows than `neighbours` all vote. Of
    equally near rows the earlier one.
    """
    count = min(neighbours, len(train))
    known = _directions(train)
    out = np.empty((len(features), given.shape[1]), dtype=np.float32)
    for start in range(0, len(features), CHUNK):
        alike = _directions(features[start : start + CHUNK]) @ known.T
        last = np.partition(alike, -count, axis=1)[:, -count, None]
        above, level = alike > last, alike == last
        spare = count - above.sum(axis=1, keepdims=True)
        chosen = above | (level & (level.cumsum(axis=1) <= spare))
        out[start : start + CHUNK] = chosen.astype(np.float32) @ given / count
    return out


def _directions(features: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, TINY)  # type: ignore[no-any-return]


def _spectrum(features: np.ndarray, told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(eigenvalues of F F' that are not 0 (r,), squares of U' y (r, classes)), from the smaller of F F' and F' F."""
    wide = features.shape[1] > len(features)
    values, vectors = scipy.linalg.eigh(features @ features.T if wide else features.T @ features)
    kept = values > max(float(values.max(initial=0.0)), 0.0) * 1e-10
    values, vectors = values[kept], vectors[:, kept]
    if wide:
        return values, (vectors.T @ told) ** 2
    return values, (vectors.T @ (features.T @ told)) ** 2 / values[:, None]
