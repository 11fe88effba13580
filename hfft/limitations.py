"""What a model should not be trusted with, written from what was found of it.

In: the facts of a run, as `summarising` gives them. Out: sentences for the card, the gravest first. Nothing is computed
but a rounding; a sentence is only there where a number stands behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hfft.records import less_is_better

WORST = 2  # probes that are told


def limits(facts: Mapping[str, Any]) -> list[str]:
    """Sentences; none for a run about which nothing is known."""
    return [*_own_code(facts), *_baseline(facts), *_weakest(facts), *_slices(facts), *_probes(facts), *_looks(facts)]


def purpose(facts: Mapping[str, Any]) -> list[str]:
    """What the model was not made for, by its task and classes alone."""
    inputs = "texts" if facts["task"].startswith("text") else "pictures"
    names = len(facts["classes"]["rows"])
    out = [f"{inputs.capitalize()} of another kind, source or time than those it was tested on."]
    if facts["task"].startswith("text"):
        out = ["Texts of another kind, language, source or time than those it was tested on."]
    if names and not facts["multi_label"]:
        one = "pixel" if facts["masks"] else inputs[:-1]
        out.append(f"Finding out that none of its {names:,} classes fits: it gives every {one} one of them.")
    return [*out, "Decisions about people that nobody checks."]


def _own_code(facts: Mapping[str, Any]) -> list[str]:
    if not facts["recipe"]["model"].get("trust_remote_code"):
        return []
    return ["It runs Python code of its own, which may do whatever its user may: read that code before you load it."]


def _baseline(facts: Mapping[str, Any]) -> list[str]:
    gain = (facts["headline"] or {}).get("gain")
    if not gain or gain.startswith("Fine-tuning bought"):
        return []
    return [gain.removesuffix(" Train longer, or keep the baseline.")]  # said to whoever trains


def _weakest(facts: Mapping[str, Any]) -> list[str]:
    """The class with the lowest score, where classes have different ones."""
    ranked, rows = facts["classes"]["ranked_by"], facts["classes"]["rows"]
    known = [row for row in rows if row["cells"][ranked]["value"] is not None] if ranked else []
    if len(known) < 2 or less_is_better(str(ranked)):
        return []
    weakest = min(known, key=lambda row: row["cells"][ranked]["value"])
    score = weakest["cells"][ranked]
    title = next(column["title"] for column in facts["classes"]["columns"] if column["metric"] == ranked)
    ends = "" if score["low"] is None else f" [{score['low']:.3f}, {score['high']:.3f}]"
    return [f"It is weakest on the class {weakest['name']}: {title} {score['value']:.3f}{ends}, n = {score['n']:,}."]


def _slices(facts: Mapping[str, Any]) -> list[str]:
    found = facts["slices"] or {"rows": []}
    sure = sum(row["state"] == "confirmed" for row in found["rows"])
    return found.get("sentences", [])[:sure]


def _probes(facts: Mapping[str, Any]) -> list[str]:
    """The probes that moved answers for sure, worst first."""
    found = [probe for probe in (facts["probes"] or {"probes": []})["probes"] if probe["rate"]["value"] is not None]
    moved = [probe for probe in found if probe["rate"]["low"] > 0 and not probe.get("unseen")]
    return [probe["sentence"] for probe in sorted(moved, key=lambda probe: -probe["rate"]["value"])[:WORST]]


def _looks(facts: Mapping[str, Any]) -> list[str]:
    if facts["openings"]["warning"]:
        return [facts["openings"]["warning"]]
    if facts["openings"]["weights"] > 1:
        return [f"The test split was opened with {facts['openings']['weights']:,} sets of weights: scores lean high."]
    return []
