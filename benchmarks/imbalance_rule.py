"""How often the bake-off's rule recommends a remedy that is none, and finds one that is worth three points.

No training: answers of simulated models. Every row has a difficulty that all models share; an arm may see rows in its
own way (the same for all its seeds), a seed may see them in its own way, and a seed may lean to some classes. `python
benchmarks/imbalance_rule.py [simulations]` prints the table of docs/imbalance_bakeoff.md; tests/test_recommending.py
runs a short version.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from hfft import answering, arms, recommending
from hfft.crossed import macro_f1
from hfft.recommending import Arm
from hfft.records import Predictions

UNEVEN, EVEN = (0.80, 0.15, 0.05), (1 / 3, 1 / 3, 1 / 3)
NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Noise:
    """Standard deviations of logits: of a row as an arm sees it, as a seed sees it, and of a seed's lean to a class."""

    arm: float
    seed: float
    lean: float


NOISES = {
    "models much alike": Noise(0.1, 0.1, 0.0),
    "arms see rows in their own way": Noise(0.5, 0.05, 0.0),
    "seeds see rows in their own way": Noise(0.0, 0.7, 0.0),
    "seeds lean to classes": Noise(0.2, 0.2, 0.4),
    "some of each": Noise(0.5, 0.5, 0.15),
}


def drawn(
    random: np.random.Generator, n: int, shares: tuple[float, ...], noise: Noise, count: int, seeds: int, better: float
) -> tuple[np.ndarray, np.ndarray]:
    """(labels (n,), logits (arms, seeds, n, classes)). better: what the second arm adds to the logit of the truth."""
    classes = len(shares)
    labels = random.choice(classes, size=n, p=shares)
    base = random.normal(size=(n, classes)) + np.log(shares)
    base[np.arange(n), labels] += 2.0
    logits = np.empty((count, seeds, n, classes))
    for place in range(count):
        own = base + noise.arm * random.normal(size=(n, classes))
        own[np.arange(n), labels] += better * (place == 1)
        for seed in range(seeds):
            logits[place, seed] = own + noise.seed * random.normal(size=(n, classes))
            logits[place, seed] += noise.lean * random.normal(size=classes)
    return labels, logits


def advantage(shares: tuple[float, ...], noise: Noise, points: float) -> float:
    """What has to be added to the logit of the truth for this much macro-F1, found by bisection on many rows."""
    low, high = 0.0, 2.0
    for _ in range(12):
        middle = (low + high) / 2
        gains = []
        for seed in range(2):
            labels, logits = drawn(np.random.default_rng(seed), 40_000, shares, noise, 2, 3, middle)
            values = [[macro_f1(labels, part.argmax(-1), len(shares))[0] for part in arm] for arm in logits]
            gains.append(np.mean(values[1]) - np.mean(values[0]))
        low, high = (middle, high) if np.mean(gains) < points else (low, middle)
    return (low + high) / 2


def judged(labels: np.ndarray, logits: np.ndarray, with_free: bool) -> dict:
    """The facts of the bake-off for these models."""
    trained = [arms.PLAIN, *arms.TRAINED][: len(logits)]
    losses = -np.take_along_axis(log_softmax(logits, axis=-1), labels[None, None, :, None], axis=-1)[..., 0]
    made = [Arm(name, logits[k].argmax(-1), losses[k], 60.0) for k, name in enumerate(trained)]
    if with_free:
        ids = np.array([f"{row:08d}" for row in range(len(labels))], dtype=object)
        value, found = answering.value_of("f1_macro", NAMES), []
        rows = dict(zip(NAMES, np.bincount(labels, minlength=3).tolist(), strict=True))
        for part in logits[0]:
            plain = Predictions(ids, labels, part.argmax(-1), softmax(part, axis=-1).astype(np.float32), NAMES)
            found.append(arms.free(plain, rows, value))
        made += [Arm(name, np.stack([each[name] for each in found]), losses[0], 0.0) for name in arms.FREE]
    return recommending.judged(labels, made, NAMES)


def recommended(
    simulations: int, n: int, shares: tuple[float, ...], noise: Noise, seeds: int, better: float, with_free: bool
) -> tuple[float, float, float]:
    """(share of simulations in which anything is recommended, in which the planted arm is, mean smallest shown)."""
    any_, right, shown = 0, 0, []
    for simulation in range(simulations):
        random = np.random.default_rng([simulation, n, seeds])
        labels, logits = drawn(random, n, shares, noise, 9, seeds, better)
        facts = judged(labels, logits, with_free)
        any_ += facts["recommended"] is not None
        right += facts["recommended"] == next(iter(arms.TRAINED))
        shown.append(facts["smallest_shown"] or 0.0)
    return any_ / simulations, right / simulations, float(np.mean(shown))


def main(simulations: int) -> None:
    print(
        f"{simulations} simulations each; 8 trained remedies, and 2 free ones where classes are even and no seed leans"
    )
    for title, noise in NOISES.items():
        for n in (300, 2000):
            for shares in (EVEN, UNEVEN):
                # Where plain models lean to classes at random, a tuned bias is truly better: no case of "none differs".
                with_free = shares == EVEN and not noise.lean
                wrong, _, _ = recommended(simulations, n, shares, noise, 3, 0.0, with_free)
                print(f"none differs | {title} | {n:,} rows | {shares} | 3 seeds | recommended {wrong:.3f}", flush=True)
        better = advantage(UNEVEN, noise, 0.03)
        for n in (2000, 8000):
            for seeds in (3, 5) if n == 2000 else (3,):
                _, found, shown = recommended(simulations, n, UNEVEN, noise, seeds, better, False)
                told = f"found {found:.2f}, told that {100 * shown:.1f} points would be shown"
                print(f"+3 points | {title} | {n:,} rows | {UNEVEN} | {seeds} seeds | {told}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
