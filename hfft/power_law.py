"""Error as a power law of the training rows, and what can be said about it from a few points.

In: sizes, errors, and the covariance of the errors. Out: the fitted law, and intervals of what follows from it: the
error at a size, and what is gained from one size to another. Knows no file, no metric and no model. numpy, scipy.

The law is error = a + b (n / n_last)^-c with a, b >= 0: an error that no number of rows removes, and one that shrinks.
It is the form that is found for deep networks (Hestness et al. 2017, Rosenfeld et al. 2020) and for most other learners
(Viering & Loog 2022, who also list the curves that are not like it). Three parameters from three to six points: the
intervals come from the profile of the likelihood, which knows that a, b and c can stand in for one another and that a
and b end at 0. A normal approximation around the best fit, or refits of a bootstrap, do not: at a bound their intervals
are too short.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

# Exponents: below them lies a curve without any shape, above one that has ended before the first point.
EXPONENTS = np.geomspace(0.01, 3.0, 240)
HALVINGS = 40
LEAST = 3  # sizes that a law with three parameters needs

Profile = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Law:
    """error(n) = floor + scale (n / last)^-exponent. misfit: chi-square of the points about it, with that freedom."""

    floor: float
    scale: float
    exponent: float
    misfit: float
    freedom: int

    @property
    def falling(self) -> bool:
        """No slope is the best there is, and the points do not fit it: the error grows with the rows."""
        return self.scale == 0 and self.misfit > float(chdtri(self.freedom, 0.05))

    def error(self, times: np.ndarray | float) -> np.ndarray:
        """At so many times the largest size."""
        return self.floor + self.scale * np.asarray(times, dtype=float) ** -self.exponent


@dataclass(frozen=True)
class Ends:
    """value: by the best fit. low, high: 95 % profile interval."""

    value: float
    low: float
    high: float


class Fit:
    """The law fitted to errors (K,) at sizes (K,), by generalised least squares with their covariance (K, K).

    Points that scatter more about the law than the covariance allows widen every interval, by the root of misfit over
    freedom: there is noise that the covariance does not hold, or the law is another. Raises ValueError for fewer than
    three sizes.
    """

    def __init__(self, sizes: np.ndarray, errors: np.ndarray, covariance: np.ndarray) -> None:
        if len(set(np.asarray(sizes).tolist())) < LEAST:
            raise ValueError(f"expected {LEAST} sizes or more")
        self.times = np.asarray(sizes, dtype=float) / np.max(sizes)
        self.errors = np.asarray(errors, dtype=float)
        self.most = 3 * float(self.errors.max() + 10 * np.sqrt(np.diag(covariance).max()))  # no end lies beyond
        self.shapes = self.times ** -EXPONENTS[:, None]  # (exponents, K)
        # Whitened, least squares are plain: with L L' = covariance, L^-1 of everything has unit variance.
        root = np.linalg.inv(np.linalg.cholesky(covariance))
        self.e, self.one, self.f = root @ self.errors, root @ np.ones(len(errors)), self.shapes @ root.T
        floor, scale, misfits = self._best()
        best = int(np.argmin(misfits))
        # A curve without slope has no exponent to fit, one without floor one number less.
        least, free = float(misfits[best]), 1 if scale[best] == 0 else 2 if floor[best] == 0 else LEAST
        freedom = len(errors) - free
        self.law = Law(float(floor[best]), float(scale[best]), float(EXPONENTS[best]), least, freedom)
        self.widened = max(1.0, least / freedom) ** 0.5 if freedom else 1.0
        self.reach = float(chdtri(1, 0.05)) * self.widened**2

    def gain(self, start: float, end: float) -> Ends:
        """How much error `end` times the largest size have less than `start` times; 0 at least."""
        per_scale = start**-EXPONENTS - end**-EXPONENTS  # (exponents,)

        def profile(values: np.ndarray) -> np.ndarray:
            scale = values / per_scale
            rest = self.e - scale[:, None] * self.f
            floor = np.maximum(rest @ self.one / (self.one @ self.one), 0.0)
            return np.asarray(((rest - floor[:, None] * self.one) ** 2).sum(axis=1))

        value = float(self.law.error(start) - self.law.error(end))
        return self._ends(profile, value, 0.0, self.most)

    def level(self, at: float) -> Ends:
        """The error at so many times the largest size."""
        shape = at**-EXPONENTS
        turn = self.f - shape[:, None] * self.one  # what a unit of scale changes where the error at `at` is held
        square = (turn**2).sum(axis=1)

        def profile(values: np.ndarray) -> np.ndarray:
            rest = self.e - values[:, None] * self.one
            best = np.where(square > 0, (rest * turn).sum(axis=1) / np.maximum(square, 1e-300), 0.0)
            scale = np.clip(best, 0.0, values / shape)  # no floor below 0
            return np.asarray(((rest - scale[:, None] * turn) ** 2).sum(axis=1))

        value = float(self.law.error(at))
        return self._ends(profile, value, 0.0, self.most)

    def _ends(self, profile: Profile, value: float, least: float, most: float) -> Ends:
        """Where the profile, least over exponents, leaves the best fit by `reach`; sought from the value outwards."""
        limit = self.law.misfit + self.reach

        def inside(at: float) -> bool:
            return bool(profile(np.full(len(EXPONENTS), at)).min() <= limit)

        ends = []
        for edge in (least, most):
            near, far = value, edge
            if inside(edge):
                near = edge
            else:
                for _ in range(HALVINGS):
                    middle = (near + far) / 2
                    near, far = (middle, far) if inside(middle) else (near, middle)
            ends.append(near)
        return Ends(value, min(ends[0], value), max(ends[1], value))

    def _best(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(floor, scale, misfit), each (exponents,): least squares with neither below 0."""
        oo, of, ff = self.one @ self.one, self.f @ self.one, (self.f**2).sum(axis=1)
        oe, fe = self.one @ self.e, self.f @ self.e
        level = np.maximum(oo * ff - of**2, 1e-300)
        floor, scale = (ff * oe - of * fe) / level, (oo * fe - of * oe) / level
        choices = [(floor, scale), (np.zeros_like(ff), np.maximum(fe / ff, 0.0)), (np.full_like(ff, oe / oo), 0 * ff)]
        misfits = []
        for a, b in choices:
            rest = self.e - a[:, None] * self.one - b[:, None] * self.f
            misfits.append(np.where((a >= 0) & (b >= 0), (rest**2).sum(axis=1), np.inf))
        chosen, rows = np.argmin(misfits, axis=0), np.arange(len(ff))
        floors, scales = (np.stack([choice[side] for choice in choices]) for side in (0, 1))
        return floors[chosen, rows], scales[chosen, rows], np.stack(misfits)[chosen, rows]
