"""How often slices that are not weaker are called so, and how often weak ones are found.

In: nothing; test sets are simulated. Out: a table for RESULTS.md on stdout. Fifteen attributes that depend on each
other as those of real texts do; none of them has to do with the answers but the one that a world plants.

    python benchmarks/slices.py --worlds 2000
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from hfft import slicing
from hfft.intervals import wilson
from hfft.records import Predictions

MARKS = ("digits", "question", "exclamation", "url", "handle", "hashtag", "emoji", "accents")
LIKE = 0.3  # correlation of two answers within a group


def attributes(n: int, rng: np.random.Generator, groups: np.ndarray | None) -> dict[str, np.ndarray]:
    """Fifteen attributes (n,); with groups they are partly, and region and source wholly, those of the group."""
    units = np.arange(n) if groups is None else groups
    own = rng.normal(size=(units.max() + 1, 4))[units]
    mood = (own + rng.normal(size=(n, 4))) / np.sqrt(2)
    found = {"words": np.round(np.exp(2.7 + 0.6 * mood[:, 0]))}
    found["unknown_tokens"] = np.where(rng.random(n) < 0.7, 0.0, np.round(rng.exponential(3, n), 1))
    kinds = np.array(["mostly capitals", "a capital first", "no capitals", "capitals inside only"], dtype=object)
    found["casing"] = kinds[np.searchsorted([-1.5, 0.3, 1.2], mood[:, 1] + 0.5 * rng.normal(size=n))]
    for place, name in enumerate(MARKS):  # long texts hold more of everything, and some marks come together
        lean = 0.7 * mood[:, 0] + 0.6 * mood[:, 1 + place % 3] + rng.normal(size=n)
        found[name] = np.where(lean > 0.3 + 0.25 * place, "yes", "no").astype(object)
    regions = rng.choice(list("abcdefgh"), size=units.max() + 1, p=np.array([30, 20, 15, 12, 10, 6, 4, 3]) / 100)
    found["slice:region"] = regions.astype(object)[units]
    found["slice:source"] = np.where(own[:, 3] > 0.8, "web", np.where(own[:, 3] > -0.5, "app", "mail")).astype(object)
    found["slice:age"] = np.round(40 + 12 * mood[:, 2])
    found["slice:stars"] = np.clip(np.round(3.5 + mood[:, 3]), 1, 5).astype(int).astype(str).astype(object)
    return found


def world(
    n: int, rng: np.random.Generator, grouped: bool, share: float = 0.05, weak: float | None = None, usual: float = 0.85
) -> tuple[Predictions, dict[str, np.ndarray]]:
    """A simulated test set; weak: accuracy of a planted slice "planted" of this share of the rows, or None."""
    groups = np.sort(rng.integers(0, n // 5, n)) if grouped else None
    groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
    found = attributes(n, rng, groups)
    chance = np.full(n, usual)
    if groups is not None:
        a, b = (x * (1 - LIKE) / LIKE for x in (usual, 1 - usual))
        chance = rng.beta(a, b, groups.max() + 1)[groups]
    if weak is not None:
        planted = rng.random(n) < share
        found["slice:planted"] = np.where(planted, "here", "elsewhere").astype(object)
        chance = np.where(planted, chance * weak / usual, chance)
    right = rng.random(n) < chance
    ids = np.array([f"{rng.integers(2**62):x}-a" for _ in range(n)], dtype=object)
    names = None if groups is None else np.array([f"{g}/{rng.integers(1 << 40)}" for g in range(n)])[groups]
    labels = np.zeros(n, dtype=int)
    return Predictions(ids, labels, (~right).astype(int), np.zeros((n, 2)), ("a", "b"), names), found


def null(worlds: int, n: int, grouped: bool, seed: int, usual: float = 0.85) -> str:
    """Share of worlds in which anything at all is confirmed."""
    false = sum(_confirmed(*world(n, np.random.default_rng([seed, i]), grouped, usual=usual))[1] for i in range(worlds))
    low, high = wilson(false, worlds)
    kind = "groups of 5" if grouped else "rows independent"
    return f"| {n:,} | {kind} | {usual} | {100 * false / worlds:.1f} % [{100 * low:.1f}, {100 * high:.1f}] |"


def power(worlds: int, n: int, grouped: bool, weak: float, seed: int) -> str:
    """Share of worlds in which the planted slice is suspected, and confirmed; and the mean gap that is told of it."""
    suspected = confirmed = others = 0
    gaps, told = [], []
    for i in range(worlds):
        states, _ = _confirmed(*world(n, np.random.default_rng([seed, i]), grouped, weak=weak))
        row = states.pop(("slice:planted", "here"), None)
        suspected += row is not None and row["state"] != "not told"
        others += any(r["state"] == "confirmed" for r in states.values())
        if row is not None and row["state"] == "confirmed":
            confirmed += 1
            gaps.append(row["gap"]["value"])
            told.append(row["gap"]["low"] <= weak - 0.85 <= row["gap"]["high"])
    kind = "groups of 5" if grouped else "rows independent"
    mean = f"{100 * np.mean(gaps):+.0f} ({100 * np.mean(told):.0f} %)" if gaps else "none"
    return (
        f"| {n:,} | {kind} | {weak:.2f} | {100 * suspected / worlds:.0f} % | {100 * confirmed / worlds:.0f} % | {mean} "
        f"| {100 * others / worlds:.1f} % |"
    )


def _confirmed(predictions: Predictions, found: dict[str, np.ndarray]) -> tuple[dict, bool]:
    facts = slicing.of_attributes(predictions, found)
    rows = {(row["attribute"], row["value"]): row for row in facts["rows"]}
    return rows, any(row["state"] == "confirmed" for row in rows.values())


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--worlds", type=int, default=2000)
    words.add_argument("--powered", type=int, default=300)
    asked = words.parse_args()
    for grouped in (False, True):
        predictions, found = world(100_000, np.random.default_rng(0), grouped)
        start = time.process_time()
        tried = slicing.of_attributes(predictions, found)["tried"]
        print(f"100,000 rows, {len(found)} attributes, {tried} slices, grouped {grouped}: "
              f"{time.process_time() - start:.2f} CPU s", flush=True)  # fmt: skip
    print("| rows | | accuracy | anything confirmed |\n|---|---|---|---|")
    for n, grouped, usual in ((2000, False, 0.85), (2000, True, 0.85), (600, False, 0.95), (600, True, 0.5)):
        print(null(asked.worlds, n, grouped, 1, usual), flush=True)
    print(
        "| rows | | slice | suspected | confirmed | gap told (holds truth) | other slices confirmed |\n"
        + "|---" * 7
        + "|"
    )
    for n in (2000, 10_000):
        for grouped in (False, True):
            for weak in (0.60, 0.70, 0.75, 0.80):
                print(power(asked.powered, n, grouped, weak, 2), flush=True)


if __name__ == "__main__":
    main()
