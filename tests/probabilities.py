"""Made-up models whose truth is known: probabilities, labels drawn from them, and what the model says instead."""

from __future__ import annotations

import numpy as np

from hfft.records import Predictions


def drawn(n: int, classes: int, seed: int, sureness: float = 1.0, spread: float = 2.0, groups: int = 0) -> Predictions:
    """Labels from softmax(z); the model says softmax(sureness z), so sureness is the temperature to be found."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, spread, (n, classes))
    truth, said = softmax(z), softmax(sureness * z).astype(np.float32)
    labels = (rng.random(n)[:, None] > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    ids = np.array([f"{seed:02x}{row:014x}" for row in range(n)], dtype=object)
    names = tuple(f"c{k}" for k in range(classes))
    owners = np.array([f"g{row % groups}" for row in range(n)], dtype=object) if groups else None
    return Predictions(ids, labels, said.argmax(axis=1), said, names, owners)


def drawn_several(n: int, classes: int, seed: int, sureness: float = 1.0) -> Predictions:
    """The same with several classes per row: labels and answers bool (n, classes), sigmoid probabilities."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.5, 1.5, (n, classes))
    labels = rng.random((n, classes)) < 1 / (1 + np.exp(-z))
    said = (1 / (1 + np.exp(-sureness * z))).astype(np.float32)
    ids = np.array([f"{seed:02x}{row:014x}" for row in range(n)], dtype=object)
    return Predictions(ids, labels, said > 0.5, said, tuple(f"c{k}" for k in range(classes)))


def softmax(z: np.ndarray) -> np.ndarray:
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
