"""What the comparison page shows of two runs side by side: scores, classes, probes, confidence, and rows won and lost.

In: two run folders and the facts of their comparison. Out: plain facts with pictures as data URIs. The differences,
their intervals and the verdict come from the comparison; nothing is computed here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hfft import behaviour_figures, calibration_telling, figures, gallery
from hfft.answers import TEMPLATES
from hfft.records import Score, leading, less_is_better, read_json
from hfft.run_folder import RunFolder

EXAMPLES = 12  # rows shown of those won, and of those lost
NOTHING = Score(None, None, None, 0, "undefined: not scored")


def beside(first: RunFolder, second: RunFolder, found: dict[str, Any]) -> dict[str, Any]:
    """The comparison `found` (see `weighing.compare`) with what the page needs besides."""
    runs = (first, second)
    scores = [run.read_scores().get("test", {}) for run in runs]
    classes = _classes(found["classes"], scores)
    split, probes = _probes(_tree(first.probes), _tree(second.probes), {row["name"]: row for row in found["probes"]})
    rates = [row[side] for row in probes for side in ("first", "second")]
    recalls = [row[side] for row in classes for side in ("first", "second")]
    return found | {
        "metrics": _metrics(found["differences"], scores),
        "classes": classes,
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


def _classes(classes: list[dict[str, Any]], scores: list[dict[str, Score]]) -> list[dict[str, Any]]:
    """Per class: rows won and lost, and the recall of both; first those that chance explains least."""
    rows = [row | _sides(f"recall[{row['name']}]", scores) for row in classes]
    return sorted(rows, key=lambda row: (1.0 if row["p"] is None else row["p"], -abs(row["won"] - row["lost"])))


def _sides(key: str, scores: list[dict[str, Score]]) -> dict[str, Any]:
    return {
        side: dataclasses.asdict(part.get(key, NOTHING)) for side, part in zip(("first", "second"), scores, strict=True)
    }


def _probes(ours: dict[str, Any], theirs: dict[str, Any], apart: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """(split, probes that both have): {title, says, first, second: rates, apart: paired difference or None}.

    Of the test rows where both were probed on them, else of validation rows; those have no paired difference.
    """
    split = next((name for name in ("test", "validation") if ours.get(name) and theirs.get(name)), "test")
    mine, other = ({probe["name"]: probe for probe in tree.get(split, {}).get("probes", [])} for tree in (ours, theirs))
    rows = [
        {"title": probe["title"], "says": probe["says"], "first": mine[name]["rate"], "second": probe["rate"]}
        | {"apart": apart[name]["difference"] if split == "test" and name in apart else None}
        for name, probe in other.items()
        if name in mine and name != TEMPLATES  # two recipes may have other sentences
    ]
    return split, rows


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


def _tree(path: Any) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}
