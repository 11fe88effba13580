"""Whether an explanation depends on what a model learned: the same explanation of models with random weights.

In: a model, a map of it, a way to make such maps. Out: rank correlations and what they mean. A map that random weights
draw too is a map of the input: an edge detector looks like a good explanation and says nothing about the model.
Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

ROUNDS = 5  # models with random weights
# Of unrelated maps of 16 parts the mean of five correlations lies beyond 0.5 less than once in 10,000 times (its
# standard deviation is 1 / sqrt(15 * 5)); of 5 parts, once in 40.
ALIKE = 0.5
FEWEST = 5  # parts: with fewer, correlations tell nothing


@dataclass(frozen=True)
class Sanity:
    """rho: mean rank correlation with the maps of random weights, None where it cannot be told."""

    rho: float | None
    rhos: tuple[float, ...]
    sentence: str

    @property
    def failed(self) -> bool:
        return self.rho is not None and abs(self.rho) > ALIKE


def check(own: Sequence[np.ndarray], explain: Callable[[Any], Sequence[np.ndarray]], model: Any) -> list[Sanity]:
    """One verdict for each map of `own`. explain: maps of the same inputs and classes by another model."""
    others = [explain(remade(model, seed)) for seed in range(ROUNDS)]
    return [compared(map_, [maps[place] for maps in others]) for place, map_ in enumerate(own)]


def compared(own: np.ndarray, others: Sequence[np.ndarray]) -> Sanity:
    """A map against those of random weights, part by part; arrays of one shape."""
    if own.size < FEWEST or np.ptp(own) == 0:
        return Sanity(None, (), f"Not checked against random weights: {FEWEST} parts that differ are needed.")
    rhos = tuple(correlation(own, other) for other in others)
    rho = float(np.mean(rhos))
    told = f"rank correlation {rho:+.2f} with the same explanation of {len(others)} models with random weights"
    if abs(rho) > ALIKE:
        return Sanity(
            rho, rhos, f"WARNING: {told}: it shows the input rather than what was learned. Conclude nothing from it."
        )
    return Sanity(rho, rhos, f"Depends on what was learned: {told} (near 0 is good, above {ALIKE} a warning).")


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's; 0 for a map without any difference in it, which has nothing in common with one that has."""
    a, b = (rankdata(values.ravel()) - (values.size + 1) / 2 for values in (one, other))
    length = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / length if length else 0.0


def remade(model: Any, seed: int) -> Any:
    """The same architecture with random weights; the state of torch's generator stays as it is."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        new = type(model)(copy.deepcopy(model.config))
    first = next(model.parameters())
    return new.to(device=first.device, dtype=first.dtype).eval()
