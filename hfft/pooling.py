"""Several rows of the model's inputs for one text: whose they are, and one answer for all of them.

In: prepared rows, perhaps with the number of their text, and what a model puts out for each. Out: the mean for each
text. Logits are averaged, and not probabilities: a window with nothing to say, whose logits are alike, then moves no
other's answer; it is one rule for one class and for several, and for features as well; and a temperature, which divides
logits, acts on the text's answer. What is lost: one window that is very sure can outvote the others.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # `hfft predict` starts without it
    import datasets

OWNER = "document"  # column of prepared rows: the number of the text that each is a window of


def apart(prepared: datasets.Dataset) -> tuple[datasets.Dataset, np.ndarray | None]:
    """(rows as a model takes them, the text of each, int (rows,), or None where each row is one)."""
    if OWNER not in prepared.column_names:
        return prepared, None
    return prepared.remove_columns(OWNER), np.asarray(prepared[OWNER][:], dtype=np.int64)


def mean(values: np.ndarray, owners: np.ndarray | None) -> np.ndarray:
    """Mean over the rows of each text, (texts, …). values: (rows, …).

    >>> mean(np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 1.0]]), np.array([0, 0, 1])).tolist()
    [[2.0, 0.0], [5.0, 1.0]]
    """
    if owners is None:
        return values
    total = np.zeros((int(owners.max(initial=-1)) + 1, *values.shape[1:]), dtype=np.float64)
    np.add.at(total, owners, values)
    sizes = np.bincount(owners).reshape(-1, *(1,) * (values.ndim - 1))
    return (total / sizes).astype(values.dtype)


def by_text(compute: Callable[[Any], dict[str, float]], owners: np.ndarray | None) -> Callable[[Any], dict[str, float]]:
    """What `Trainer` calls as compute_metrics, over texts in the place of their windows.

    `Trainer` hands over all rows in their order, on one process and on many.
    """
    if owners is None:
        return compute
    first = np.unique(owners, return_index=True)[1]

    def pooled(prediction: Any) -> dict[str, float]:
        texts = SimpleNamespace(predictions=mean(prediction.predictions, owners), label_ids=prediction.label_ids[first])
        return compute(texts)

    return pooled
