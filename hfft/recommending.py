"""Which remedy against imbalance, if any, is worth it: differences to plain training, Holm, and a recommendation.

In: the answers and log losses of every arm, for each seed, on the same rows. Out: plain facts. It must not know how the
arms were made, nor any file. numpy, scipy.

The rule: a remedy is recommended only if its macro-F1 is higher than that of plain training with a p-value that Holm's
method has adjusted for all remedies. Of those, the one with the highest mean leads; any that is not told apart from it
and is cheaper takes its place, free ones first, if its own interval is above 0, too. Where no arm differs, one is
recommended in at most 5 % of all cases (benchmarks/imbalance_rule.py measures it, and how often a remedy worth three
points is found).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfft import crossed, pairing
from hfft.arms import FREE, typed
from hfft.crossed import Apart, Noise

NONE = "No remedy beats plain training here."
LEVEL = 0.05
CHEAPER = 0.9  # share of the other's seconds below which training counts as cheaper


@dataclass(frozen=True)
class Arm:
    """answers: class indices (seeds, n). losses: log loss of each row, (seeds, n). seconds: of training one seed."""

    name: str
    answers: np.ndarray
    losses: np.ndarray
    seconds: float

    @property
    def free(self) -> bool:
        """Made from plain's own models."""
        return self.name in FREE


@dataclass(frozen=True)
class Quantity:
    """One number of every arm and seed, (arms, seeds), and each row's pull on it, (arms, seeds, n)."""

    values: np.ndarray
    pulls: np.ndarray
    free: np.ndarray
    units: np.ndarray | None

    def apart(self, first: int, second: int, level: float) -> Apart:
        """Arm `second` minus arm `first`."""
        trained = self.values[~self.free]
        own = self.values[second] - self.values[first]
        if (self.free[second] and first == 0) or (self.free[first] and second == 0) or self.free[[first, second]].all():
            noise = Noise(float(own.var(ddof=1)), len(own) - 1.0)  # the same models: other training does not enter
        else:
            noise = crossed.pooled(trained)
        return crossed.apart(own, self.pulls[second] - self.pulls[first], noise, self.units, level)


def judged(
    labels: np.ndarray, arms: Sequence[Arm], names: Sequence[str], units: np.ndarray | None = None
) -> dict[str, Any]:
    """{"n", "seeds", "level", "arms": [facts of each], "recommended", "verdict", "sentences"}.

    labels: class indices (n,). arms: plain first; two seeds or more in each. units: int (n,), which rows are one draw.
    Intervals hold together: their level is 1 - 0.05 / remedies.
    """
    level = 1 - LEVEL / max(len(arms) - 1, 1)
    free = np.array([arm.free for arm in arms])

    def quantity(of: Callable[[Arm, int], tuple[float, np.ndarray]]) -> Quantity:
        found = [[of(arm, seed) for seed in range(len(arm.answers))] for arm in arms]
        values = np.array([[value for value, _ in row] for row in found])
        return Quantity(values, np.array([[pull for _, pull in row] for row in found]), free, units)

    f1 = quantity(lambda arm, seed: crossed.macro_f1(labels, arm.answers[seed], len(names)))
    weakest = {arm.name: _weakest(labels, arm) for arm in arms}
    worst = quantity(lambda arm, seed: crossed.recall(labels, arm.answers[seed], weakest[arm.name]))
    loss = quantity(lambda arm, seed: _mean(arm.losses[seed]))
    gains = [f1.apart(0, place, level) for place in range(1, len(arms))]
    adjusted = pairing.holm([gain.p for gain in gains])
    rows: list[dict[str, Any]] = []
    for place, arm in enumerate(arms):
        made: dict[str, Any] = {
            "arm": arm.name,
            "free": arm.free,
            "seconds": arm.seconds,
            "f1_macro": _told(f1, place, level),
        }
        made["f1_macro"] |= {"adjusted_p": adjusted[place - 1]} if place else {}
        made["worst"] = {"class": names[weakest[arm.name]], **_told(worst, place, level)}
        made["log_loss"] = _told(loss, place, level, score=False)
        rows.append(made)
    facts = {"n": len(labels), "seeds": len(arms[0].answers), "level": level, "arms": rows}
    facts["smallest_shown"] = _shown(gains)
    return facts | _recommended(f1, rows, facts)


def _recommended(f1: Quantity, rows: list[dict[str, Any]], facts: dict[str, Any]) -> dict[str, Any]:
    good = [
        place
        for place, row in enumerate(rows)
        if place and row["f1_macro"]["adjusted_p"] < LEVEL and row["f1_macro"]["difference"]["value"] > 0
    ]
    if not good:
        return {"recommended": None, "verdict": "none", "type": None, "sentences": _none(rows, facts)}
    means = f1.values.mean(axis=1)
    best = max(good, key=lambda place: means[place])
    alike = [place for place in good if place == best or f1.apart(place, best, 1 - LEVEL).p >= LEVEL]
    chosen = best
    # With few seeds Holm's later steps can pass what its own interval does not: that is not offered instead.
    sure = [place for place in alike if place == best or rows[place]["f1_macro"]["difference"]["low"] > 0]
    for place in sorted(sure, key=lambda place: -means[place]):
        chosen = place if _cheaper(rows[place], rows[chosen]) else chosen
    name = str(rows[chosen]["arm"])
    said = [_praise(rows[chosen], len(rows) - 1)]
    if chosen != best:
        more = pairing.told("f1_macro", rows[best]["f1_macro"]["difference"])
        said.append(f"{rows[best]['arm']} shows {more}; the two are not told apart, and {name} is cheaper.")
    said += _damage(rows[chosen])
    return {"recommended": name, "verdict": "recommended", "type": typed(name), "sentences": said}


def _cheaper(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["free"] or other["free"]:
        return bool(one["free"] and not other["free"])
    return bool(one["seconds"] < CHEAPER * other["seconds"])


def _praise(row: dict[str, Any], tests: int) -> str:
    points, p = pairing.told("f1_macro", row["f1_macro"]["difference"]), row["f1_macro"]["adjusted_p"]
    cost = "it costs no training" if row["free"] else f"{row['seconds']:.0f} s of training for each seed"
    over = f"{tests} remedies" if tests > 1 else "one remedy"
    return (
        f"{row['arm']} beats plain training: {points} (p {'≤ 0.001' if p <= 0.001 else f'= {p:.3f}'}, adjusted for "
        f"{over}); {cost}. Type: {typed(row['arm'])}"
    )


def _damage(row: dict[str, Any]) -> list[str]:
    """What it does to probabilities, where that can be told."""
    apart = row["log_loss"]["difference"]
    if row["free"] or apart["low"] <= 0 <= apart["high"]:
        return []
    way = "costs calibration" if apart["value"] > 0 else "helps calibration"
    return [f"It {way}: {pairing.told('log_loss', apart)}, before any temperature."]


def _none(rows: list[dict[str, Any]], facts: dict[str, Any]) -> list[str]:
    said, shown, room = [NONE], facts["smallest_shown"], 1 - rows[0]["f1_macro"]["mean"]
    of = f"{facts['n']:,} validation rows and {facts['seeds']} seeds"
    if shown is not None and shown < room:
        said.append(
            f"{of} would show a gain of {100 * shown:.1f} points of f1_macro in four of five cases; a smaller one may "
            "be there."
        )
    elif shown is not None:
        said.append(
            f"It cannot be told, rather: {of} would not show even a gain of {100 * room:.1f} points, to a perfect "
            "score. Type more --seeds, or bring more validation rows."
        )
    if len(rows) > 1:
        best = max(rows[1:], key=lambda row: row["f1_macro"]["difference"]["value"])
        apart, p = best["f1_macro"]["difference"], best["f1_macro"]["adjusted_p"]
        said.append(f"The best looking, {best['arm']}: {pairing.told('f1_macro', apart)}, adjusted p = {p:.2g}.")
    return said


def _shown(gains: list[Apart]) -> float | None:
    """The smallest difference that most remedies would have shown, at the level of Holm's first step."""
    known = [crossed.shown(gain.error, gain.freedom, LEVEL / len(gains)) for gain in gains if gain.error > 0]
    return float(np.median(known)) if known else None


def _told(quantity: Quantity, place: int, level: float, score: bool = True) -> dict[str, Any]:
    """score: lies between 0 and 1, so that no two differ by more."""
    values = quantity.values[place]
    facts: dict[str, Any] = {"mean": float(values.mean()), "values": values.tolist(), "difference": None}
    if place:
        found = quantity.apart(0, place, level)
        low, high = (max(found.low, -1.0), min(found.high, 1.0)) if score else (found.low, found.high)
        facts["difference"] = {"value": found.value, "low": low, "high": high, "p": found.p}
    return facts


def _weakest(labels: np.ndarray, arm: Arm) -> int:
    """The class with the lowest recall over the seeds, of those that occur."""
    hits = (arm.answers == labels).mean(axis=0)
    there = np.unique(labels)
    return int(there[np.argmin([hits[labels == k].mean() for k in there])])


def _mean(values: np.ndarray) -> tuple[float, np.ndarray]:
    return float(values.mean()), values - values.mean()
