"""Numbers about inputs: what a modality measures of its rows, and how they spread.

In: arrays, one number per row. Out: plain values for people and JSON. It must not know what was measured. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

QUANTILES = {"min": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}


@dataclass(frozen=True)
class Measured:
    """rows: measure → array (n,), in the order of the rows. facts: plain values. sentences: what people should know.

    marks: further numbers of each row (n,) that may tell classes apart, but are no sizes, such as grey or not.
    """

    rows: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    marks: dict[str, np.ndarray] = field(default_factory=dict)


def spread(values: np.ndarray) -> dict[str, float]:
    """Smallest, 5 %, middle, 95 % and largest value, each one that occurs.

    >>> spread(np.arange(1, 102))
    {'min': 1.0, 'p5': 6.0, 'median': 51.0, 'p95': 96.0, 'max': 101.0}
    """
    found = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
    return dict(zip(QUANTILES, found.astype(float).tolist(), strict=True))


def percent(share: float) -> str:
    """A share for a sentence: never "0%" for some, nor "100%" for not quite all.

    >>> percent(0.0), percent(0.0004), percent(0.034), percent(0.996), percent(1)
    ('0%', '<0.1%', '3.4%', '99.6%', '100%')
    """
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.0%}" if share in (0, 1) or 0.1 <= share <= 0.9 else f"{share:.1%}"
