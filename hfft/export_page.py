"""The README.md of an exported model: what the file is, how to use it without hfft, what was measured.

In: facts of export.json, and the folder with the files beside the model. Out: Markdown. No torch, no transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FACTS = "export.json"


def page(facts: dict[str, Any], folder: Path) -> str:
    """Markdown; holds no path of this machine."""
    return f"# {facts['name']}, {facts['format']}\n"
