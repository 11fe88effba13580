"""The README.md of an exported model: what the file is, how to use it without hfft, what was measured.

In: facts of export.json, and the folder with the files beside the model. Out: Markdown. No torch, no transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hfft import export_snippets, pages
from hfft.records import read_json


def page(facts: dict[str, Any], folder: Path) -> str:
    """Markdown; holds no path of this machine. folder: may hold calibration.json, thresholds.json and decision.json."""
    there = [(folder / f"{name}.json").is_file() for name in ("calibration", "thresholds", "decision")]
    code, packages = export_snippets.snippet(facts, *there)
    temperature = read_json(folder / "calibration.json")["temperature"]["value"] if there[0] else None
    masks = facts["task"] == "semantic_segmentation"
    shown = {"snippet": code, "packages": " ".join(packages), "temperature": temperature, "thresholds": there[1]}
    shown |= {"decided": there[2], "masks": masks, "noun": "image" if masks else "row", "comparison": None}
    return pages.template("export.md.j2", {"md": pages.markdown, "grouped": lambda n: f"{n:,}"}).render(shown | facts)
