"""What the comparison page shows of two runs side by side: scores, classes, probes, confidence, and rows won and lost.

In: two run folders and the facts of their comparison. Out: plain facts with pictures as data URIs. The differences,
their intervals and the verdict come from the comparison; nothing is computed here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hfft import behaviour_figures, calibration_telling, figures, gallery
from hfft.answers import TEMPLATES
from hfft.records import Score, leading, less_is_better, read_json
from hfft.run_folder import RunFolder

EXAMPLES = 12  # rows shown of those won, and of those lost
BY_CLASS = ("recall", "iou", "dice", "class_accuracy", "boundary_f1")  # what classes are compared by: the first known
NOTHING = Score(None, None, None, 0, "undefined: not scored")


def beside(first: RunFolder, second: RunFolder, found: dict[str, Any]) -> dict[str, Any]:
    """The comparison `found` (see `weighing.compare`) with what the page needs besides."""
    runs = (first, second)
    scores = [run.read_scores().get("test", {}) for run in runs]
    measure = next((name for name in BY_CLASS if any(key.startswith(f"{name}[") for key in scores[0])), BY_CLASS[0])
    classes = _classes(found["classes"], scores, measure)
    split, probes = _paired(found["probes"]) or _told(_tree(first.probes), _tree(second.probes))
    rates = [row[side] for row in probes for side in ("first", "second")]
    recalls = [row[side] for row in classes for side in ("first", "second")]
    return found | {
        "metrics": _metrics(found["differences"], scores),
        "classes": classes,
        "class_measure": measure,
        "class_axis": figures.axis(recalls),
        "probes": probes,
        "probe_axis": figures.axis(rates),
        "probe_split": split,
        "apart_axis": behaviour_figures.axis([row["apart"] for row in probes]),
        "confidence": _confidence(runs),
        "rows": {"won": _rows(first, found["won"]), "lost": _rows(second, found["lost"])},
    }


def _metrics(differences: dict[str, Any], scores: list[dict[str, Score]]) -> list[dict[str, Any]]:
    """Scores, losses, and last the averages that say little new; each group with an axis through zero of its own."""
    kinds: dict[tuple[bool, bool], list[dict[str, Any]]] = {}
    lead = leading(differences)
    for key in sorted(differences, key=lambda key: key != lead):
        kind = (less_is_better(key), not key.endswith(("_micro", "_weighted")))
        kinds.setdefault(kind, []).append({"metric": key, "apart": differences[key], **_sides(key, scores)})
    groups = [
        {"losses": losses, "main": main, "rows": rows, "axis": behaviour_figures.axis([row["apart"] for row in rows])}
        for (losses, main), rows in kinds.items()
    ]
    return sorted(groups, key=lambda group: (not group["main"], group["losses"]))


def _classes(classes: list[dict[str, Any]], scores: list[dict[str, Score]], measure: str) -> list[dict[str, Any]]:
    """Per class: rows won and lost, and the recall or IoU of both; first those that chance explains least."""
    rows = [row | _sides(f"{measure}[{row['name']}]", scores) for row in classes]
    return sorted(rows, key=lambda row: (1.0 if row["p"] is None else row["p"], -abs(row["won"] - row["lost"])))


def _sides(key: str, scores: list[dict[str, Score]]) -> dict[str, Any]:
    return {
        side: dataclasses.asdict(part.get(key, NOTHING)) for side, part in zip(("first", "second"), scores, strict=True)
    }


def _paired(found: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]] | None:
    """(split, probes): {title, says, first, second: rates on what both runs changed alike, apart: difference, only}.

    only: a sentence that names the strengths counted, where one run tried more of them; else "".
    """
    rows = [
        {"title": row["title"], "says": row["says"], "apart": row["difference"], "only": _only(row)} | row["sides"]
        for row in found
    ]
    return (found[0]["split"], rows) if rows else None


def _told(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The same from what both runs told of themselves, where the answers are gone: no difference row by row.

    Probes that one of them tried at other strengths are left out: their rates are of other changes.
    """
    split = next((name for name in ("test", "validation") if ours.get(name) and theirs.get(name)), "test")
    mine, other = ({probe["name"]: probe for probe in tree.get(split, {}).get("probes", [])} for tree in (ours, theirs))
    rows = [
        {"title": probe["title"], "says": probe["says"], "first": mine[name]["rate"], "second": probe["rate"]}
        | {"apart": None, "only": ""}
        for name, probe in other.items()
        if name in mine and name != TEMPLATES and _strengths(mine[name]) == _strengths(probe)
    ]
    return split, rows


def _strengths(probe: dict[str, Any]) -> list[int]:
    return [part["severity"] for part in probe["severities"]]


def _only(row: dict[str, Any]) -> str:
    shared = row["severities"]
    if not shared or all(sorted(tried) == shared for tried in row["tried"]):
        return ""
    named = " and ".join(filter(None, [", ".join(map(str, shared[:-1])), str(shared[-1])]))
    return f"only strength{'s' if len(shared) > 1 else ''} {named}, which both runs tried"


def _confidence(runs: tuple[RunFolder, RunFolder]) -> list[dict[str, Any]]:
    """Measures of calibration that both have, of the probabilities that each gives out."""
    paths = [run.root / "calibration.json" for run in runs]
    if not all(path.is_file() for path in paths):
        return []
    parts = [tree.get("after") or tree.get("before") or {} for tree in map(read_json, paths)]
    return [
        {"title": title, "first": parts[0][key], "second": parts[1][key]}
        for key, title in calibration_telling.MEASURES.items()
        if all(key in part for part in parts)
    ]


def _rows(run: RunFolder, ids: list[str]) -> list[dict[str, Any]]:
    """What `run` answered wrongly among these rows, the surest first."""
    wanted = set(ids)
    return [row for row in gallery.mistakes(run.mistakes("test"))["rows"] if row["id"] in wanted][:EXAMPLES]


def _tree(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}
