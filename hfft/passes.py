"""One pass of rows through a torch model: what it puts out for each, in their order, on any layout, as fast as it goes.

In: a model, prepared rows, what makes a batch of them, arguments. Out: arrays, the same on every process. It must not
know labels, nor what is made of the outputs. Nothing that training goes by is changed: no random number is drawn, and
every module is in the mode that it was in.

Texts are sorted by length, and a batch is bounded by its tokens (see forwarding.py); batches are made up by the rows
alone, so that one process and many compute the same. On a CPU batches run beside one another, one thread each (how
many threads share a product decides in which order it is summed), and a picture is decoded while another one is
computed; for an accelerator threads make batches ahead of it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hfft import agreeing, arranging, environment, forwarding, packed_linear, token_table

WINDOW = 1 << 16  # rows that are sorted together: their tokens are in memory
TOKENS = {"cpu": 512}  # of a batch: activations of a thread stay small, and in its caches
MOST_TOKENS = 32768  # of a batch on an accelerator
PIXELS = 1 << 18  # of a batch of pictures on a CPU: five of 224 x 224, whose activations stay in the caches
WORTH = 64  # rows below which laying out weights anew does not pay

Batch = dict[str, Any]
Prepare = Callable[[np.ndarray], Batch]  # places of rows → arrays or tensors


@dataclass(frozen=True)
class Pass:
    """batches: places of rows, each row in one. prepare: a batch, perhaps on another thread."""

    batches: tuple[np.ndarray, ...]
    prepare: Prepare


def outputs(
    model: Any,
    rows: Any,
    collate: Callable[[Any], Any],
    processor: Any,
    args: Any,
    after: Callable[[np.ndarray], None] | None = None,
    layer: packed_linear.Make | None = None,
) -> np.ndarray:
    """What the model puts out first for each row, (n, …). rows: prepared, without labels or with them.

    args: TrainingArguments: device, precision, processes, and the most rows of a batch. after: is told the places of
    each batch that is done here. layer: what stands in for linear layers (see packed_linear.answering).
    """
    found: list[np.ndarray] = []
    size = WINDOW if hasattr(rows, "select") else max(len(rows), 1)
    with _answering(model, args, len(rows), layer):
        for start in range(0, max(len(rows), 1), size):
            part = rows.select(range(start, min(start + size, len(rows)))) if len(rows) > size else rows
            found.append(_one(model, planned(part, collate, processor, args), args, after))
    arranging.give_back()  # what one model needed would stand beside what the next one does
    return found[0] if len(found) == 1 else np.concatenate(found)


def planned(rows: Any, collate: Callable[[Any], Any], processor: Any, args: Any) -> Pass:
    """How rows are asked: texts by length, others as they come."""
    most, cpu = max(1, args.per_device_eval_batch_size), args.device.type == "cpu"
    if (table := token_table.of(rows, processor)) is not None:
        tokens = TOKENS.get(args.device.type, MOST_TOKENS)
        return Pass(tuple(forwarding.batches(table.lengths, tokens, rows=most)), table.batch)

    def fetched(places: np.ndarray) -> Batch:
        chosen = [int(place) for place in places]
        # A whole batch at once where the rows can: `datasets` then decodes and changes them together.
        given = rows.__getitems__(chosen) if hasattr(rows, "__getitems__") else [rows[place] for place in chosen]
        batch = dict(collate(given))
        batch.pop("labels", None)
        return batch

    if cpu and len(rows):
        pixels = fetched(np.array([0])).get("pixel_values")
        if pixels is not None:
            most = min(most, max(1, PIXELS // max(1, pixels[0, 0].numel())))
    return Pass(tuple(np.arange(i, min(i + most, len(rows))) for i in range(0, len(rows), most)), fetched)


@dataclass(frozen=True)
class _Engine:
    """As forwarding.each takes it. half: what is computed in, where not in the model's own type."""

    model: Any
    device: Any
    half: Any
    workers: int

    def each_alone(self) -> contextlib.AbstractContextManager[None]:
        return forwarding.on_threads(1)  # batches beside one another are faster than threads in one

    def run(self, arrays: Batch) -> np.ndarray:
        given = {name: self._there(torch.as_tensor(array)) for name, array in arrays.items()}
        with torch.inference_mode(), torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            found = self.model(**given)
        first = found if torch.is_tensor(found) else _first(found)
        return (first.float() if first.dtype in (torch.bfloat16, torch.float16) else first).cpu().numpy()  # type: ignore[no-any-return]

    def _there(self, tensor: torch.Tensor) -> torch.Tensor:
        moved = tensor.to(self.device, non_blocking=True)
        kind = getattr(self.model, "dtype", None)
        return moved.to(kind) if moved.is_floating_point() and kind in (torch.bfloat16, torch.float16) else moved


def _first(found: Any) -> torch.Tensor:
    """Logits, or what there is in their place."""
    if isinstance(found, dict):
        return found["logits"] if "logits" in found else next(iter(found.values()))  # type: ignore[no-any-return]
    return found[0]  # type: ignore[no-any-return]


def _one(model: Any, plan: Pass, args: Any, after: Callable[[np.ndarray], None] | None) -> np.ndarray:
    mine = [places for number, places in enumerate(plan.batches) if number % args.world_size == args.process_index]
    cpu = args.device.type == "cpu"
    half = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else None
    engine: Any = _Engine(model, args.device, half, environment.own_cores() if cpu else 1)
    each = forwarding.each(engine, plan.prepare, mine) if cpu else _ahead(engine, plan.prepare, mine)
    made = []
    # A batch that is the only one, too. Closed before that ends: a generator left open would set its own number later.
    with forwarding.on_threads(1) if cpu else contextlib.nullcontext(), contextlib.closing(each):
        for places, values in zip(mine, each, strict=True):
            made.append((places, values))
            if after is not None:
                after(places)
    every = agreeing.gathered(made, args.world_size)
    n = sum(len(places) for places in plan.batches)
    out = np.empty((n, *every[0][1].shape[1:]), every[0][1].dtype) if every else np.empty((0, 0), np.float32)
    for places, values in every:
        out[places] = values
    return out


def _ahead(engine: _Engine, prepare: Prepare, jobs: Sequence[np.ndarray]) -> Generator[np.ndarray]:
    """Batches are made by threads while the accelerator computes; a few are held at a time."""
    threads = min(8, environment.cores())
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for job in jobs:
            waiting.append(pool.submit(prepare, job))
            if len(waiting) > 2 * threads:
                yield engine.run(waiting.popleft().result())
        while waiting:
            yield engine.run(waiting.popleft().result())


@contextlib.contextmanager
def _answering(model: Any, args: Any, rows: int, layer: packed_linear.Make | None) -> Iterator[None]:
    """Within it the model is ready to answer where `args` say; afterwards its modules are in their own modes again."""
    modes = [(module, module.training) for module in model.modules()]
    model.train().eval().to(args.device)  # some models keep what they computed in evaluation until they train
    if whole := torch.float16 if args.fp16_full_eval else torch.bfloat16 if args.bf16_full_eval else None:
        model.to(whole)
    pays = layer is not None or rows >= WORTH
    plain = args.device.type != "cpu" or args.bf16 or args.fp16 or whole or not pays
    try:
        with contextlib.nullcontext() if plain else packed_linear.answering(model, layer):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
