"""How much a row counts by its class, from how many training rows each class has.

In: counts of training rows, and a scheme or a weight per class. Out: weights whose mean over the training rows is 1,
because a learning rate means something else otherwise. No torch: it must not know any loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hfft.errors import InputError, listed, meant

Scheme = str | Mapping[str, float]
# What a class without training rows counts as: nothing may be infinite, and it is rarer than any other.
HALF = 0.5


@dataclass(frozen=True)
class Frequencies:
    """Training rows by class. names: in the order of the model's outputs; counts: rows of each, int (classes,).

    rows: of train; a row with several classes counts once.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    rows: int

    @classmethod
    def of(cls, labels: np.ndarray, names: Sequence[str]) -> Frequencies:
        """labels: class ids, int (n,), or a 0 or 1 per class, (n, classes)."""
        several = labels.ndim == 2
        counts = labels.sum(axis=0) if several else np.bincount(labels, minlength=len(names))
        return cls(tuple(names), counts.astype(int), len(labels))

    @property
    def prior(self) -> np.ndarray:
        """Share of rows of each class, above 0 and below 1, (classes,)."""
        return np.clip(self.counts, HALF, self.rows - HALF) / self.rows


def check(weights: Scheme, names: Sequence[str]) -> None:
    """Raise InputError where weights are for classes that train has no rows of."""
    if isinstance(weights, str):
        return
    for name in weights:
        if name not in names:
            raise InputError(
                f"loss.weights: train has no class {name!r}{meant(name, names)}; weights are for "
                f"{listed(weights)}, and the classes are {listed(names)}"
            )


def of_rows(weights: Scheme, found: Frequencies, beta: float) -> np.ndarray:
    """Weight of a row of each class, float (classes,); their mean over the training rows is 1."""
    raw = _given(weights, found) if not isinstance(weights, str) else scheme(weights, found.counts, beta)
    return raw * found.rows / float((raw * found.counts).sum())


def of_answers(weights: Scheme, found: Frequencies, beta: float) -> np.ndarray:
    """Weight of a no and of a yes to each class, float (2, classes); each class's mean over the training rows is 1.

    A scheme weighs yes against no as it would weigh two classes of so many rows; a given weight is that of a yes.
    """
    other = found.rows - found.counts
    if isinstance(weights, str):
        ratio = scheme(weights, found.counts, beta) / scheme(weights, other, beta)
    else:
        ratio = _given(weights, found)
    no = found.rows / (ratio * found.counts + other)
    return np.stack([no, ratio * no])


def scheme(name: str, counts: np.ndarray, beta: float) -> np.ndarray:
    """Weights by a scheme's formula up to a factor, float (classes,).

    balanced: 1/n. sqrt: 1/√n. effective_number: (1 - beta) / (1 - beta^n), Cui et al. 2019, equation 2.
    """
    n = np.maximum(np.asarray(counts, dtype=float), HALF)
    if name == "effective_number":
        exponent = n * np.log(beta) if beta else np.full_like(n, -np.inf)
        out: np.ndarray = (1 - beta) / -np.expm1(exponent)
        return out
    return 1 / (np.sqrt(n) if name == "sqrt" else n)


def _given(weights: Mapping[str, float], found: Frequencies) -> np.ndarray:
    check(weights, found.names)
    return np.array([weights.get(name, 1.0) for name in found.names], dtype=float)
