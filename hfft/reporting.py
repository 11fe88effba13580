"""What may be said about a finished run: the facts, the page and the model card.

In: the files of a run folder. Out: `report.html` with its figures, and the text of `model/README.md`. Nothing is
computed from the model, so a year-old run can be reported again in a second. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections import Counter
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from hfft import figures
from hfft.recipe import read_yaml
from hfft.records import SPLITS, Predictions, RunFolder, Score, read_json, write_whole

HEADLINES = ("f1_macro", "accuracy")
TITLES = {"f1": "F1", "majority": "Most common class", "tfidf_linear": "TF-IDF + linear model"}
AVERAGES = ("macro", "micro", "weighted")
PER_CLASS = re.compile(r"([^\[]+)\[(.*)\]", re.DOTALL)
# Up to here a table of counts stays legible; above it the page draws a heat map and lists the confusions.
TABLE_CLASSES = 20
SHOWN_CLASSES = 20
SHOWN_MISTAKES = 24
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def summarise(run: RunFolder) -> dict[str, Any]:
    """The facts that the page, the card and scripts share, as plain JSON-able data.

    Speaks of the test split once it has been scored and of validation before. Scores are dicts
    {value, low, high, n, method} in [0, 1]. Raises InputError when a file is there but not readable.
    """
    scores = run.read_scores()
    split = "test" if "test" in scores else "validation"
    shown = scores.get(split, {})
    overall = {metric: score for metric, score in shown.items() if not PER_CLASS.fullmatch(metric)}
    headline = next((metric for metric in HEADLINES if metric in overall), next(iter(overall), None))
    baselines = _json(run.root / "baselines.json", {}) if split == "test" else {}
    recipe = read_yaml(run.root / "recipe.yaml")
    predictions = Predictions.read(run.predictions(split)) if run.predictions(split).is_file() else None
    return {
        "name": run.root.resolve().name,
        "path": _path(run),
        "task": recipe["task"],
        "split": split,
        "tested": split == "test",
        "recipe": recipe,
        "headline": _headline(headline, overall, baselines),
        "overall": _groups(overall, baselines, main=True),
        "averages": _groups(overall, baselines, main=False),
        "validation": _groups(scores.get("validation", {}), {}, main=True) if split == "test" else [],
        "classes": _classes(shown),
        "confusion": figures.confusions(predictions) if predictions else None,
        "gates": [gate | {"title": title(gate["metric"])} for gate in _json(run.root / "gates.json", [])],
        "notes": _json(run.root / "notes.json", []),
        "data": _data(_json(run.split, {})),
        "openings": _openings(run.openings(), headline),
        "environment": _environment(_json(run.environment, {})),
        "history": _json(run.root / "history.json", []),
    }


def render(run: RunFolder) -> Path:
    """Write the page and its figures; return the page's path. The same files give the same bytes."""
    facts = summarise(run)
    _draw(run, facts)
    # A trivial baseline far below would squeeze every interval into its dot: the axis is the model's and its rival's.
    rival = (facts["headline"] or {}).get("baseline") or {"title": ""}
    groups = facts["overall"] + facts["averages"] + facts["validation"]
    rows = [row["score"] for group in groups for row in group["rows"] if row["model"] or row["who"] == rival["title"]]
    ranked = facts["classes"]["ranked_by"]
    page = _template("report.html.j2").render(
        **facts,
        commands=_commands(facts["path"]),
        recipe_text=yaml.safe_dump(facts["recipe"], sort_keys=False, allow_unicode=True),
        axis=figures.axis(rows),
        class_axis=figures.axis([row["cells"][ranked] for row in facts["classes"]["rows"]]),
        curves=figures.curves(facts["history"]),
        mistakes=figures.mistakes(run.mistakes(facts["split"])),
        limits={"classes": SHOWN_CLASSES, "mistakes": SHOWN_MISTAKES, "table": TABLE_CLASSES},
    )
    write_whole(run.report, lambda target: target.write_text(page, encoding="utf-8"))
    return run.report


def card(run: RunFolder) -> str:
    """The model card: Markdown with YAML front matter as the Hub reads it. Holds no path of this machine."""
    facts = summarise(run)
    front = yaml.safe_dump(_front(facts), sort_keys=False, allow_unicode=True)
    pair = "text_pair" in (facts["recipe"].get("data", {}).get("columns") or {})
    return _template("card.md.j2").render(**facts, front=front, pair=pair, commands=_commands(facts["path"]))


def title(name: str) -> str:
    """A metric's or baseline's name for people.

    >>> title("f1_macro"), title("precision"), title("tfidf_linear")
    ('Macro F1', 'Precision', 'TF-IDF + linear model')
    """
    if found := PER_CLASS.fullmatch(name):
        return f"{title(found[1])} of {found[2]}"
    stem, _, last = name.rpartition("_")
    if stem and last in AVERAGES:
        return f"{last.capitalize()} {TITLES.get(stem, stem.replace('_', ' '))}"
    return TITLES.get(name, name.replace("_", " ").capitalize())


def _json(path: Path, default: Any) -> Any:
    return read_json(path) if path.is_file() else default


def _path(run: RunFolder) -> str:
    """How commands name the run: as given, or its last two parts, so that no home directory is published."""
    root = run.root
    return (Path(*root.parts[-2:]) if root.is_absolute() else root).as_posix()


def _public(name: object) -> str:
    """A name that may be published: of an absolute path only the last part."""
    return Path(str(name)).name if Path(str(name)).is_absolute() else str(name)


def _commands(path: str) -> list[str]:
    recipe, again = shlex.quote(f"{path}/recipe.yaml"), shlex.quote(f"{path}-again")
    return [f"hfft run {recipe} --output-dir {again}", f"hfft eval {again}"]


def _headline(metric: str | None, overall: dict[str, Score], baselines: dict[str, Any]) -> dict[str, Any] | None:
    """The score that leads, its strongest baseline, and whether their intervals are apart."""
    if metric is None:
        return None
    score = dataclasses.asdict(overall[metric])
    rivals = [(name, part[metric]) for name, part in baselines.items() if metric in part]
    rivals = [(name, rival) for name, rival in rivals if rival["value"] is not None]
    facts = {"metric": metric, "title": title(metric), "score": score, "baseline": None, "verdict": None}
    if rivals:
        name, rival = max(rivals, key=lambda item: item[1]["value"])
        facts["baseline"] = {"name": name, "title": title(name), "score": rival}
        if None not in (score["low"], score["high"], rival["low"], rival["high"]):
            below = "below" if score["high"] < rival["low"] else "overlapping"
            facts["verdict"] = "above" if score["low"] > rival["high"] else below
    return facts


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
        groups.append({"metric": metric, "title": title(metric), "method": method, "rows": rows})
    return sorted(groups, key=lambda group: group["metric"] != HEADLINES[0])


def _usual(scores: Iterable[Any]) -> str:
    """The method that most of these scores share, told once; the others tell their own."""
    methods = Counter(score["method"] for score in scores if score["value"] is not None)
    return min(methods, key=lambda name: (-methods[name], name)) if methods else ""


def _classes(shown: dict[str, Score]) -> dict[str, Any]:
    """Per-class scores, weakest class first; a class without a value comes last."""
    rows: dict[str, Any] = {}
    for key, score in shown.items():
        if found := PER_CLASS.fullmatch(key):
            rows.setdefault(found[2], {})[found[1]] = dataclasses.asdict(score)
    metrics = list(dict.fromkeys(metric for cells in rows.values() for metric in cells))
    ranked = "f1" if "f1" in metrics else next(iter(metrics), None)
    blank = dataclasses.asdict(Score(None, None, None, 0, "undefined: not scored"))
    whole = [{"name": name, "cells": dict.fromkeys(metrics, blank) | cells} for name, cells in rows.items()]
    columns = [
        {"metric": metric, "title": title(metric), "method": _usual(row["cells"][metric] for row in whole)}
        for metric in metrics
    ]
    values = {row["name"]: row["cells"][ranked]["value"] for row in whole}
    whole.sort(key=lambda row: (values[row["name"]] is None, values[row["name"]] or 0.0))
    return {"columns": columns, "rows": whole, "ranked_by": ranked}


def _data(split: dict[str, Any]) -> dict[str, Any] | None:
    if not split:
        return None
    counts = {name: split["counts"][name] for name in SPLITS if name in split["counts"]}
    names = list(dict.fromkeys(name for part in counts.values() for name in part))
    return {
        "sizes": {name: sum(part.values()) for name, part in counts.items()},
        "classes": [{"name": name, "rows": {key: part.get(name, 0) for key, part in counts.items()}} for name in names],
        "method": split.get("method", {}),
        "fingerprints": split.get("fingerprints", {}),
        "findings": split.get("findings", []),
    }


def _openings(entries: list[dict[str, Any]], headline: str | None) -> dict[str, Any]:
    """How often, and with how many different weights, the test split has been looked at."""
    shown = [entry | {"value": (entry.get("scores") or {}).get(headline)} for entry in entries]
    return {"count": len(entries), "weights": len({entry.get("weights") for entry in entries}), "entries": shown}


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


def _draw(run: RunFolder, facts: dict[str, Any]) -> None:
    """PNG copies of the two figures, for slides and the Hub."""
    table, ranked = facts["confusion"], facts["classes"]["ranked_by"]
    if table:
        figures.draw_confusion(run.figures / "confusion_matrix.png", table["names"], table["cells"])
    if rows := [(row["name"], row["cells"][ranked]) for row in facts["classes"]["rows"]]:
        figures.draw_intervals(run.figures / f"{ranked}_per_class.png", title(ranked), rows)


def _front(facts: dict[str, Any]) -> dict[str, Any]:
    """The card's front matter. The interval travels in each metric's name: the Hub's schema has no field for it."""
    tag = {"semantic_segmentation": "image-segmentation"}.get(facts["task"], facts["task"].replace("_", "-"))
    base, data = str(facts["recipe"]["model"]["name"]), facts["recipe"].get("data", {})
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": tag}
    # A folder that exists here would read as a Hub id of the same shape.
    if HUB_ID.fullmatch(base) and not Path(base).exists() and facts["recipe"]["model"].get("pretrained", True):
        front["base_model"] = base
    front |= {"tags": ["hfft", tag], "metrics": sorted({_hub_metric(group["metric"]) for group in facts["overall"]})}
    metrics = []
    for group in facts["overall"]:
        score = group["rows"][0]["score"]
        if score["value"] is not None:
            name = f"{group['title']}, 95 % interval {_interval(score)}, n = {score['n']:,}"
            metrics.append({"type": _hub_metric(group["metric"]), "value": score["value"], "name": name})
    if facts["tested"] and metrics:
        source = _public(data.get("path", "unknown"))
        dataset = {"type": source, "name": source, "split": "test"}
        result = {"task": {"type": tag}, "dataset": dataset, "metrics": metrics}
        front["model-index"] = [{"name": facts["name"], "results": [result]}]
    return front


def _hub_metric(metric: str) -> str:
    stem, _, last = metric.rpartition("_")
    return stem if last in AVERAGES else metric


def _inline(name: str) -> str:
    """A title inside a sentence: "Macro F1" becomes "macro F1"; "F1" and "TF-IDF" stay."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def _interval(score: dict[str, Any]) -> str:
    if score["low"] is None or score["high"] is None:
        return "[no interval]"
    return f"[{score['low']:.3f}, {score['high']:.3f}]"


def _markdown(text: object) -> str:
    """Text from the data as one line of Markdown that formats nothing and ends no table cell."""
    line = escape(" ".join(str(text).split()), quote=False)
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", line)


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "decimals": lambda value: f"{value:.3f}",
        "grouped": lambda number: f"{number:,}",
        "interval": _interval,
        "md": _markdown,
        "at": figures.at,
        "title_of": title,
        "inline": _inline,
        "public": _public,
        "wraps": lambda name: Markup("_<wbr>").join(str(name).split("_")),
    }
    return environment.get_template(name)
