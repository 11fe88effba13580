"""An attribute of rows as few values that can be named: its own where it is text, quarters of the rows for numbers.

In: a column of text or numbers. Out: `Buckets`. numpy, scipy. It must not know whether rows were answered rightly:
edges that did would be chosen to look bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

QUARTERS = 4
MOST = 50  # values of one attribute that are looked at, the most frequent ones
NEARLY = 0.8  # of a quarter of the rows, for edges that are easier to read
MISSING = "missing"
DIGITS = range(2, 7)  # that the ends of a bucket may take to be told apart


@dataclass(frozen=True)
class Buckets:
    """codes: place in `values` of each row, int (n,), -1 where it is in none. values: for people.

    distinct: how many different values the column has.
    """

    codes: np.ndarray
    values: tuple[str, ...]
    distinct: int


def bucketed(column: np.ndarray, unit: str = "") -> Buckets:
    """column: float (n,), or text (n,) as objects; NaN or None where unknown. unit: of numbers, such as "words".

    >>> bucketed(np.array([1.0, 2, 3, 4, 5, 6, 7, 8]), "words").values
    ('up to 2 words', '3 to 4 words', '5 to 6 words', '7 words or more')
    >>> bucketed(np.array(["b", None, "b", "a"], dtype=object)).values
    ('b', 'a', 'missing')
    """
    if column.dtype.kind == "f":
        return _numbers(column, unit)
    texts = np.array([MISSING if value is None else str(value) for value in column], dtype=object)
    if not len(texts):
        return Buckets(np.zeros(0, dtype=int), (), 0)
    names, place, rows = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    order = np.lexsort((np.arange(len(names)), -rows))[:MOST]
    codes = np.full(len(names), -1)
    codes[order] = np.arange(len(order))
    return Buckets(codes[place], tuple(str(names[i]) for i in order), len(names))


def _numbers(column: np.ndarray, unit: str) -> Buckets:
    known = ~np.isnan(column)
    codes = np.full(len(column), -1)
    values: tuple[str, ...] = ()
    distinct = len(np.unique(column[known]))
    if known.any():
        numbers = column[known]
        whole = bool((numbers % 1 == 0).all())
        if cuts := () if whole or distinct < len(numbers) / 2 else _cuts(numbers):
            quarter, values = np.searchsorted(cuts, numbers, side="right"), _between(cuts, unit)
        else:
            quarter, values = _quarters(numbers, unit)
        codes[known] = quarter
    if not known.all():
        codes[~known], values = len(values), (*values, MISSING)
    return Buckets(codes, values, distinct)


def _cuts(numbers: np.ndarray) -> tuple[float, ...]:
    """Quartiles with as few digits as still make quarters of a sort: 41 % is read, 40.8849 % is not; () where none do.

    Rounded before the rows are dealt, so that the names say exactly what is in a bucket.
    """
    exact = np.quantile(numbers, np.arange(1, QUARTERS) / QUARTERS)
    for digits in DIGITS:
        cuts = [float(f"{cut:.{digits}g}") for cut in exact]
        sizes = np.bincount(np.searchsorted(cuts, numbers, side="right"), minlength=QUARTERS)
        if sizes.min() >= NEARLY / QUARTERS * len(numbers):
            return tuple(cuts)
    return ()


def _between(cuts: tuple[float, ...], unit: str) -> tuple[str, ...]:
    """ "below 41 %", "41 to 48 %", "48 to 56 %", "56 % or more"."""
    text = [f"{cut:,.{max(DIGITS)}g}" for cut in cuts]
    unit = f" {unit}" if unit else ""
    middle = (f"{low} to {high}{unit}" for low, high in pairwise(text))
    return (f"below {text[0]}{unit}", *middle, f"{text[-1]}{unit} or more")


def _quarters(numbers: np.ndarray, unit: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Equal numbers stay in one bucket, that of their middle rank; so many zeros are a bucket of their own."""
    quarter = np.floor(QUARTERS * (rankdata(numbers) - 0.5) / len(numbers)).astype(int)
    quarter = np.unique(np.minimum(quarter, QUARTERS - 1), return_inverse=True)[1]
    ends = [(numbers[quarter == k].min(), numbers[quarter == k].max()) for k in range(quarter.max() + 1)]
    return quarter, _named(ends, unit)


def _named(ends: list[tuple[float, float]], unit: str) -> tuple[str, ...]:
    """ "up to 8 words", "9 to 15 words", "16 words or more"; a bucket of one number is that number."""
    every = sorted({end for pair in ends for end in pair})
    shown = next((told for told in (_told(every, digits) for digits in DIGITS) if len(set(told)) == len(told)), None)
    text = dict(zip(every, shown or map(repr, every), strict=True))
    last = len(ends) - 1
    out = []
    for place, (low, high) in enumerate(ends):
        if low == high:
            out.append(f"{text[low]} {unit[:-1] if low == 1 and unit.endswith('s') else unit}")
        elif place == 0 and last:
            out.append(f"up to {text[high]} {unit}")
        elif place == last and last:
            out.append(f"{text[low]} {unit} or more")
        else:
            out.append(f"{text[low]} to {text[high]} {unit}")
    return tuple(" ".join(value.split()) for value in out)


def _told(numbers: list[float], digits: int) -> list[str]:
    """Whole numbers as they are, others with as many digits of meaning."""
    if all(float(number).is_integer() for number in numbers):
        return [f"{number:,.0f}" for number in numbers]
    return [f"{number:,.0f}" if abs(number) >= 10**digits else f"{number:.{digits}g}" for number in numbers]
