"""Which of several models to start from: scores with intervals, pairs that can or cannot be told apart, a choice.

In: answers to the same rows by what was fitted on each model's features, and what each costs. Out: plain facts and
sentences. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hfft import comparing, pairing, scoring
from hfft.comparing import SIGNIFICANT
from hfft.errors import listed
from hfft.records import Predictions, Score, leading, less_is_better

MUCH = 0.03  # of a score, by which the quicker model may be behind without a word on it
MAJORITY, WORDS = "majority class", "TF-IDF + linear"


@dataclass(frozen=True)
class Entry:
    """name: how it is called. linear, nearest: answers to the same rows. facts: what it costs; None of a baseline."""

    name: str
    linear: Predictions
    nearest: Predictions | None = None
    facts: dict[str, Any] | None = None


def metric(metrics: Sequence[str], names: Sequence[str], several: bool) -> tuple[str, str]:
    """(the metric that leads, the name of its file in hfft/metrics/)."""
    lead = leading(key for key in scoring.keys(metrics, names, several) if "[" not in key)
    if lead is None:  # metrics of single classes alone
        lead = scoring.keys(metrics, names, several)[0]
    return lead, next(name for name in metrics if lead in scoring.keys([name], names, several))


def scored(predictions: Predictions, metrics: Sequence[str]) -> tuple[str, Score]:
    """(the metric that leads, its score with an interval)."""
    lead, name = metric(metrics, predictions.names, predictions.multi_label)
    return lead, scoring.score(predictions, [name])[lead]


def judged(entries: Sequence[Entry], metrics: Sequence[str]) -> dict[str, Any]:
    """Rows of a table, best first; pairs; which to start from.

    entries: two models or more, and baselines. Returns {"metric", "n", "models", "baselines", "pairs", "best", "tied",
    "recommended", "ahead"}: tied are models that cannot be told from the best, itself among them; recommended is the
    quickest of those; ahead: its difference from the best at worst, None where it is the best.
    """
    first = entries[0].linear
    lead, name = metric(metrics, first.names, first.multi_label)
    sign = -1 if less_is_better(lead) else 1
    rows = [_row(entry, lead, name) for entry in entries]
    order = sorted(range(len(rows)), key=lambda i: (-sign * _value(rows[i]["linear"], sign), i))
    entries, rows = [entries[i] for i in order], [rows[i] for i in order]
    models = [row for row in rows if not row["baseline"]]
    pairs = _pairs(entries, name, lead)
    best = models[0]["name"]
    tied = [best, *(pair["other"] for pair in pairs if pair["best"] and not pair["told"] and not pair["baseline"])]
    costs = {row["name"]: row["ms_per_row"] for row in models}
    chosen = min(tied, key=lambda name: (costs[name], tied.index(name)))
    for row in models:
        row["frontier"] = not any(_beats(other, row, sign) for other in models)
    return {
        "metric": lead,
        "n": first.n,
        "models": models,
        "baselines": [row for row in rows if row["baseline"]],
        "pairs": pairs,
        "best": best,
        "tied": tied,
        "recommended": chosen,
    }


def against(
    best: tuple[str, Predictions], others: Sequence[tuple[str, Predictions]], name: str
) -> list[dict[str, Any]]:
    """The best against each of `others` on the same rows, p adjusted by Holm's method. name: of the metric's file."""
    made = [_pair(other, best, name) for other in others]
    for pair, p in zip(made, pairing.holm([pair["p"] for pair in made]), strict=True):
        pair |= {"p": p, "told": p < SIGNIFICANT}
    return made


def _row(entry: Entry, lead: str, name: str) -> dict[str, Any]:
    def scored(predictions: Predictions | None) -> dict[str, Any] | None:
        return None if predictions is None else dataclasses.asdict(scoring.score(predictions, [name])[lead])

    made = {"name": entry.name, "linear": scored(entry.linear), "nearest": scored(entry.nearest)}
    return made | {"baseline": entry.facts is None} | (entry.facts or {})


def _value(score: dict[str, Any], sign: int) -> float:
    return -sign * float("inf") if score["value"] is None else float(score["value"])


def _pairs(entries: Sequence[Entry], name: str, lead: str) -> list[dict[str, Any]]:
    """All pairs of models, and the best model against each baseline; p adjusted for all of them together."""
    models = [entry for entry in entries if entry.facts is not None]
    wanted = list(combinations(models, 2)) + [(models[0], entry) for entry in entries if entry.facts is None]
    made = []
    for ahead, other in wanted:
        pair = _pair((other.name, other.linear), (ahead.name, ahead.linear), name)
        made.append(pair | {"best": ahead is models[0], "baseline": other.facts is None})
    for pair, p in zip(made, pairing.holm([pair["p"] for pair in made]), strict=True):
        pair |= {"p": p, "told": p < SIGNIFICANT}
    return made


def _pair(other: tuple[str, Predictions], ahead: tuple[str, Predictions], name: str) -> dict[str, Any]:
    """ahead minus other on the same rows, p not yet adjusted."""
    (found,) = comparing.compare([other, ahead], [name])
    apart = comparing.cautious(other[1], ahead[1], found.headline, found.differences[found.headline])
    told = {"first": ahead[0], "other": other[0], "metric": found.headline, "p": found.p}
    return told | {"difference": dataclasses.asdict(apart), "won": len(found.won), "lost": len(found.lost)}


def _beats(one: dict[str, Any], other: dict[str, Any], sign: int) -> bool:
    """Whether `one` is nowhere behind `other` in score and time, and somewhere ahead."""
    gained = sign * (_value(one["linear"], sign) - _value(other["linear"], sign))
    saved = other["ms_per_row"] - one["ms_per_row"]
    return gained >= 0 and saved >= 0 and (gained > 0 or saved > 0)


def sentences(facts: dict[str, Any], folds: int) -> list[str]:
    """What may be said of it."""
    rows = {row["name"]: row for row in (*facts["models"], *facts["baselines"])}
    best, lead, chosen = facts["best"], facts["metric"], facts["recommended"]
    score = rows[best]["linear"]
    said = [
        f"{best} leads: {lead} {score['value']:.4f} [{score['low']:.4f}, {score['high']:.4f}] by a linear probe on its "
        f"features as they are, {folds} folds over {facts['n']:,} training and validation rows."
    ]
    of_best = {pair["other"]: pair for pair in facts["pairs"] if pair["best"]}
    for name in facts["tied"][1:]:
        said.append(f"{best} and {name} cannot be told apart: {difference_told(of_best[name])}.")
    if behind := [name for name in of_best if name not in facts["tied"] and not of_best[name]["baseline"]]:
        said.append(
            f"{best} is better than {listed(behind)}: {'; '.join(difference_told(of_best[name]) for name in behind)}."
        )
    said += [_beside(best, pair) for pair in of_best.values() if pair["baseline"] and _worth_saying(pair)]
    return [_choice(facts, rows, of_best, chosen), *said, *_others(facts)]


def difference_told(pair: dict[str, Any]) -> str:
    return f"{pairing.told(pair['metric'], pair['difference'])}, p = {pair['p']:.2g}"


def _worth_saying(pair: dict[str, Any]) -> bool:
    return pair["other"] != MAJORITY or not pair["told"]


def _beside(best: str, pair: dict[str, Any]) -> str:
    ahead = (pair["difference"]["value"] > 0) != less_is_better(pair["metric"])
    verdict = ("is better than" if ahead else "is WORSE than") if pair["told"] else "cannot be told from"
    aside = (
        ""
        if pair["told"] and ahead
        else ". What a pretrained model is worth here, only fine-tuning or more rows can show"
    )
    return f"{best} {verdict} the baseline {pair['other']}: {difference_told(pair)}{aside}."


def _choice(facts: dict[str, Any], rows: dict[str, Any], of_best: dict[str, Any], chosen: str) -> str:
    """Which to start from, and what that could cost."""
    best, cost = facts["best"], f"{rows[chosen]['ms_per_row']:.2f} ms a row"
    if len(facts["tied"]) == 1:
        return f"Start from {best}: its probe is better than every other here, at {cost}."
    if chosen == best:
        return f"Start from {best}: of those that cannot be told from the best it is the quickest, {cost}."
    apart = of_best[chosen]["difference"]
    loss = less_is_better(facts["metric"])
    worst = f"{-apart['low']:.4f}" if loss else f"{100 * apart['high']:.1f} points"
    much = " That is much: more rows would tell, or --finalists." if not loss and apart["high"] > MUCH else ""
    return (
        f"Start from {chosen}: it cannot be told from {best}, and takes {cost} instead of "
        f"{rows[best]['ms_per_row']:.2f}. At worst it is {worst} of {facts['metric']} behind.{much}"
    )


def _others(facts: dict[str, Any]) -> list[str]:
    """Where neighbours or evidence put another model first."""
    models, sign = facts["models"], -1 if less_is_better(facts["metric"]) else 1
    near = max(models, key=lambda row: sign * _value(row["nearest"], sign))["name"]
    evidence = max(models, key=lambda row: row["logme"])["name"]
    others = {"nearest neighbours": near, "LogME": evidence}
    if differ := {way: name for way, name in others.items() if name != facts["best"]}:
        told = " and ".join(f"{way} puts {name} first" for way, name in differ.items()).replace(
            "neighbours puts", "neighbours put"
        )
        return [f"{told[0].upper()}{told[1:]}: the order is not sure, and --finalists tells by training."]
    return []
