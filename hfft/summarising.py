"""The facts about a finished run, as plain data that the page, the model card and scripts share.

In: the files of a run folder. Out: JSON-able facts. Nothing is computed from the model. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hfft import biasing, calibration_telling, figures, gallery, mask_facts, mask_records, openings
from hfft.card_front import AVERAGES
from hfft.mask_records import MaskPredictions
from hfft.pairing import gained
from hfft.recipe import read_yaml
from hfft.records import (
    FOLDS,
    HEADLINES,
    OUT_OF_FOLD,
    PROBE,
    SEEDS,
    SPLITS,
    VALIDATION,
    Predictions,
    Score,
    leading,
    less_is_better,
    read_json,
)
from hfft.run_folder import RunFolder

TITLES = {
    "f1": "F1",
    "majority": "Most common class",
    "tfidf_linear": "TF-IDF + linear model",
    "mcc": "MCC",
    "ece": "ECE",
    "auroc": "AUROC",
    "iou": "IoU",
    "mean_iou": "Mean IoU",
    "image_iou": "IoU of an image",
    "iou_per_class": "IoU per class",
    "mean_dice": "Mean Dice",
    "boundary_f1": "Boundary F1",
    "place": "Most common class at each place",
}
WIDENED = ", widened to "
RANKED = ("f1", "iou")  # what classes are ordered by, where it was asked for
PER_CLASS = re.compile(r"([^\[]+)\[(.*)\]", re.DOTALL)


def summarise(run: RunFolder) -> dict[str, Any]:
    """The facts that the page, the card and scripts share, as plain JSON-able data.

    Speaks of the test split once it has been scored and of validation before. Scores are dicts
    {value, low, high, n, method} in [0, 1]. Raises InputError when a file is there but not readable.
    """
    scores = run.read_scores()
    split = "test" if "test" in scores else "validation"
    shown = scores.get(split, {})
    overall = {metric: score for metric, score in shown.items() if not PER_CLASS.fullmatch(metric)}
    headline = leading(overall)
    baselines = _json(run.root / "baselines.json", {}) if split == "test" else {}
    recipe = read_yaml(run.root / "recipe.yaml")
    predictions = mask_records.read(run.predictions(split)) if run.predictions(split).is_file() else None
    masks = predictions if isinstance(predictions, MaskPredictions) else None
    rows = predictions if isinstance(predictions, Predictions) else None
    return {
        "name": run.root.resolve().name,
        "path": called(run),
        "task": recipe["task"],
        "split": split,
        "tested": split == "test",
        "recipe": recipe,
        "headline": _headline(headline, overall, baselines, _json(run.root / "gains.json", {})),
        "overall": _groups(overall, baselines, main=True),
        "averages": _groups(overall, baselines, main=False),
        "validation": _groups(scores.get("validation", {}), {}, main=True) if split == "test" else [],
        "classes": classes(shown),
        "confusion": figures.confusions(rows) if rows and not rows.multi_label else None,
        "masks": mask_facts.told(masks) if masks else None,
        "noun": "images" if masks else "rows",
        "reader": "hfft.fcn" if _json(run.model / "config.json", {}).get("model_type") == "hfft_fcn" else None,
        "only_answer": predictions.only_answer if predictions else None,
        "neighbours": gallery.neighbours(run.neighbours(split)),
        "multi_label": _several(run, rows) if rows and rows.multi_label else None,
        "decision": _decision(run),
        "gates": [gate | {"title": title(gate["metric"])} for gate in _json(run.root / "gates.json", [])],
        "notes": [*_json(run.environment, {}).get("forced", []), *_json(run.root / "notes.json", [])],
        "calibration": _calibration(run) if split == "test" else None,
        "slices": _json(run.slices, {}).get(split),
        "probes": _probes(run, split),
        "data": _data(_json(run.split, {})),
        "without_copies": _groups(scores.get("test_without_copies", {}), {}, main=True) if split == "test" else [],
        "openings": openings.told(run, headline, overall.get(headline) if split == "test" and headline else None),
        "parity": run.read_parity(),
        "seeds": _seeds(run, split, headline),
        "folds": len(run.members),
        "dealt": _dealt(run),
        "tuned_on": (OUT_OF_FOLD if run.members else VALIDATION).replace("_", "-"),
        "environment": _environment(_json(run.environment, {})),
        "history": _json(run.root / "history.json", []),
    }


def title(name: str) -> str:
    """A metric's or baseline's name for people.

    >>> title("f1_macro"), title("precision"), title("tfidf_linear")
    ('Macro F1', 'Precision', 'TF-IDF + linear model')
    >>> title("mean_iou"), title("iou[road]"), title("boundary_f1")
    ('Mean IoU', 'IoU of road', 'Boundary F1')
    """
    if name.startswith(PROBE):  # of a gate: as it was typed
        return name
    if found := PER_CLASS.fullmatch(name):
        return f"{title(found[1])} of {found[2]}"
    stem, _, last = name.rpartition("_")
    if stem and last in AVERAGES:
        return f"{last.capitalize()} {TITLES.get(stem, stem.replace('_', ' '))}"
    return TITLES.get(name, name.replace("_", " ").capitalize())


def inline(name: str) -> str:
    """A title inside a sentence: "Macro F1" becomes "macro F1"; "F1", "IoU" and "TF-IDF" stay."""
    return name[:1].lower() + name[1:] if name.partition(" ")[0][1:].islower() else name


def _json(path: Path, default: Any) -> Any:
    return read_json(path) if path.is_file() else default


def called(run: RunFolder) -> str:
    """How commands name the run: as given, or its last two parts, so that no home directory is published."""
    root = run.root
    return (Path(*root.parts[-2:]) if root.is_absolute() else root).as_posix()


def _headline(
    metric: str | None, overall: dict[str, Score], baselines: dict[str, Any], gains: dict[str, Any]
) -> dict[str, Any] | None:
    """The score that leads, its strongest baseline, and what was gained over it, row by row."""
    if metric is None:
        return None
    facts = {"metric": metric, "title": title(metric), "score": dataclasses.asdict(overall[metric])}
    rivals = [(name, part[metric]) for name, part in baselines.items() if metric in part]
    rivals = [(name, rival) for name, rival in rivals if rival["value"] is not None]
    if not rivals:
        return facts | {"baseline": None, "gain": None}
    sign = -1 if less_is_better(metric) else 1
    name, rival = max(rivals, key=lambda item: sign * item[1]["value"])
    found = gains.get(name)
    gain = gained(inline(title(name)), found) if found and found["metric"] == metric else None
    return facts | {"baseline": {"name": name, "title": title(name), "score": rival}, "gain": gain}


def _groups(overall: dict[str, Score], baselines: dict[str, Any], main: bool) -> list[dict[str, Any]]:
    """One group per metric: the model's row first, then each baseline's. main: those a reader needs first."""
    groups = []
    for metric, score in overall.items():
        if PER_CLASS.fullmatch(metric) or metric.endswith(("_micro", "_weighted")) == main:
            continue
        rows: list[dict[str, Any]] = [{"who": "This model", "model": True, "score": dataclasses.asdict(score)}]
        rivals = [(name, part[metric]) for name, part in baselines.items() if metric in part]
        rows += [{"who": title(name), "model": False, "score": rival} for name, rival in rivals]
        method = _usual(row["score"] for row in rows)
        drawn = not less_is_better(metric)  # a loss has no place on an axis of shares
        groups.append({"metric": metric, "title": title(metric), "method": method, "rows": rows, "drawn": drawn})
    return sorted(groups, key=lambda group: group["metric"] not in HEADLINES[:2])


def _usual(scores: Iterable[Any]) -> str:
    """The method that most of these scores share, told once; the others tell their own."""
    methods = Counter(score["method"] for score in scores if score["value"] is not None)
    return min(methods, key=lambda name: (-methods[name], name)) if methods else ""


def _shared(scores: Iterable[Any]) -> str:
    """The same, without how far an interval was widened, which each class tells for itself."""
    return _usual(scores).partition(WIDENED)[0]


def classes(shown: dict[str, Score]) -> dict[str, Any]:
    """Per-class scores, weakest class first; a class without a value comes last."""
    rows: dict[str, Any] = {}
    for key, score in shown.items():
        if found := PER_CLASS.fullmatch(key):
            rows.setdefault(found[2], {})[found[1]] = dataclasses.asdict(score)
    metrics = list(dict.fromkeys(metric for cells in rows.values() for metric in cells))
    ranked = next((name for name in RANKED if name in metrics), next(iter(metrics), None))
    metrics.sort(key=lambda metric: (metric == "iou") < (ranked == "iou"))
    blank = dataclasses.asdict(Score(None, None, None, 0, "undefined: not scored"))
    whole = [{"name": name, "cells": dict.fromkeys(metrics, blank) | cells} for name, cells in rows.items()]
    columns = [
        {"metric": metric, "title": title(metric), "method": _shared(row["cells"][metric] for row in whole)}
        for metric in metrics
    ]
    values = {row["name"]: row["cells"][ranked]["value"] for row in whole}
    whole.sort(key=lambda row: (values[row["name"]] is None, values[row["name"]] or 0.0))
    return {"columns": columns, "rows": whole, "ranked_by": ranked}


def _calibration(run: RunFolder) -> dict[str, Any] | None:
    """The facts of calibration.json with the sentences about them; None in a run without, or without rows."""
    facts = _json(run.root / "calibration.json", None)
    return facts | {"told": calibration_telling.told(facts)} if facts and facts["n"] else None


def _probes(run: RunFolder, split: str) -> dict[str, Any] | None:
    """The probes of the split that the page speaks of, else those of validation; `split` says which."""
    tree = _json(run.probes, {})
    shown = next((name for name in (split, "validation") if tree.get(name)), None)
    return tree[shown] | {"split": shown} if shown else None


def _data(split: dict[str, Any]) -> dict[str, Any] | None:
    if not split:
        return None
    counts = {name: split["counts"][name] for name in SPLITS if name in split["counts"]}
    names = list(dict.fromkeys(name for part in counts.values() for name in part))
    return {
        "sizes": {name: split.get("rows", {}).get(name) or sum(part.values()) for name, part in counts.items()},
        "classes": [{"name": name, "rows": {key: part.get(name, 0) for key, part in counts.items()}} for name in names],
        "pixels": mask_facts.shares(split.get("pixels", {})),
        "method": split.get("method", {}),
        "fingerprints": split.get("fingerprints", {}),
        "findings": split.get("findings", []),
        "leaks": _leaks(split.get("leaks", {})),
    }


def _several(run: RunFolder, predictions: Predictions) -> dict[str, Any]:
    """Of a run whose rows may have several classes: rows, how many are not wholly right, and each class's threshold."""
    wrong = int((predictions.labels != predictions.predicted).any(axis=1).sum())
    cuts = _json(run.thresholds, {}).get("classes", {})
    return {"n": predictions.n, "wrong": wrong, "thresholds": {name: cuts[name] for name in predictions.names if cuts}}


def _decision(run: RunFolder) -> dict[str, Any] | None:
    """How answers are decided, with the words for it; None where the likeliest class is answered."""
    facts = _json(run.decision, None)
    return facts and facts | {"told": biasing.how(facts)}


def _leaks(found: dict[str, Any]) -> dict[str, Any]:
    """What the leak guard found, with the pairs of splits that share rows or groups; empty for older runs."""
    if not found:
        return {}
    return found | {"shared": [pair for pair in found["overlaps"] if pair["rows"] or pair["groups"]]}


def _seeds(run: RunFolder, split: str, headline: str | None) -> dict[str, Any] | None:
    """The leading score of the runs that differ from this one in their seed alone; None for a run on its own."""
    tree = _json(run.root.resolve().parent / SEEDS, {})
    found = tree.get(split, {}).get(headline)
    if not found or run.root.resolve().name not in tree["members"]:
        return None
    own = tree["members"].index(run.root.resolve().name)
    rows = [
        {"seed": seed, "value": value, "own": place == own}
        for place, (seed, value) in enumerate(zip(tree["seeds"], found["values"], strict=True))
    ]
    return {"title": title(str(headline)), "rows": rows, "spread": found, "sentences": tree["sentences"][split]}


def _dealt(run: RunFolder) -> str:
    """Words that make the same folds; "" for a run of its own."""
    tree = _json(run.root / FOLDS, None)
    return f"--folds {tree['folds']} --repeats {tree['repeats']}" if tree else ""


def _environment(tree: dict[str, Any]) -> dict[str, Any]:
    """The environment with a blank for every fact that an older or foreign run did not write down."""
    blank: dict[str, Any] = (
        dict.fromkeys(("seed", "git_commit", "peak_memory_gb", "started")) | {"versions": {}, "seconds": {}} | tree
    )
    model: dict[str, Any] = dict.fromkeys(("name", "parameters", "weights_sha256")) | tree.get("model", {})
    hardware = (
        tree.get("hardware") and {"cpu": "?", "cores": "?", "accelerators": [], "processes": 1} | tree["hardware"]
    )
    return blank | {"model": model, "hardware": hardware}
