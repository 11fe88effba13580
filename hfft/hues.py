"""Colours as people write them, and as numbers that masks are looked up by.

In: "#rrggbb", [r, g, b], or a list of either. Out: one whole number per colour. It must not know pictures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def codes(colours: Mapping[str, Any]) -> dict[int, str]:
    """colour, as red * 65536 + green * 256 + blue → the class it stands for.

    Raises ValueError for what is no colour, and where two classes have one.

    >>> codes({"road": "#804080", "car": [[0, 0, 142], "#000046"]})
    {8405120: 'road', 142: 'car', 70: 'car'}
    """
    out: dict[int, str] = {}
    for name, given in colours.items():
        several = isinstance(given, list) and given and not isinstance(given[0], int)
        for one in given if several else [given]:
            code = _code(one, name)
            if out.setdefault(code, name) != name:
                raise ValueError(f"{shown(code)} stands for {out[code]!r} and for {name!r}")
    return out


def shown(code: int) -> str:
    """The colour as people write it.

    >>> shown(8405120)
    '#804080'
    """
    return f"#{code:06x}"


def _code(given: Any, name: str) -> int:
    if isinstance(given, str) and (found := HEX.fullmatch(given)):
        red, green, blue = (int(part, 16) for part in found.groups())
    elif isinstance(given, list) and len(given) == 3 and all(type(x) is int and 0 <= x <= 255 for x in given):
        red, green, blue = given
    else:
        raise ValueError(f"{name!r}: expected a colour such as '#804080' or [128, 64, 128], got {given!r}")
    return red << 16 | green << 8 | blue
