"""Inputs through a model without a Trainer: logits in the order they came, batches of like length, hardly any padding.

In: an `Engine` (torch, or a session of an exported file), texts or pictures, the recipe's model section. Out: logits.
It must not know where inputs come from, nor what is made of the logits.

Rows are sorted by length, and a batch holds rows of one length where there are enough of them: no padding, no mask, and
torch takes its fastest attention. A batch is bounded by its tokens, so that memory does not depend on the lengths.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from hfft import pooling, token_table
from hfft.tokenising import Tokenising

TOKENS = 2048  # of a batch, padding among them
ROWS = 256  # of a batch
FEWEST = 8  # rows below which a batch takes shorter ones in, and pads them


class Engine(Protocol):
    """names: classes in the order of the outputs. inputs: arrays the model takes. processor: tokenizer or such.

    workers: batches computed beside one another. tokens, pictures: of a batch, where nobody says. each_alone: one
    thread a batch.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def several(self) -> bool: ...

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def processor(self) -> Any: ...

    @property
    def workers(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def pictures(self) -> int: ...

    def each_alone(self) -> contextlib.AbstractContextManager[None]: ...

    def run(self, arrays: Mapping[str, Any]) -> np.ndarray:
        """Logits, float32 (n, …), of arrays with n rows."""


@contextlib.contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Within it, torch computes a batch by so many threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def of_texts(
    engine: Engine, encode: Tokenising, columns: Mapping[str, list[Any]], tokens: int | None = None
) -> np.ndarray:
    """Logits, float32 (n, classes). columns: `text` and perhaps `text_pair`. Of windows, the mean of each text's."""
    n = len(columns["text"])
    if n == 0:
        return np.zeros((0, len(engine.names)), dtype=np.float32)
    made = dict(encode(dict(columns), range(n))) if encode.spreads else dict(encode(dict(columns)))
    owners = made.pop(pooling.OWNER, None)
    arrays = {name: values for name, values in made.items() if name in engine.inputs}
    lengths = np.fromiter(map(len, made["input_ids"]), dtype=np.int64)
    table = token_table.of_lists(arrays, lengths, engine.processor)
    out = np.empty((len(lengths), len(engine.names)), dtype=np.float32)
    every = list(batches(lengths, tokens or engine.tokens))
    for places, found in zip(every, each(engine, table.batch, every), strict=True):
        out[places] = found
    return pooling.mean(out, None if owners is None else np.asarray(owners, dtype=np.int64))


def batches(lengths: np.ndarray, tokens: int = TOKENS, rows: int = ROWS, fewest: int = FEWEST) -> Iterator[np.ndarray]:
    """Places of rows that go together, the longest first; each place once. lengths: tokens of each row, int (n,).

    >>> [places.tolist() for places in batches(np.array([3, 9, 3, 9]), fewest=1)]
    [[1, 3], [0, 2]]
    """
    order = np.argsort(-lengths, kind="stable")
    sizes, start = lengths[order], 0
    while start < len(order):
        longest = int(sizes[start])
        most = min(rows, max(1, tokens // max(longest, 1)))
        alike = int(np.searchsorted(-sizes, -longest, side="right")) - start
        end = start + min(most, max(alike, fewest))
        yield order[start:end]
        start = min(end, len(order))


def of_pictures(engine: Engine, images: Sequence[Any], size: int | None = None) -> np.ndarray:
    """Logits, float32 (n, classes), of decoded RGB pictures. size: of a batch."""
    size = size or engine.pictures

    def pixels(some: Sequence[Any]) -> dict[str, Any]:
        return {"pixel_values": engine.processor(list(some), return_tensors="pt")["pixel_values"]}

    nothing = np.zeros((0, len(engine.names)), dtype=np.float32)
    return np.concatenate([nothing, *each(engine, pixels, [images[i : i + size] for i in range(0, len(images), size)])])


def each(engine: Engine, prepare: Callable[[Any], dict[str, Any]], jobs: Sequence[Any]) -> Generator[np.ndarray]:
    """Logits of each job, in their order, as many at once as the engine has workers."""
    if engine.workers == 1 or len(jobs) < 2:
        yield from (engine.run(prepare(job)) for job in jobs)
        return
    with engine.each_alone():
        yield from _pool(engine.workers).map(lambda job: engine.run(prepare(job)), jobs)


@functools.cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """The same threads all the time: MKL keeps half a megabyte of each that has ended."""
    return ThreadPoolExecutor(workers)
