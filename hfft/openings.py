"""How often these test rows have been looked at, by this run and by the runs beside it, and what that is worth.

In: a run folder and its leading score. Out: plain facts and sentences for the terminal, the page and the card. Opens no
split and reads nothing but ledgers. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hfft import ledger, luck
from hfft.ledger import Ledger
from hfft.records import FOLDS, SEEDS, Score, less_is_better
from hfft.run_folder import RunFolder


def told(run: RunFolder, metric: str | None, score: Score | None) -> dict[str, Any]:
    """Facts about the openings of a run's test split.

    metric, score: what leads. Out: count, unlabelled (openings beside them at which no label was read), weights, state,
    why, entries (with the leading metric's value), shared (looks, models, runs, folder), luck (None for a single model)
    and sentences.
    """
    found = ledger.read(run)
    last = found.looks[-1].get("fingerprint") if found.looks else None
    shared = _shared(run, found, last)
    chance = luck.of(score, shared["models"]) if score else None
    return {
        "count": found.count,
        "unlabelled": found.unlabelled,
        "weights": found.weights,
        "state": found.state,
        "why": found.why,
        "entries": [_shown(look, metric) for look in found.looks],
        "shared": shared,
        "luck": dataclasses.asdict(chance) if chance else None,
        "warning": _warning(found),
        "sentences": _sentences(found, shared, chance, metric),
    }


def _shown(look: dict[str, Any], metric: str | None) -> dict[str, Any]:
    """A look for the page, with a blank for what a line of another hfft does not say."""
    scores = look["scores"] if isinstance(look["scores"], dict) else None
    value = (scores or {}).get(metric)
    kept: dict[str, Any] = {key: str(look.get(key, "")) for key in ("time", "fingerprint", "weights")}
    kept |= {"n": look.get("n") if isinstance(look.get("n"), int) else 0, "scores": scores}
    kept |= {"purpose": str(look.get("for", "")), "labels": ledger.reads_labels(look)}
    return kept | {"value": value if isinstance(value, float | int) else None}


def times(count: int) -> str:
    """
    >>> times(1), times(1200)
    ('once', '1,200 times')
    """
    return "once" if count == 1 else f"{count:,} times"


def beside(unlabelled: int) -> str:
    """What the openings were at which no label was read, as a sentence without its full stop.

    >>> beside(1)
    'It was opened once more for an export of the same weights, which read no label and so could tune nothing'
    """
    more = "once more for an export" if unlabelled == 1 else f"{unlabelled:,} times more for exports"
    return f"It was opened {more} of the same weights, which read no label and so could tune nothing"


def _shared(run: RunFolder, own: Ledger, rows: object) -> dict[str, Any]:
    """Looks at the same rows that are written down in the folder where this run lies: {looks, models, runs, folder}."""
    root = run.root.resolve().parent
    if (root / SEEDS).is_file() or (root / FOLDS).is_file():
        root = root.parent
    looks, weights, runs = own.count, {look.get("weights") for look in own.looks}, int(bool(own.count))
    for other in _beside(root, run.root.resolve()) if rows else ():
        found = [look for look in ledger.read(RunFolder(other)).looks if look.get("fingerprint") == rows]
        same = [look for look in found if ledger.reads_labels(look)]
        looks, runs = looks + len(same), runs + bool(same)
        weights |= {look.get("weights") for look in same}
    return {"looks": looks, "models": len(weights), "runs": runs, "folder": root.name}


def _beside(root: Path, own: Path) -> list[Path]:
    """Other run folders with a ledger, in `root` or one folder below."""
    try:
        found = [path.parent for pattern in ("*/ledger.jsonl", "*/*/ledger.jsonl") for path in root.glob(pattern)]
    except OSError:  # a folder beside that may not be read
        return []
    return sorted(path for path in found if path != own)


def _warning(found: Ledger) -> str:
    """What must be said loudly of a ledger that cannot vouch for its lines; "" otherwise."""
    if found.state == ledger.BROKEN:
        return f"THE LEDGER IS BROKEN: {found.why}. It cannot be told how often the test split was opened."
    return f"The ledger is not chained: {found.why}." if found.state == ledger.PLAIN else ""


def _sentences(found: Ledger, shared: dict[str, Any], chance: luck.Luck | None, metric: str | None) -> list[str]:
    if not found.count:
        return []
    least = "at least " * (found.state == ledger.BROKEN)
    said = [f"The test split of this run has been opened {least}{times(found.count)}{_weights(found)}."]
    if found.unlabelled:
        said.append(f"{beside(found.unlabelled)}.")
    if shared["runs"] > 1:
        models = f"{shared['models']:,} models" if shared["models"] > 1 else "one model"
        said.append(f"These test rows have been opened {times(shared['looks'])} for {models} in {shared['folder']}/.")
    if chance:
        alone, alike = (_amount(part, metric) for part in (chance.independent, chance.alike))
        unit = f"of {metric}" if less_is_better(metric or "") else "points"
        said.append(
            f"The best of {chance.models:,} equally good models would look about {alone} {unit} too good by luck alone "
            f"({alike} where half of their errors are shared)."
        )
        said.append(
            f"If this one was chosen among them for its test score, the interval that allows for that is "
            f"[{chance.low:.3f}, {chance.high:.3f}] of {metric} (Bonferroni, {chance.models:,} looks)."
        )
    return said


def _amount(part: float, metric: str | None) -> str:
    """In points of a hundred, or as it is for a loss."""
    return f"{part:.4f}" if less_is_better(metric or "") else f"{100 * part:.1f}"


def _weights(found: Ledger) -> str:
    if found.weights > 1:
        return f", with {found.weights:,} different sets of weights"
    return ", always with the same weights" if found.count > 1 else ""
