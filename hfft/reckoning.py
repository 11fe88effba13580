"""What came of a search: its trials, the best, and whether that is more than luck.

In: the trials of a study and the folder of those that were run here. Out: the facts of tuning.json and the best recipe.
It trains nothing and opens no test split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfft import mask_records, recipe, spaces, studies, winners
from hfft.errors import counted
from hfft.mask_records import Answers
from hfft.records import less_is_better, write_whole
from hfft.spaces import Dimension

MEMBER = "trial-"
ENOUGH = 10  # trials from which on it is said which key mattered
STATES = {"COMPLETE": "finished", "PRUNED": "ended early", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}


def facts(
    rungs: Sequence[tuple[Sequence[Any], Path]], space: Sequence[Dimension], wanted: recipe.Recipe, key: str, file: str
) -> dict[str, Any]:
    """Everything about the trials but the sentences.

    rungs: (of `studies.trials`, where their folders are) of each share of the training rows; the last counts. key: the
    metric. file: the answers of each, below its folder.
    """
    sign = -1.0 if less_is_better(key) else 1.0
    every = [[_row(trial, space, root) for trial in found] for found, root in rungs]
    rows = every[-1]
    done = [row for row in rows if row["state"] == "finished"]
    best = max(done, key=lambda row: sign * row["value"], default=None)
    plain = next((row for row in done if row["plain"]), None)
    told = [_told(part, root, wanted, key, file) for part, (_, root) in zip(every, rungs, strict=True)]
    left = [_dropped(one, {row["of"] for row in after}) for one, after in zip(told, every[1:], strict=False)]
    return {
        "metric": key,
        "space": [one.told for one in space],
        "keys": [one.key for one in space],
        "trials": rows,
        "earlier": every[:-1],
        "best": None if best is None else best["number"],
        "plain": None if plain is None else plain["number"],
        "only_answer": _only_answer(best, rungs[-1][1], file),
        "gain": None if plain is None else _gain(told[-1], sign, [part for part in left if part is not None]),
        "expected": [sign * value for value in winners.expected_best(np.array([sign * row["value"] for row in done]))],
    }


def sentences(facts: dict[str, Any], folds: int | None) -> list[str]:
    """What a person should know of it, the most important first."""
    rows = {row["number"]: row for row in facts["trials"]}
    if facts["best"] is None:
        return ["No trial was finished; the reasons are beside them."]
    best, key, gain = rows[facts["best"]], facts["metric"], facts["gain"]
    where = f" on {counted(gain['n'], 'row')}" if gain else ""
    rows_of = f"{where} of {folds} folds" if folds and gain else where.replace(" row", " validation row")
    plain = rows.get(facts["plain"])
    said = [f"Best: {MEMBER}{best['number']}, {key} {best['value']:.4f}{rows_of}: {' '.join(best['words'])}."]
    if best["plain"]:
        said = [f"No trial is better than the recipe as it is: {key} {best['value']:.4f}{rows_of}."]
    elif gain and plain:
        said += _judged(gain, key, plain["value"])
    elif plain is None:
        said.append("The recipe as it is has not been trained to its end, so that no gain can be told.")
    if gain is None and plain is not None and not best["plain"]:
        said.append("Answers to the same rows of both are not in this folder: what luck is worth cannot be told here.")
    if gain and gain["trials"] < (done := sum(row["value"] is not None for row in facts["trials"])):
        said.append(
            f"Of {done} finished trials, {gain['trials']} have their answers in this folder; luck is told of these."
        )
    if facts["only_answer"] is not None:
        said.append(
            f"Even the best answers {facts['only_answer']!r} whatever the row: it has learnt nothing. Other values of "
            "these keys may not help; train more of the model, or longer, or see hfft lr."
        )
    said.append(
        "These rows chose, so that the score flatters; the test split was not opened. Other training seeds are not "
        "allowed for: the gain is that of these trained models."
    )
    return said


def verdict(gain: dict[str, Any] | None) -> str:
    """better, cannot tell, or nothing found."""
    if gain is None or gain["gain"] <= 0:
        return "nothing found"
    return "better" if gain["low"] > 0 and gain["p"] < 0.05 else "cannot tell"


def write_best(facts: dict[str, Any], name: str, words: Sequence[str], target: Path) -> None:
    """The recipe of the best trial, with a line on what it is."""
    best = next(row for row in facts["trials"] if row["number"] == facts["best"])
    made = recipe.load(name, (*words, *best["words"]))
    first = f"# Best of {len(facts['trials'])} trials by {facts['metric']} {best['value']:.4f}, which flatters."
    told = f"# {facts['sentences'][0]}".replace("\n", " ")
    write_whole(target, lambda path: path.write_text(f"{first}\n{told}\n{recipe.dump(made)}", encoding="utf-8"))


def _row(trial: Any, space: Sequence[Dimension], root: Path) -> dict[str, Any]:
    values, attributes = studies.params(trial, space), trial.user_attrs
    return {
        "number": trial.number,
        "state": STATES[trial.state.name],
        "plain": studies.PLAIN in attributes,
        "value": trial.value if trial.state.name == "COMPLETE" else None,
        "words": list(spaces.words(space, values)),
        "params": values,
        "seconds": None if trial.duration is None else round(trial.duration.total_seconds(), 1),
        "curve": {str(share): value for share, value in sorted(trial.intermediate_values.items())},
        "of": attributes.get("of"),
        "host": attributes.get("host"),
        "here": (root / f"{MEMBER}{trial.number}").is_dir(),
        "why": attributes.get("why"),
    }


def _told(
    rows: list[dict[str, Any]], root: Path, wanted: recipe.Recipe, key: str, file: str
) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray | None] | None:
    """(finished trials whose answers are here and are to the same rows, their rows' pulls, groups), the recipe as it is
    first; None without its answers, or without pulls of the metric.
    """
    parts: dict[int, Answers] = {}
    done = sorted((row for row in rows if row["state"] == "finished"), key=lambda row: not row["plain"])
    for row in done:
        path = root / f"{MEMBER}{row['number']}" / file
        if path.is_file():
            part = mask_records.read(path)
            parts[row["number"]] = part.where(np.argsort(part.ids, kind="stable"))
    here = [row for row in done if row["number"] in parts]
    if not here or not here[0]["plain"]:
        return None
    base = parts[here[0]["number"]]
    kept = [row for row in here if list(parts[row["number"]].ids) == list(base.ids)]
    pulls = [winners.pulls(parts[row["number"]], key, wanted.metrics) for row in kept]
    known = [pull for pull in pulls if pull is not None]
    return None if len(known) < len(pulls) else (kept, np.stack(known, axis=1), winners.numbered(base))


def _only_answer(best: dict[str, Any] | None, root: Path, file: str) -> str | None:
    """What the best trial answers to every row, where it is one answer and its answers are here."""
    path = root / f"{MEMBER}{best['number']}" / file if best else root
    return mask_records.read(path).only_answer if path.is_file() else None


def _dropped(told: Any, promoted: set[int | None]) -> np.ndarray | None:
    """Pulls of the trials that went no further, less those of the recipe as it is with as many rows."""
    if told is None:
        return None
    rows, pulls, _ = told
    places = [place for place, row in enumerate(rows) if not row["plain"] and row["number"] not in promoted]
    found: np.ndarray = pulls[:, places] - pulls[:, :1]
    return found


def _gain(told: Any, sign: float, earlier: list[np.ndarray]) -> dict[str, Any] | None:
    """The best against the recipe as it is; None where its answers are not here."""
    if told is None:
        return None
    kept, pulls, groups = told
    values = np.array([sign * row["value"] for row in kept])
    alike = [part for part in earlier if len(part) == len(pulls)]
    made = winners.judged(values, pulls, 0, groups, np.concatenate(alike, axis=1) if alike else None)
    return None if made is None else dataclasses.asdict(made)


def _judged(gain: dict[str, Any], key: str, before: float) -> list[str]:
    unit, digits, points = (1, 4, "") if less_is_better(key) else (100, 1, " points")

    def told(value: float) -> str:
        return f"{unit * value:+.{digits}f}"

    seen = (
        f"That is {told(gain['gain'])}{points} [{told(gain['low'])}, {told(gain['high'])}] better than the recipe as "
        f"it is ({before:.4f}); the interval allows for choosing among {gain['trials']}. If all were equally good, "
        f"the best of {gain['trials']} would be ahead by {told(gain['luck'])} by luck alone (p = {gain['p']:.2g})."
    )
    left = f"What is left after taking luck off: about {told(gain['left'])}{points}."
    if verdict(gain) == "better":
        return [seen, f"{left} It is better than the recipe as it is."]
    return [seen, f"{left} Too small to tell from luck: the recipe as it is may be as good, and is simpler."]
