"""The classes of a row where several may apply, as one text that is equal for equal sets.

A table's `label` is a text in either kind of task: a class name, or, with `data.multi_label`, the row's classes as a
JSON list, sorted, each once. So whatever asks only whether two labels are equal (ids, copies, groups, streams) needs
no second form. In: names or such texts. Out: the other, and counts. No ML imports.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hfft.records import NONE


def text(names: Iterable[str]) -> str:
    """The set's one text.

    >>> text(["toxic", "insult", "toxic"])
    '["insult", "toxic"]'
    """
    return json.dumps(sorted(set(names)), ensure_ascii=False)


@functools.lru_cache(maxsize=65_536)
def names(text: str) -> tuple[str, ...]:
    """The classes of a set's text, sorted.

    >>> names('["insult", "toxic"]'), names("[]")
    (('insult', 'toxic'), ())
    """
    return tuple(json.loads(text))


def shown(text: str) -> str:
    """The set as a person reads it.

    >>> shown('["insult", "toxic"]'), shown("[]")
    ('insult, toxic', 'no class')
    """
    return ", ".join(names(text)) or NONE


def count(labels: Iterable[str | None], multi_label: bool) -> Counter[Any]:
    """class → rows that carry it, in the order of the rows; None → rows whose label is missing.

    >>> count(['["a", "b"]', '["b"]', "[]"], True) == {"a": 1, "b": 2}
    True
    """
    found: Counter[Any] = Counter(labels)
    if not multi_label:
        return found
    out: Counter[Any] = Counter()
    for label, rows in found.items():
        for name in (None,) if label is None else names(label):
            out[name] += rows
    return out


def matrix(labels: Sequence[str], order: Sequence[str]) -> np.ndarray:
    """Which classes apply, bool (n, classes), columns in `order`. Raises KeyError for a class that is not in it.

    >>> matrix(['["b"]', "[]"], ("a", "b")).tolist()
    [[False, True], [False, False]]
    """
    place = {name: column for column, name in enumerate(order)}
    out = np.zeros((len(labels), len(order)), dtype=bool)
    for row, label in enumerate(labels):
        out[row, [place[name] for name in names(label)]] = True
    return out


def targets(labels: Sequence[str], order: Sequence[str], multi_label: bool) -> list[Any]:
    """What a model is trained on: the place of the class in `order`, or a 0.0 or 1.0 per class.

    >>> targets(["b", "a"], ("a", "b"), False), targets(['["b"]', "[]"], ("a", "b"), True)
    ([1, 0], [[0.0, 1.0], [0.0, 0.0]])
    """
    if multi_label:
        return matrix(labels, order).astype(float).tolist()  # type: ignore[no-any-return]
    place = {name: index for index, name in enumerate(order)}
    return [place[label] for label in labels]


def described(labels: Sequence[str], shared: dict[str, Any]) -> list[str]:
    """What is to be known about several classes per row, as sentences. shared: `profiling.balance` of their counts."""
    sizes = np.array([len(names(label)) for label in labels])
    without = float((sizes == 0).mean())
    out = [
        f"A row of train has {sizes.mean():.2f} of {shared['classes']} classes on average, {sizes.max()} at most; "
        f"{without:.1%} of the rows have none, and {len(set(labels)):,} different combinations occur.",
        f"Most frequent: {shared['largest']} ({shared['largest_rows']:,} rows, {shared['majority_share']:.1%} of "
        f"train); rarest: {shared['smallest']} ({shared['smallest_rows']:,}).",
    ]
    if shared["ratio"] >= 10 or shared["majority_share"] < 0.2:
        out.append(
            "Most answers are no: judge by f1_macro and each class's F1, not by a share of right answers, which "
            "answering no to everything drives up."
        )
    return out


def pooled(labels: Sequence[str], least: int) -> list[str]:
    """A stratum per row: its set, or, of sets with fewer than `least` rows, the rarest class in it.

    There are as many sets as combinations; of most there is a row or two, which no share can be taken of.

    >>> pooled(['["a"]', '["a"]', '["a", "b"]', "[]", "[]"], 2)
    ['a', 'a', 'rare sets with b', 'no class', 'no class']
    """
    rows, classes = Counter(labels), count(labels, True)

    def stratum(label: str) -> str:
        if rows[label] >= least or not names(label):
            return " + ".join(names(label)) or NONE
        return f"rare sets with {min(names(label), key=lambda name: (classes[name], name))}"

    known = {label: stratum(label) for label in rows}
    return [known[label] for label in labels]
