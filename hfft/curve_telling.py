"""What a learning curve says, in sentences: what twice the rows would bring, and how far that is to be believed.

In: the facts of learning_curve.json. Out: sentences. Computes nothing.
"""

from __future__ import annotations

from typing import Any

from hfft.power_law import LEAST

ABOUT = (
    "Scored on validation rows, which also chose each checkpoint: that flatters all shares alike. "
    "The test split is not opened."
)
STRANGE = 2.0  # times by which scatter widens the intervals, from which it is told


def sentences(facts: dict[str, Any]) -> list[str]:
    """The answer first, then what it rests on."""
    said = [_doubled(facts), *_foretold(facts), _steps(facts), *_noise(facts), *_scatter(facts)]
    return [*said, *(facts["relabelling"] or {"sentences": []})["sentences"]]


def amount(apart: dict[str, float]) -> str:
    """
    >>> amount({"value": 0.0141, "low": 0.006, "high": 0.0209})
    '+1.4 points [+0.6, +2.1]'
    """
    return f"{100 * apart['value']:+.1f} points [{100 * apart['low']:+.1f}, {100 * apart['high']:+.1f}]"


def _doubled(facts: dict[str, Any]) -> str:
    metric, rows = facts["metric"], facts["points"][-1]["rows"]
    twice, found = facts["curves"][metric]["doubled"], facts["verdict"]
    what = f"twice the training rows ({rows:,} → {2 * rows:,})"
    if found == "worth":
        return (
            f"{what[0].upper()}{what[1:]} would be worth {amount(twice)} of {metric}, if the curve goes on as it went: "
            "an extrapolation, of rows like these."
        )
    if found == "falling":
        first, last = (facts["points"][place]["scores"][metric]["value"] for place in (0, -1))
        return (
            f"{metric} did not rise with the rows ({first:.4f} with the fewest, {last:.4f} with the most), and other "
            "validation rows do not explain that: what more rows would bring cannot be told. Other training may: type "
            "--seeds 3, or train longer."
        )
    if found == "flat":
        return (
            f"More data of this kind will not help: {what} would be worth at most {100 * twice['high']:.1f} points of "
            f"{metric}, if the curve goes on as it went."
        )
    return (
        f"Too little to tell: {what} would be worth between {100 * twice['low']:.1f} and {100 * twice['high']:.1f} "
        f"points of {metric}. More validation rows (now {facts['n']:,}), --seeds or --shares narrow that."
    )


def _foretold(facts: dict[str, Any]) -> list[str]:
    found = facts["foretold"]
    if not found:
        return []
    right = found["low"] <= found["measured"] <= found["high"]
    return [
        f"A trial of that: fitted without the most rows, the law foretells {found['value']:.4f} [{found['low']:.4f}, "
        f"{found['high']:.4f}] for them; measured was {found['measured']:.4f}"
        + ("." if right else ", outside: do not rely on the extrapolation.")
    ]


def _steps(facts: dict[str, Any]) -> str:
    smallest = f"{100 * facts['points'][0]['share'] / facts['points'][-1]['share']:.3g} %"
    if facts["max_steps"] and facts["max_steps"] > 0:
        return f"Every share trained {facts['max_steps']:,} steps: this is what rows bring with equal work."
    if facts["same_steps"]:
        return (
            f"Every share trained as many steps as the most rows, {smallest} of them for more epochs: this is what "
            "rows bring with equal work."
        )
    return (
        f"Every share trained as many epochs as the recipe says: {smallest} of the rows got {smallest} of the steps, "
        "and what rows bring includes the longer training that comes with them. --same-steps holds that equal."
    )


def _noise(facts: dict[str, Any]) -> list[str]:
    noise, seeds = facts["curves"][facts["metric"]]["noise"], facts["points"][-1]["seeds"]
    if noise is None:
        return [
            "One seed: the intervals allow for other validation rows, and for other training only as far as the points "
            "scatter about the curve; --seeds 3 measures it."
        ]
    return [
        f"{seeds} seeds differ by {100 * noise:.1f} points (SD); the intervals allow for them and for other validation "
        "rows."
    ]


def _scatter(facts: dict[str, Any]) -> list[str]:
    law = facts["curves"][facts["metric"]]
    if not law["freedom"]:
        return [f"{LEAST} shares fit three parameters as they are: nothing here checks that the curve is a power law."]
    if law["widened"] < STRANGE:
        return []
    return [
        f"The points scatter {law['widened']:.1f} times as far about a power law as they should: other training, or a "
        "curve of another kind. The intervals are widened as much; do not rely on the extrapolation."
    ]
