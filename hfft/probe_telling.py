"""What probes found, in sentences for the terminal, the page and the card.

In: facts of probes.json, and how they came about. Out: sentences. Nothing is computed here but a rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hfft.answers import MINIMUM, TEMPLATES
from hfft.errors import counted, listed
from hfft.perturbing import DIRECTION
from hfft.records import less_is_better

# What a failure is, by the kind of the probe.
FAILS = {DIRECTION: "confidence does not fall", MINIMUM: "wrong class"}
FLIPS = "another answer"


def told(found: Mapping[str, Any], metric: str | None) -> str:
    """How one probe went. metric: the one that leads."""
    rate, name = found["rate"], found["title"]
    if rate["value"] is None:
        return f"{name}: does not apply to any of the {counted(found['of'], 'row')} tried."
    share = f"{100 * rate['value']:.1f} % [{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"
    if found["name"] == TEMPLATES:
        return f"{name}: {share} of {counted(rate['n'], 'sentence')} got another class than they have."
    rows = counted(found["n"], "changed row")
    if found.get("pixels"):
        return _of_pixels(found, share, metric)
    if found["kind"] == DIRECTION:
        return f"{name}: for {share} of {rows} confidence did not fall, as it should."
    if found["unseen"]:
        return f"{name}: no probability moved on {rows}: the model does not see the change."
    return f"{name}: the answer flips for {share} of {rows}{_times(found)}{_price(found, metric)}."


def _of_pixels(found: Mapping[str, Any], share: str, metric: str | None) -> str:
    images = counted(found["n"], "changed image")
    if found["unseen"]:
        return f"{found['title']}: no pixel's answer moved on {images}."
    where = f"the pixels of {images}{_times(found)}"
    return f"{found['title']}: {share} of {where} are answered otherwise{_price(found, metric)}."


def _times(found: Mapping[str, Any]) -> str:
    return f" at {counted(len(found['severities']), 'strength')}" if len(found["severities"]) > 1 else ""


def _price(found: Mapping[str, Any], metric: str | None) -> str:
    return f"; {_cost(metric, found['drop'])}" if found["drop"] and metric else ""


def _cost(metric: str, drop: Mapping[str, Any]) -> str:
    """With the sign of the tables: a plus is a loss.

    >>> _cost("f1_macro", {"value": 0.031, "low": -0.01, "high": 0.052})
    '+3.1 points of f1_macro lost [-1.0, +5.2]'
    """
    if less_is_better(metric):
        return f"{metric} rises by {drop['value']:+.4f} [{drop['low']:+.4f}, {drop['high']:+.4f}]"
    return f"{100 * drop['value']:+.1f} points of {metric} lost [{100 * drop['low']:+.1f}, {100 * drop['high']:+.1f}]"


def left_out(how: Mapping[str, Any], probes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was not tried for lack of time: probes, and strengths of probes."""
    some = [f"{probe['name']} at {_strengths(probe['left_out'])}" for probe in probes if probe["left_out"]]
    return [*how["left_out"], *some]


def sentences(
    probes: Sequence[Mapping[str, Any]], how: Mapping[str, Any], missing: Sequence[str], only: str | None
) -> list[str]:
    """What to know about all of them: a model that cannot flip, the sample, and what was not tried.

    missing: as `left_out` gives it. only: the class that the model answers for each of the rows, if it is but one.
    """
    out = []
    if only is not None:
        out.append(
            f"The model answers {only!r} for every one of these rows: that its answer does not move says nothing."
        )
    sizes: dict[int, list[str]] = {}
    for name, about in how["probes"].items():
        if name != TEMPLATES:
            sizes.setdefault(about["of"], []).append(name)
    chosen = "chosen by what they hold: the same for every model. More take more time"
    if len(sizes) == 1 and min(sizes) < how["n"]:
        out.append(f"{min(sizes):,} of {counted(how['n'], 'row')} were changed, {chosen} ({_limit(how)}).")
    elif len(sizes) > 1:
        named = "; ".join(f"{size:,} for {listed(names)}" for size, names in sorted(sizes.items()))
        out.append(f"Of {counted(how['n'], 'row')} these were changed, {chosen} ({_limit(how)}): {named}.")
    if missing:
        out.append(f"Not tried for lack of time ({_limit(how)}): {'; '.join(missing)}.")
    if any(probe["left_out"] for probe in probes):
        out.append("A rate is of the strengths that were tried: do not hold it against one of others.")
    if how.get("arithmetic"):
        out.append(f"Asked in {how['arithmetic']} (speed.int8), rows as they are and changed; the test score is not.")
    return out


def spent(needs: float, seconds: float, rows: int | None, overrun: float) -> str:
    """What it will take, in words; what gates ask about may take more than the budget. overrun: times the budget."""
    if rows is not None:
        return f"about {needs:.0f} s"
    if needs > overrun * seconds:
        return f"about {needs:.0f} s: gates ask for every strength, whatever the budget ({seconds:.0f} s)"
    return f"about {seconds:.0f} s at most"


def announced(
    rows: int,
    severities: Mapping[str, Sequence[int]],
    left_out: Sequence[str],
    templates: Sequence[Any],
    n: int,
    spent: str,
    unit: str,
) -> str:
    """What is about to be tried: `rows` of n. severities: of each probe. spent: see above."""
    parts = []
    if severities:
        changes = counted(sum(map(len, severities.values())), "change")
        probes = counted(len(severities), "probe")
        parts.append(f"{probes}, {changes} each of {rows:,} of {n:,} {unit}s, in {spent}")
    if left_out:
        parts.append(f"{counted(len(left_out), 'probe')} left out for lack of time")
    if templates:
        parts.append(counted(len(templates), "template"))
    return f"probes: {'; '.join(parts)}"


def _limit(how: Mapping[str, Any]) -> str:
    cap = ", capped at 30 % of the time training took" if how.get("capped") else ""
    return f"probes.budget, here {how['budget']:.{0 if how['budget'] >= 1 else 2}f} s{cap}"


def _strengths(levels: Sequence[int]) -> str:
    """
    >>> _strengths([2]), _strengths([1, 2, 4])
    ('strength 2', 'strengths 1, 2 and 4')
    """
    *first, last = map(str, levels)
    return f"strengths {', '.join(first)} and {last}" if first else f"strength {last}"
