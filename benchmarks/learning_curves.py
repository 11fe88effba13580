"""How often the intervals of `hfft learn-curve` hold the truth, where the truth is a power law.

No training: answers of simulated models on shared validation rows. Every row has a difficulty that all models share; a
training moves its model's error, by as much as the case says. `python benchmarks/learning_curves.py [simulations]`
prints the table of docs/learning_curve.md; tests/test_power_law.py runs a short version.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from hfft import extrapolating
from hfft.power_law import Fit
from hfft.records import Predictions

SIZES = (140, 350, 700, 1400)
NAMES = ("a", "b")


@dataclass(frozen=True)
class Truth:
    """error(n) = floor + scale (n / 1,400)^-exponent. rows: of validation. alike: correlation of two models' difficulty
    of a row. noise: SD of a training's error. seeds: trainings of each share.
    """

    floor: float
    scale: float
    exponent: float
    rows: int
    alike: float = 0.7
    noise: float = 0.0
    seeds: int = 1

    @property
    def errors(self) -> np.ndarray:
        return self.floor + self.scale * (np.array(SIZES) / SIZES[-1]) ** -self.exponent

    @property
    def gain(self) -> float:
        """What twice the most rows bring."""
        return self.scale * (1 - 2**-self.exponent)


LAWS = ((0.05, 0.15, 0.5), (0.0, 0.2, 0.3), (0.1, 0.05, 0.2), (0.02, 0.03, 1.0), (0.1, 0.02, 0.5), (0.1, 0.0, 0.5))
CASES = [Truth(*law, rows) for law in LAWS for rows in (300, 1500)]
CASES += [Truth(*law, 1500, noise=0.01, seeds=seeds) for law in (LAWS[0], LAWS[5]) for seeds in (1, 3)]


def answers(truth: Truth, random: np.random.Generator) -> list[list[Predictions]]:
    """Predictions of every share and seed."""
    rows, ids = truth.rows, np.arange(truth.rows).astype(str).astype(object)
    labels, hard = random.integers(0, 2, rows), random.standard_normal(rows)
    parts = []
    for error in truth.errors:
        runs = []
        for _ in range(truth.seeds):
            own = np.clip(error + truth.noise * random.standard_normal(), 1e-4, 1 - 1e-4)
            seen = truth.alike**0.5 * hard + (1 - truth.alike) ** 0.5 * random.standard_normal(rows)
            said = np.where(seen < ndtri(own), 1 - labels, labels)
            runs.append(Predictions(ids, labels, said, np.eye(2, dtype=np.float32)[said], NAMES))
        parts.append(runs)
    return parts


def measured(truth: Truth, simulations: int, seed: int = 0) -> dict[str, float]:
    """Shares of simulations: the gain in its interval, the error at twice the rows in its; a worth told; and the median
    width of the gain's interval."""
    random = np.random.default_rng(seed)
    held, level, told, widths = 0, 0, 0, []
    for _ in range(simulations):
        curve = extrapolating.curves(answers(truth, random), ["accuracy"])["accuracy"]
        fit = Fit(np.array(SIZES), 1 - curve.values, curve.covariance)
        gain, twice = fit.gain(1.0, 2.0), fit.level(2.0)
        held += gain.low - 1e-9 <= truth.gain <= gain.high + 1e-9
        level += twice.low <= truth.errors[-1] - truth.gain <= twice.high
        told += gain.low >= extrapolating.WORTH
        widths.append(gain.high - gain.low)
    shares = {"gain": held, "level": level, "told": told}
    return {key: value / simulations for key, value in shares.items()} | {"width": float(np.median(widths))}


def main() -> None:
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print("| floor, scale, exponent | rows | SD | seeds | twice brings | held | error held | told | width |")
    print("|---|---|---|---|---|---|---|---|---|")
    for place, truth in enumerate(CASES):
        found = measured(truth, simulations, place)
        law = f"{truth.floor:g}, {truth.scale:g}, {truth.exponent:g}"
        print(
            f"| {law} | {truth.rows:,} | {100 * truth.noise:g} | {truth.seeds} | {100 * truth.gain:.1f} | "
            f"{found['gain']:.1%} | {found['level']:.1%} | {found['told']:.0%} | {100 * found['width']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
