"""A text of its own for each class, as further training rows: what the class's name means, for want of examples.

In: training rows, class names, a template. Out: the same rows and those made of names. It must not know models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from types import ModuleType

import datasets

from hfft.errors import InputError
from hfft.recipe import Data


def texts(data: Data, labels: Sequence[str]) -> list[str]:
    """The text of each class, "_" in its name read as a space; none where the recipe asks for none."""
    if data.class_text is None:
        return []
    return [data.class_text.replace("{label}", label.replace("_", " ")) for label in labels]


def check(data: Data, modality: ModuleType) -> None:
    """Raise InputError where rows are no single texts."""
    if data.class_text is not None and (modality.INPUT != "text" or "text_pair" in data.columns):
        kind = "pairs of texts" if modality.INPUT == "text" else "pictures"
        raise InputError(f"data.class_text adds texts, and the rows are {kind}; leave it out")


def added(rows: datasets.Dataset, data: Data, labels: Sequence[str]) -> datasets.Dataset:
    """`rows`, with `id`, `text` and `labels` (class ids), and `data.class_text_rows` rows of each class's own text."""
    made = texts(data, labels)
    if not made:
        return rows
    times = data.class_text_rows
    ids = [
        f"{hashlib.sha256(text.encode()).hexdigest()[:32]}-{label}" for text, label in zip(made, labels, strict=True)
    ]
    columns = {"id": ids * times, "text": made * times, "labels": list(range(len(labels))) * times}
    kept = {name: columns[name] for name in rows.column_names}
    return datasets.concatenate_datasets([rows, datasets.Dataset.from_dict(kept, features=rows.features)])


def told(data: Data, labels: Sequence[str]) -> str:
    """
    >>> told(Data("x", class_text="On {label}."), ("law", "art"))
    "data.class_text: 16 training rows more, 8 for each class ('On law.', …)"
    """
    first, count = texts(data, labels)[0], len(labels) * data.class_text_rows
    return f"data.class_text: {count:,} training rows more, {data.class_text_rows:,} for each class ({first!r}, …)"
