"""A model's answer to every pixel of images at their own size, and what is counted of it: memory does not grow.

In: backbones that know the same classes, rows with `image` (and `mask`), the recipe's model section. Out: one mask of
answers at a time, or `MaskPredictions`, which hold an image's confusion matrix and no logits. It must not know which
split the rows are of.

Images are dealt to processes in whole batches whose make-up depends on the rows alone, so that one process and many
compute the same. On a CPU each image is a batch of its own and has one thread, several beside one another: how many
threads share a sum decides its last digit, and so now and then which of two classes a pixel is given. Where
`model.window` is set an image keeps its size and is read in overlapping windows, whose logits are averaged where they
overlap; otherwise it is resized, and its logits are brought back to the size of its mask.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import torch
from scipy.sparse import csr_array
from transformers import TrainingArguments

from hfft import agreeing, boundaries, counts, environment, forwarding, masks, upsampling
from hfft.backbones import Backbone, class_order
from hfft.errors import InputError
from hfft.mask_records import MaskPredictions
from hfft.picture_rows import decoded
from hfft.recipe import Model

BEFORE = "before"  # column of rows that a probe changed: what was answered before
WINDOWS = 8  # read together
OVERLAP = 1 / 3  # of neighbouring windows, where the recipe does not say


@dataclass(frozen=True)
class Answered:
    """place: of the row. truth: int16 (h, w), IGNORED where it counts nowhere. answer: int16 (h, w).

    before: what was answered before a probe changed the image, moved like it, or None.
    """

    place: int
    truth: np.ndarray
    answer: np.ndarray
    before: np.ndarray | None

    @property
    def flipped(self) -> float:
        """Share of the pixels answered otherwise than before; 0 where there is nothing to hold the answer against."""
        if self.before is None or not (known := self.before != masks.IGNORED).any():
            return 0.0
        return float((self.answer[known] != self.before[known]).mean())


def predict(
    parts: Sequence[Backbone], rows: datasets.Dataset, spec: Model, args: TrainingArguments, beside: int | None = None
) -> MaskPredictions:
    """What the models together answer for rows with `id` and `mask`; the same on one process and on many.

    beside: of `answers`; None for as many as this process has cores.
    """
    names = class_order(parts[0].model)

    def told(found: Answered) -> tuple[Any, ...]:
        off = boundaries.tolerance(*found.truth.shape)
        edges = boundaries.edges(found.truth, found.answer, len(names), off)
        matrix = counts.of_mask(found.truth, found.answer, len(names))
        there = np.flatnonzero(matrix)  # with 150 classes an image has some hundred of 22,500 cells
        return found.place, there, matrix[there], edges, found.flipped

    beside = _cores(args) if beside is None else beside
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # counting releases the interpreter while the model works
        mine = list(_ahead(pool, told, answers(parts, rows, spec, args, shared=True, beside=beside)))
    every = sorted(agreeing.gathered(mine, args.world_size), key=lambda row: row[0])
    ids = np.array(rows["id"][:], dtype=object)
    groups = np.array(rows["group"][:], dtype=object) if "group" in rows.column_names else None
    ends = np.cumsum([0, *(len(row[1]) for row in every)])
    where, pixels = (np.concatenate([row[i] for row in every]) for i in (1, 2))
    matrices = csr_array((pixels, where, ends), shape=(len(every), len(names) ** 2))
    flipped = np.array([row[4] for row in every]) if BEFORE in rows.column_names else None
    return MaskPredictions(ids, matrices, np.stack([row[3] for row in every]), names, groups, flipped)


def asker(
    parts: Sequence[Backbone], spec: Model, args: TrainingArguments
) -> Callable[[datasets.Dataset], list[np.ndarray]]:
    """The models as a function from rows to answers, int16 (h, w) each; on this process alone."""
    return lambda rows: [found.answer for found in answers(parts, rows, spec, args, beside=_cores(args))]


def probabilities(part: Backbone, rows: datasets.Dataset, args: TrainingArguments) -> np.ndarray:
    """Of whole images as the model puts them out, float32 (n, classes, h, w): for a comparison of few rows."""
    part.model.eval().to(args.device)
    with torch.inference_mode():
        return _whole(part, [decoded(source) for source in rows["image"][:]], args).softmax(1).cpu().numpy()


def answers(
    parts: Sequence[Backbone],
    rows: datasets.Dataset,
    spec: Model,
    args: TrainingArguments,
    shared: bool = False,
    beside: int = 0,
) -> Iterator[Answered]:
    """The answer to each row, one at a time, in the rows' order. shared: of the batches that fall to this process.

    beside: how many images are computed beside one another, each on one thread; 0 for batches of
    `per_device_eval_batch_size`, one after another, on all threads.
    """
    size = max(1, args.per_device_eval_batch_size) if not (spec.window or beside) else 1
    for part in parts:
        part.model.eval().to(args.device, memory_format=torch.channels_last)
    rank, world = (args.process_index, args.world_size) if shared else (0, 1)
    mine = [range(start, min(start + size, len(rows))) for start in range(0, len(rows), size)][rank::world]

    def asked(places: range, taken: datasets.Dataset, images: Sequence[Any]) -> Iterator[Answered]:
        truths = _truths(taken, images)
        known = taken[BEFORE][:] if BEFORE in taken.column_names else [None] * len(taken)
        made = _asked(parts, images, truths, spec, args)
        for place, truth, answer, before in zip(places, truths, made, known, strict=True):
            yield Answered(place, truth, answer, before and masks.ids(before))

    def alone(places: range) -> list[Answered]:
        taken = rows.select(places)
        with forwarding.on_threads(1):
            return list(asked(places, taken, [decoded(source) for source in taken["image"][:]]))

    with ThreadPoolExecutor(beside or os.cpu_count()) as pool:
        if beside:
            yield from itertools.chain.from_iterable(_ahead(pool, alone, iter(mine)))
            return

        def begun(places: range) -> tuple[datasets.Dataset, list[Any]]:
            taken = rows.select(places)
            return taken, [pool.submit(decoded, source) for source in taken["image"][:]]

        # A batch is decoded while the one before it is computed.
        ahead = begun(mine[0]) if mine else None
        for places, after in zip(mine, [*mine[1:], None], strict=False):
            assert ahead is not None
            (taken, decoding), ahead = ahead, begun(after) if after is not None else None
            yield from asked(places, taken, [one.result() for one in decoding])


def _cores(args: TrainingArguments) -> int:
    """Images beside one another: on an accelerator none, which computes a batch at once."""
    return environment.own_cores() if args.device.type == "cpu" else 0


def _truths(taken: datasets.Dataset, images: Sequence[Any]) -> list[np.ndarray]:
    """True masks; of rows without, masks of which no pixel counts."""
    if "mask" in taken.column_names:
        return [masks.ids(source) for source in taken["mask"][:]]
    return [np.full((image.height, image.width), masks.IGNORED, np.int16) for image in images]


@torch.inference_mode()
def _asked(
    parts: Sequence[Backbone], images: Sequence[Any], truths: Sequence[np.ndarray], spec: Model, args: TrainingArguments
) -> Iterator[np.ndarray]:
    """Answers, int16 (h, w) of each image's own size. Probabilities are averaged over models, logits over windows."""
    sizes = [truth.shape for truth in truths]
    each = [_windowed(part, images[0], spec, args) if spec.window else _whole(part, images, args) for part in parts]
    for place, size in enumerate(sizes):
        found = [upsampling.to_size(logits[place][None], size)[0] for logits in each]
        if not all(bool(torch.isfinite(logits).all()) for logits in found):
            raise InputError("the model's outputs are not numbers (NaN or infinite): its weights are damaged")
        told = found[0] if len(found) == 1 else torch.stack([logits.softmax(0) for logits in found]).mean(0)
        yield told.argmax(0).to(torch.int16).cpu().numpy()


def _whole(part: Backbone, images: Sequence[Any], args: TrainingArguments) -> torch.Tensor:
    """Logits (n, classes, h, w) of whole images, resized as the model's own processor does."""
    pixels = part.processor(list(images), return_tensors="pt")["pixel_values"]
    return _logits(part, pixels, args)


def _windowed(part: Backbone, image: Any, spec: Model, args: TrainingArguments) -> list[torch.Tensor]:
    """[logits (classes, h, w)] of one image at its own size, averaged where windows overlap."""
    size = part.processor.size
    window = (int(size["height"]), int(size["width"]))
    pixels = part.processor([image], do_resize=False, return_tensors="pt")["pixel_values"][0]
    height, width = pixels.shape[1:]
    room = (max(0, window[1] - width), max(0, window[0] - height))
    pixels = torch.nn.functional.pad(pixels, (0, room[0], 0, room[1]))  # 0 is the mean colour once it is normalised
    corners = [
        (top, left)
        for top in _starts(pixels.shape[1], window[0], spec.stride)
        for left in _starts(pixels.shape[2], window[1], spec.stride)
    ]
    total, seen = None, torch.zeros(pixels.shape[1:])
    for start in range(0, len(corners), WINDOWS):
        some = corners[start : start + WINDOWS]
        batch = torch.stack([pixels[:, top : top + window[0], left : left + window[1]] for top, left in some])
        found = upsampling.to_size(_logits(part, batch, args), window).cpu()
        total = torch.zeros(found.shape[1], *pixels.shape[1:]) if total is None else total
        for (top, left), logits in zip(some, found, strict=True):
            total[:, top : top + window[0], left : left + window[1]] += logits
            seen[top : top + window[0], left : left + window[1]] += 1
    assert total is not None
    return [(total / seen)[:, :height, :width]]


def _starts(length: int, window: int, stride: int | None) -> list[int]:
    """Where windows begin along an axis: evenly, the last one ending with the image.

    >>> _starts(10, 4, 3), _starts(4, 4, None), _starts(11, 4, 3)
    ([0, 3, 6], [0], [0, 2, 5, 7])
    """
    step = min(stride or max(1, round(window * (1 - OVERLAP))), window)
    count = max(1, math.ceil((length - window) / step) + 1)
    return [round(i * (length - window) / max(count - 1, 1)) for i in range(count)]


def _logits(part: Backbone, pixels: torch.Tensor, args: TrainingArguments) -> torch.Tensor:
    half = torch.bfloat16 if args.bf16 else torch.float16
    with torch.autocast(args.device.type, dtype=half, enabled=args.bf16 or args.fp16):
        found = part.model(pixel_values=pixels.to(args.device)).logits
    return found.float()  # type: ignore[no-any-return]


def _ahead(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
    """`work` on each item while the next are made; a few are held at a time, whatever their number."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > 2 * (os.cpu_count() or 1):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
