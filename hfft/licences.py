"""The licence that a pretrained model came under, as far as this machine knows it.

In: a model's name as recipes have it. Out: a name, or "unknown"; nobody is asked. It loads no model; timm, and torch
with it, is imported only for a name of timm's that no card and no package tells of.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from hfft import card_front, references
from hfft.errors import InputError

UNKNOWN = "unknown"
TIMM = "timm/"


def licence(name: str) -> str:
    """As the model's card says, else the package that brings it, else timm; "unknown" where none does.

    Also "unknown" for a package that is not installed: what is missing has no card.
    """
    try:
        path = Path(references.resolve(name))
    except InputError:
        return UNKNOWN
    card = path / "README.md" if references.is_file(path / "README.md") else references.cached(name, "README.md")
    text = card.read_text(encoding="utf-8", errors="replace") if card else ""
    if told := card_front.spoken(card_front.read(text).get("license")):
        return told
    if name.startswith(references.SCHEME):
        return _of_package(name.removeprefix(references.SCHEME).partition("/")[0])
    if name.startswith(TIMM):
        import timm

        found = timm.get_pretrained_cfg(name.removeprefix(TIMM), allow_unregistered=True)
        return str(getattr(found, "license", None) or UNKNOWN)
    return UNKNOWN


def _of_package(module: str) -> str:
    for package in importlib.metadata.packages_distributions().get(module, []):
        told: Any = importlib.metadata.metadata(package)
        for value in (told["License-Expression"], told["License"]):
            if value and value.upper() != "UNKNOWN":
                return " ".join(str(value).split())[:40]
    return UNKNOWN
