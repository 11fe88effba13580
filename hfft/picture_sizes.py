"""Sizes, colour modes and shapes of pictures, and what is odd among them.

In: what the files' headers say, the side of the model's input. Out: `Measured`. It must not know about rows or models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from hfft.errors import listed
from hfft.measures import Measured, percent
from hfft.pictures import Header

LONG = 2.0  # width : height, or height : width, beyond which a square input distorts or crops a lot
NAMED = 4  # odd pictures named of a kind
LARGE = 4  # times the model's side, from which decoding costs more than it brings
MODES = {"RGB": "colour", "L": "grey", "P": "palette", "RGBA": "with transparency", "I;16": "16 bit"}
USUAL = {"RGB", "L", "P", "RGBA"}  # the others can look wrong, as CMYK without its profile does, so they are named


def measure(read: Sequence[Header], names: Sequence[str], side: int | None) -> Measured:
    """read: one header per picture. names: what to call each. side: pixels the model takes."""
    width, height = (np.array([getattr(h, axis) for h in read]) for axis in ("width", "height"))
    modes = Counter(header.mode for header in read)
    grey = np.array([header.mode in ("1", "L", "LA") or header.mode.startswith("I") for header in read])
    facts: dict[str, Any] = {"sizes": len({(h.width, h.height) for h in read}), "modes": dict(modes.most_common())}
    sentences = [_size_sentence(facts["sizes"], width, height)]
    if len(modes) > 1 or not modes.keys() <= USUAL:
        sentences.append(_mode_sentence(modes, read, names))
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    if side:
        facts |= {"input_side": side, "smaller_than_input": float(np.mean(shorter < side))}
        sentences += _input_sentences(side, shorter)
    odd = sorted(f"{names[i]} ({width[i]} x {height[i]})" for i in np.flatnonzero(longer > LONG * shorter).tolist())
    facts["long"] = {"pictures": len(odd), "share": len(odd) / len(read), "named": odd[:NAMED]}
    if odd:
        sentences.append(f"{_many(len(odd), len(read))} longer than {LONG:.0f}:1: {listed(odd, NAMED)}.")
    if moving := sorted(name for name, header in zip(names, read, strict=True) if header.moving):
        sentences.append(
            f"{_many(len(moving), len(read))} animated, only the first frame is used: {listed(moving, NAMED)}."
        )
    facts["animated"] = len(moving)
    return Measured({"width": width, "height": height}, facts, sentences, {"grey": grey.astype(int)})


def _size_sentence(sizes: int, width: np.ndarray, height: np.ndarray) -> str:
    if sizes == 1:
        return f"All pictures are {width[0]} x {height[0]}."
    return f"{sizes:,} different sizes."


def _mode_sentence(modes: Counter[str], read: Sequence[Header], names: Sequence[str]) -> str:
    """How many of each mode; unusual ones by name. All become RGB when they are decoded."""
    parts = []
    for mode, count in modes.most_common():
        which = sorted(name for name, header in zip(names, read, strict=True) if header.mode == mode)
        shown = f" ({listed(which, NAMED)})" if mode not in USUAL and count < len(read) / 2 else ""
        parts.append(f"{count:,} {MODES.get(mode, mode)}{shown}")
    return f"Modes: {', '.join(parts)}; all become RGB."


def _input_sentences(side: int, shorter: np.ndarray) -> list[str]:
    small, middle = float(np.mean(shorter < side)), float(np.median(shorter))
    out = []
    if small:
        out.append(
            f"{percent(small)} of the pictures are smaller than the model's input ({side} x {side}) and enlarged."
        )
    if middle > LARGE * side:
        out.append(
            f"Half of the pictures are at least {middle / side:.0f} times as large as the model's input "
            f"({side} x {side}): copies made smaller once would load faster in every epoch."
        )
    return out


def _many(count: int, of: int) -> str:
    return "1 picture is" if count == 1 else f"{count:,} pictures ({percent(count / of)}) are"
