"""What the Hub's validator of cards refuses, as far as a card of hfft may meet it; for the stand-in of the Hub."""

from __future__ import annotations

import re

import yaml

LICENSES = {"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "gpl-3.0", "openrail"}
LICENSES |= {"other", "unknown"}
FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
REPO = re.compile(r"[\w.-]+/[\w.-]+")


def front(content: str) -> dict:
    """The front matter of a card that is valid; {} where it has none."""
    found = FRONT.match(content)
    return yaml.safe_load(found[1]) if found else {}


def mistakes(content: str, kind: str) -> list[str]:
    """What the Hub's validator says about a card, through huggingface_hub's own reading of it."""
    from huggingface_hub import ModelCard

    found = FRONT.match(content)
    if not found:
        return []
    try:
        front = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return [f"YAML: {error}"]
    if not isinstance(front, dict):
        return ["the front matter is no mapping"]
    if kind == "space":
        return [f'"{key}" is required' for key in ("title", "sdk") if key not in front]
    out = [
        f'"{key}" must be a string'
        for key in ("library_name", "pipeline_tag")
        if not isinstance(front.get(key, ""), str)
    ]
    for key in ("tags", "metrics", "datasets", "widget"):
        if not isinstance(front.get(key, []), list):
            out.append(f'"{key}" must be an array')
    if front.get("license", "mit") not in LICENSES:
        out.append('"license" must be one of those the Hub knows')
    out += ['"base_model" must be a model id'] * (
        not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(front.get("base_model", "x")))
    )
    out += [f'"datasets": {one} is no id' for one in front.get("datasets", []) if not REPO.fullmatch(one)]
    if "model-index" in front:
        try:
            results = ModelCard(content).data.eval_results or []
        except (KeyError, TypeError, ValueError) as error:
            return [*out, f'"model-index": {type(error).__name__} {error}']
        wrong = [
            one
            for one in results
            if not isinstance(one.metric_value, (int, float)) or isinstance(one.metric_value, bool)
        ]
        out += [f'"model-index[0].results": the value of {one.metric_type} must be a number' for one in wrong]
        out += ['"model-index[0].results" must not be empty'] * (not results)
    return out
