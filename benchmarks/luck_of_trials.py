"""Does what `hfft tune` says of its best trial hold? Searches with a known truth: python benchmarks/luck_of_trials.py

Trials answer the same rows, right with true rates that spread about 0.8, with errors as alike as those of fine-tuned
models; the judgement is that of hfft/winners.py. Printed: how often the interval of the gain holds the true gain, how
often a gain is called where there is none, and how far the gain and what is left of it are from the truth.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.stats import norm

from hfft import winners

ALIKE = 0.8  # correlation of what lies behind two models' errors on a row


def search(rng: np.random.Generator, trials: int, n: int, spread: float, failed: float) -> tuple[winners.Gain, float]:
    """(judgement, true gain of the trial that was chosen)."""
    true = 0.8 + spread * rng.standard_normal(trials)
    bad = int(failed * trials)
    true[trials - bad :] = rng.uniform(0.2, 0.7, bad)
    true[0] = 0.8
    shared = np.sqrt(ALIKE) * rng.standard_normal(n)[:, None]
    behind = shared + np.sqrt(1 - ALIKE) * rng.standard_normal((n, trials))
    right = (behind < norm.ppf(np.clip(true, 0.01, 0.99))).astype(float)
    values = right.mean(axis=0)
    made = winners.judged(values, right - values, 0)
    assert made is not None
    return made, float(true[np.argmax(values)] - true[0])


def main(times: int) -> None:
    print(f"{times} searches each; points of accuracy")
    print(
        "trials  rows  spread  failed   held by 95 % interval   called better   gain - truth   left - truth   luck said"
    )
    rng = np.random.default_rng(0)
    for trials, n, spread, failed in (
        (5, 500, 0.0, 0.0),
        (20, 500, 0.0, 0.0),
        (20, 500, 0.0, 0.3),
        (20, 500, 0.01, 0.0),
        (20, 500, 0.01, 0.3),
        (20, 500, 0.03, 0.3),
        (20, 2000, 0.01, 0.3),
        (60, 2000, 0.0, 0.2),
    ):
        found = [search(rng, trials, n, spread, failed) for _ in range(times)]
        held = np.mean([made.low <= true <= made.high for made, true in found])
        called = np.mean([made.low > 0 and made.p < 0.05 for made, _ in found])
        gain, left = (100 * np.mean([getattr(made, key) - true for made, true in found]) for key in ("gain", "left"))
        luck = 100 * np.mean([made.luck for made, _ in found])
        print(
            f"{trials:6} {n:5} {spread:7.2f} {failed:7.1f} {100 * held:23.1f} {100 * called:15.1f} {gain:14.2f} "
            f"{left:14.2f} {luck:11.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
