"""Rows through an exported model, and the same rows through torch: logits, how far apart they are, and how fast.

In: rows, a backbone, a `Session`. Out: arrays of a batch, logits, facts of parity and speed. It must not know which
split the rows are of, nor what is concluded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import datasets
import numpy as np
import torch
from scipy.stats import binom

from hfft import pooling
from hfft.backbones import Backbone, several
from hfft.picture_rows import decoded
from hfft.recipe import Model
from hfft.sessions import Session

SIZES = (1, 16)  # rows of a batch at which a file is held against the model: one alone, and padded neighbours
OF_MASKS = (1, 4)
TENSOR = "pt"


class Served(torch.nn.Module):
    """A session, or an engine of it, that answers as the model of a `Backbone` does, by its arrays' names."""

    def __init__(self, session: Any, config: Any) -> None:
        super().__init__()
        self.session, self.config = session, config

    def forward(self, **arrays: torch.Tensor) -> Any:
        found = self.session.run({name: tensor.cpu().numpy() for name, tensor in arrays.items()})
        return SimpleNamespace(logits=torch.from_numpy(found))


def batches(
    backbone: Backbone, modality: ModuleType, rows: datasets.Dataset, spec: Model, size: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Arrays as the model takes them, `size` rows each, in the rows' order; of a text in windows, a row for each."""
    if modality.MASKS:
        for start in range(0, len(rows), size):
            images = [decoded(source) for source in rows["image"][start : start + size]]
            # With model.window pictures keep their size; here one window's size stands for all.
            yield dict(backbone.processor(images, do_resize=True, return_tensors=TENSOR))
        return
    prepared, _ = _prepared(backbone, modality, rows, spec)
    for places in _places(len(prepared), size):
        yield _padded(backbone, modality, prepared, places)


def held_against(backbone: Backbone, session: Session, found: Iterable[Mapping[str, torch.Tensor]]) -> dict[str, Any]:
    """Every batch through torch, on the CPU, and the session, one after the other and in turn first.

    {"rows", "largest_logit_gap", "label_flips", "speed": {"torch_ms", "exported_ms": median per row, "ratio": median of
    torch over exported, "low", "high": its interval, "batches"}}. Flips are of rows; of masks, of pixels, in "answers".
    """
    model, answer = backbone.model.cpu().eval(), answers_of(backbone.model)
    gap, flips, answers, rows, seconds = 0.0, 0, 0, 0, []
    for number, batch in enumerate(found):
        given = arrays(batch)
        ways = [partial(torch_logits, model, batch), partial(session.run, given)]
        if number == 0:  # a first call allocates and chooses kernels
            ways[0](), ways[1]()
        first = number % 2  # in turn first: what one leaves in the caches helps both alike
        took = {way: _clocked(ways[way]) for way in (first, 1 - first)}
        (expected, ours), (got, theirs) = took[0], took[1]
        size = len(expected)
        gap = max(gap, float(np.abs(expected.astype(np.float64) - got).max(initial=0.0)))
        differ = answer(expected) != answer(got)
        flips, answers, rows = flips + int(differ.sum()), answers + differ.size, rows + size
        seconds.append((ours / size, theirs / size))
    facts = {"rows": rows, "largest_logit_gap": gap, "label_flips": flips, "answers": answers}
    return facts | {"speed": _speed(np.array(seconds))}


def spread(rows: datasets.Dataset, n: int) -> datasets.Dataset:
    """At most `n` rows, spread evenly: files are often sorted."""
    return rows if len(rows) <= n else rows.select(np.linspace(0, len(rows) - 1, n).round().astype(int))


def median_interval(values: np.ndarray, level: float = 0.95) -> tuple[float | None, float | None]:
    """Interval of a median from order statistics; (None, None) where values are too few for the level.

    The k-th smallest and k-th largest of n hold it with probability 1 - 2 P(B < k), B binomial (n, 1/2): Conover,
    Practical Nonparametric Statistics, section 3.2.

    >>> median_interval(np.arange(1.0, 11.0))
    (2.0, 9.0)
    """
    n, ordered = len(values), np.sort(values)
    k = int(binom.ppf((1 - level) / 2, n, 0.5))
    if k < 1:
        return None, None
    return float(ordered[k - 1]), float(ordered[n - k])


def answers_of(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """What makes an answer of logits (n, classes, …): a number that two answers share only where they are the same."""
    return _applying if several(model) else _likeliest


def _likeliest(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits.argmax(axis=1))


def _applying(logits: np.ndarray) -> np.ndarray:
    """Which of several classes have a probability of at least one half, as one number per row."""
    return np.asarray((logits >= 0) @ (2.0 ** -np.arange(logits.shape[1])))


def _speed(seconds: np.ndarray) -> dict[str, Any]:
    """seconds: (batches, 2) per row, of torch and of the session. The ratio is a batch's own, so drifts cancel."""
    ratio = seconds[:, 0] / seconds[:, 1]
    low, high = median_interval(ratio)
    medians = (1000 * np.median(seconds, axis=0)).tolist()
    facts = {"torch_ms": medians[0], "exported_ms": medians[1], "ratio": float(np.median(ratio))}
    return facts | {"low": low, "high": high, "batches": len(ratio)}


def _prepared(
    backbone: Backbone, modality: ModuleType, rows: datasets.Dataset, spec: Model
) -> tuple[datasets.Dataset, np.ndarray | None]:
    inputs = [name for name in modality.ROLES if name in rows.column_names]
    return pooling.apart(modality.prepare(rows.select_columns(inputs), backbone.processor, spec))


def _padded(backbone: Backbone, modality: ModuleType, prepared: datasets.Dataset, places: Any) -> dict[str, Any]:
    return dict(modality.collator(backbone.processor)([prepared[int(place)] for place in places]))


def _places(n: int, size: int) -> Iterator[Sequence[int]]:
    return (range(start, min(start + size, n)) for start in range(0, n, size))


def arrays(batch: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """A batch as a session takes it."""
    return {name: tensor.numpy() for name, tensor in batch.items()}


@torch.no_grad()
def torch_logits(model: Any, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
    """float32 (n, …), where model and arrays are."""
    return model(**batch).logits.float().numpy()  # type: ignore[no-any-return]


def _clocked(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began
