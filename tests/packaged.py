"""Files of installed packages, read once for each process that runs tests, and for those that are forked from it.

38,000 tweets and 5,000 digits are most of a tiny run's time. What tests write themselves, and may change, is always
read.
"""

from __future__ import annotations

from typing import Any

from hfft import gathering, loading, recipe, rooms, shingles

read = loading.read
known: dict[str, Any] = {}


def once(data: Any, modality: Any) -> Any:
    """What `loading.read` gives."""
    key = repr((modality.__name__, gathering.undealt(data)))
    if "pkg://" not in key:
        return read(data, modality)
    if key not in known:
        known[key] = read(data, modality)
    return known[key]


def warm() -> None:
    """Read what runs in forked processes will ask for."""
    loading.read = once
    wanted = recipe.load("tiny_textcls")
    once(wanted.data, rooms.find("modalities", wanted.task))
    shingles.normalised("a text")
