"""Colours of classes, the same wherever a mask is shown. Nothing is read; standard library only."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

Colour = tuple[int, int, int]
# Okabe & Ito 2008, which people who see colours differently can tell apart, and a few more of other lightness.
FIRST: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (148, 103, 189),
    (102, 51, 0),
    (153, 221, 153),
    (170, 20, 60),
    (20, 40, 110),
)
REST: Colour = (70, 70, 70)  # of what is behind everything else
BEHIND = ("background", "other", "rest", "none", "unlabeled", "unlabelled")
TURN = 0.618033988749895  # the golden section: hues that come one after another lie far apart


def colours(names: Sequence[str]) -> list[Colour]:
    """A colour (r, g, b) of each class, 0 to 255, in the order of the names; a background is grey.

    >>> colours(["background", "road"])
    [(70, 70, 70), (230, 159, 0)]
    """
    found, place = [], 0
    for name in names:
        if name.strip().lower() in BEHIND:
            found.append(REST)
            continue
        found.append(FIRST[place] if place < len(FIRST) else _further(place - len(FIRST)))
        place += 1
    return found


def _further(place: int) -> Colour:
    """Hues around the circle, in three kinds of lightness."""
    light, full = ((0.62, 0.65), (0.42, 0.85), (0.76, 0.55))[place % 3]
    red, green, blue = colorsys.hls_to_rgb(place * TURN % 1.0, light, full)
    return round(255 * red), round(255 * green), round(255 * blue)
