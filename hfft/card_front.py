"""The front matter of a model card: what the Hub reads of a model.

In: the facts of a run, as `summarising` gives them, and what of a card is known when it is pushed. Out: plain mappings
and text. Only test numbers enter `model-index`. Nothing of a row is published: the examples are made of class names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
AVERAGES = ("macro", "micro", "weighted")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---(\r?\n|\Z)", re.DOTALL)
EXAMPLES = 3
DEEPEST = 50  # levels of lists and mappings
# hfft's name → that under which `evaluate` and the Hub know the same number.
KNOWN_AS = {"mcc": "matthews_correlation", "auroc": "roc_auc", "brier": "brier_score", "kappa": "cohen_kappa"}
TASKS = {"semantic_segmentation": "image-segmentation"}
OTHER = "other"
# Ids of the licences that the Hub knows and models come with; any other is "other" with its own name beside it.
LICENCES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"}
LICENCES |= {"cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "openrail", "isc"}
LICENCES |= {"mpl-2.0", "unlicense", "llama2", "llama3", "gemma", "unknown", OTHER}
SPELT = {"apache": "apache-2.0", "apache license 2.0": "apache-2.0", "mit license": "mit", "bsd": "bsd-3-clause"}
SPELT |= {"apache software license": "apache-2.0", "apache 2.0": "apache-2.0"}


def front(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The front matter. The interval travels in each metric's name: the Hub's schema has no field for it."""
    task = TASKS.get(facts["task"], facts["task"].replace("_", "-"))
    base, data = str(facts["recipe"]["model"]["name"]), facts["recipe"].get("data", {})
    groups = facts["overall"] + facts["averages"]
    if not facts["multi_label"]:  # of rows with one class each, micro averages are the accuracy once more
        groups = [group for group in groups if not group["metric"].endswith("_micro")]
    # A timm backbone, too, was saved by transformers: timm alone does not read its keys.
    out: dict[str, Any] = {"library_name": "hfft" if facts["reader"] else "transformers", "pipeline_tag": task}
    # A folder that exists here would read as a Hub id of the same shape.
    if HUB_ID.fullmatch(base) and not Path(base).exists() and facts["recipe"]["model"].get("pretrained", True):
        out["base_model"] = base
    if dataset := _hub_dataset(data):
        out["datasets"] = [dataset]
    out |= {"tags": ["hfft", task, *["timm"] * base.startswith("timm/")]}
    out |= {"metrics": sorted({metric_type(group["metric"])[0] for group in groups})}
    if examples := _examples(facts):
        out["widget"] = examples
    metrics = [_metric(group) for group in groups if group["rows"][0]["score"]["value"] is not None]
    if facts["tested"] and metrics:
        source = {"type": dataset or public(data.get("path", "unknown")), "name": source_name(data)}
        result = {"task": {"type": task}, "dataset": source | {"split": "test"}, "metrics": metrics}
        out["model-index"] = [{"name": facts["name"], "results": [result]}]
    return out


def metric_type(metric: str) -> tuple[str, str | None]:
    """(the field's name of a metric, its average).

    >>> metric_type("f1_macro"), metric_type("accuracy"), metric_type("mcc")
    (('f1', 'macro'), ('accuracy', None), ('matthews_correlation', None))
    """
    stem, _, last = metric.rpartition("_")
    stem, average = (stem, last) if last in AVERAGES and stem else (metric, None)
    return KNOWN_AS.get(stem, stem), average


def interval(score: Mapping[str, Any]) -> str:
    """Its ends in brackets."""
    if score["low"] is None or score["high"] is None:
        return "[no interval]"
    return f"[{score['low']:.3f}, {score['high']:.3f}]"


def public(name: object) -> str:
    """A name that may be published: of an absolute path only the last part.

    >>> public("/home/maria/rows.csv"), public("pkg://some/rows.csv"), public("C:\\\\Users\\\\maria\\\\rows.csv")
    ('rows.csv', 'pkg://some/rows.csv', 'rows.csv')
    """
    text = str(name)
    if Path(text).is_absolute() or re.match(r"~\w*[\\/]|[A-Za-z]:[\\/]|\\\\|file:|(\.\./)+", text):
        return re.split(r"[\\/]", text.rstrip("\\/"))[-1]
    return text


def spoken(told: object) -> str:
    """What a card has under `license`, which may be a list, as one name; "" for nothing.

    >>> spoken("mit"), spoken(["mit"]), spoken(["mit", "apache-2.0"]), spoken(None), spoken([None])
    ('mit', 'mit', 'mit, apache-2.0', '', '')
    """
    return ", ".join(str(one) for one in (told if isinstance(told, list) else [told]) if one)


def licence(name: str) -> dict[str, str]:
    """The keys that say it: `license`, and `license_name` for one that the Hub has no id for; {} where none is known.

    >>> licence("Apache-2.0"), licence("MIT License"), licence("Our own 1.0"), licence("unknown")
    ({'license': 'apache-2.0'}, {'license': 'mit'}, {'license': 'other', 'license_name': 'our-own-1.0'}, {})
    >>> licence("mit, apache-2.0")
    {'license': 'other', 'license_name': 'mit-apache-2.0'}
    """
    low = " ".join(name.lower().split())
    low = SPELT.get(low, low)
    if not low or low == "unknown":
        return {}
    return {"license": low} if low in LICENCES else {"license": OTHER, "license_name": re.sub(r"[^\w.]+", "-", low)}


def read(text: str) -> dict[str, Any]:
    """The front matter of a card; {} where it has none that can be read."""
    found = FRONT.match(text)
    try:
        tree = yaml.load(found[1], LOADER) if found and _plain(found[1]) else {}
    except (yaml.YAMLError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _plain(text: str) -> bool:
    """Whether it says no more than is written: few lines of aliases stand for billions of values, and a thousand
    brackets end the process that walks them. No card needs either."""
    level = 0
    for event in yaml.parse(text, LOADER):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > DEEPEST or isinstance(event, yaml.AliasEvent):
            return False
    return True


def replaced(text: str, change: Mapping[str, Any], drop: Iterable[str] = ()) -> str:
    """The card with some keys of its front matter set or dropped; as it is where nothing changes."""
    tree = read(text)
    new = {key: value for key, value in (tree | dict(change)).items() if key not in drop}
    found = FRONT.match(text)
    if new == tree or found is None:
        return text
    return f"---\n{yaml.safe_dump(new, sort_keys=False, allow_unicode=True)}---\n{text[found.end() :]}"


def _metric(group: Mapping[str, Any]) -> dict[str, Any]:
    score, (kind, average) = group["rows"][0]["score"], metric_type(group["metric"])
    name = f"{group['title']}, 95 % interval {interval(score)}, n = {score['n']:,}"
    return {"type": kind, "value": score["value"], "name": name} | ({"args": {"average": average}} if average else {})


def _hub_dataset(data: Mapping[str, Any]) -> str | None:
    """OWNER/NAME of a data set of the Hub; None for files, folders, packages and names that could be anything."""
    path = str(data.get("path", ""))
    found = "/" in path and HUB_ID.fullmatch(path) and not Path(path).exists() and not data.get("data_files")
    return path if found else None


def source_name(data: Mapping[str, Any]) -> str:
    """What the data is called: its id on the Hub, else its file or folder."""
    if known := _hub_dataset(data):
        return known
    files = data.get("data_files")
    return Path(public(files)).name if isinstance(files, str) else Path(public(data.get("path", "unknown"))).name


def _examples(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Texts to try the model with on the Hub: class names in words. Rows are the user's to publish, not hfft's."""
    pair = "text_pair" in (facts["recipe"].get("data", {}).get("columns") or {})
    if facts["task"] != "text_classification" or pair:
        return []
    names = sorted(row["name"] for row in facts["classes"]["rows"])[:EXAMPLES]
    return [{"text": " ".join(re.split(r"[\s_]+", name)).strip() or name, "example_title": name} for name in names]
