"""The page of a cross-validation: every fold's score, each class over folds, confusions, calibration, mistakes.

In: folds.json and the answers to all held-out rows. Out: folds.html, a page like a run's report, of the same sections.
Nothing is computed from a model. No torch, no transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hfft import (
    behaviour_figures,
    calibration_telling,
    figures,
    gallery,
    mask_facts,
    mask_records,
    pages,
    reporting,
    summarising,
)
from hfft.errors import InputError
from hfft.mask_records import MaskPredictions
from hfft.records import FOLDS, OUT_OF_FOLD, Predictions, Score, leading, less_is_better, read_json
from hfft.run_folder import RunFolder

PAGE = "folds.html"


def write(root: Path) -> Path:
    """Write it; returns its path. Raises InputError where something lies there that is not a page of hfft."""
    facts = read_json(root / FOLDS)
    if "by_fold" not in facts:
        raise InputError(f"{root} is of an older hfft; type `hfft judge {root}`, which writes its page, too")
    return pages.write(root / PAGE, pages.render("folds.html.j2", facts | _shown(root, facts), reporting.FILTERS))


def _shown(root: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """What the page needs besides the facts: axes, and the sections of a report."""
    whole, headline = RunFolder(root), leading(facts["scores"])
    predictions = mask_records.read(whole.predictions(OUT_OF_FOLD))
    classes = summarising.classes({key: Score(**made) for key, made in facts[OUT_OF_FOLD].items()})
    ranked = classes["ranked_by"]
    lead = facts["scores"][headline] if headline else None
    mean: dict[str, Any] = {"value": lead["mean"], "low": lead["low"], "high": lead["high"]} if lead else {}
    drawn = facts["by_fold"][headline] if headline and not less_is_better(headline) else []
    rows = predictions if isinstance(predictions, Predictions) else None
    masks = predictions if isinstance(predictions, MaskPredictions) else None
    calibration = facts["calibration"] or {"n": 0}
    told = calibration_telling.told(calibration) if calibration["n"] else None
    return {
        "title": root.resolve().name,
        "path": summarising.called(whole),
        "headline": headline,
        "links": [(run.root.name if run.report.is_file() else None) for run in whole.members],
        "mean": mean,
        "axis": figures.axis([*drawn, mean]) if drawn else None,
        "classes": classes,
        "class_axis": figures.axis([row["cells"][ranked] for row in classes["rows"]]),
        "strips": _strips(facts, classes),
        "confusion": figures.confusions(rows) if rows and not rows.multi_label else None,
        "masks": mask_facts.told(masks) if masks else None,
        "noun": "images" if masks else "rows",
        "multi_label": _several(rows) if rows and rows.multi_label else None,
        "calibration": calibration | {"told": told} if told else None,
        "decision": None,
        "gates": [gate | {"title": summarising.title(gate["metric"])} for gate in facts["gates"]],
        "gap_axis": behaviour_figures.axis([row["gap"] for row in (facts["slices"] or {"rows": []})["rows"]]),
        "mistakes": gallery.mistakes(whole.mistakes(OUT_OF_FOLD)),
        "measures": calibration_telling.MEASURES,
        "set_names": calibration_telling.SETS,
        "split": OUT_OF_FOLD,
        "tuned_on": OUT_OF_FOLD.replace("_", "-"),
        "limits": {
            "classes": reporting.SHOWN_CLASSES,
            "mistakes": reporting.SHOWN_MISTAKES,
            "table": reporting.TABLE_CLASSES,
        },
    }


def _strips(facts: dict[str, Any], classes: dict[str, Any]) -> dict[str, Any] | None:
    """Of each class, the weakest first, its score in every fold: {metric, rows, axis}; a fold without one is None."""
    metric = classes["ranked_by"]
    if metric is None:
        return None
    rows = []
    for row in classes["rows"]:
        values = [score["value"] for score in facts["by_fold"][f"{metric}[{row['name']}]"]]
        known = [value for value in values if value is not None]
        spread = {"least": min(known), "most": max(known), "mean": sum(known) / len(known)} if known else None
        rows.append({"name": row["name"], "values": values, "spread": spread, "n": row["cells"][metric]["n"]})
    ends = [{"value": value, "low": None, "high": None} for row in rows for value in row["values"]]
    return {"metric": metric, "rows": rows, "axis": figures.axis(ends)}


def _several(predictions: Predictions) -> dict[str, Any]:
    """Where rows have several classes: rows, and how many are not wholly right; each fold has thresholds of its own."""
    wrong = int((predictions.labels != predictions.predicted).any(axis=1).sum())
    return {"n": predictions.n, "wrong": wrong, "thresholds": {}}
