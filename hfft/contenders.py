"""Pretrained models before anything is trained: whether they fit the task, what they cost, and what they see.

In: a `Model` of a recipe, a modality, rows. Out: plain facts, and features. It must not know labels.
"""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import torch
import transformers

from hfft import backbones, features, licences, locating, pooling, references
from hfft.backbones import Backbone
from hfft.errors import InputError
from hfft.model_files import trust
from hfft.recipe import Model

BATCH, BATCHES = 32, 6  # rows of a batch that is timed, and how many, the first for warm-up
ROUNDS, LONG = 3, 4.0  # each batch counts at its quickest: what else the machine does is no cost of the model; seconds
HELD = 24  # bytes per number: as it came, as it is kept, scaled to fit a regression, and squared for the evidence
WEIGHTS = ("*.safetensors", "*.bin")


def fits(spec: Model, modality: ModuleType) -> None:
    """Raise InputError unless the model can be had and is one for the task; reads no weights."""
    try:
        backbones.processor(spec, modality)
    except InputError as error:
        if kind := _foreign(spec, modality):
            task = "texts" if modality.INPUT == "text" else "pictures"
            raise InputError(
                f"model.name {spec.name!r} is a {kind}: no model for {task}, which the recipe has"
            ) from error
        raise


def _foreign(spec: Model, modality: ModuleType) -> str | None:
    """The kind of a model that there is no form of for this task; None where that cannot be told."""
    try:
        config = transformers.AutoConfig.from_pretrained(references.resolve(spec.name), **trust(spec))
    except (OSError, *locating.DOES_NOT_FIT, InputError):
        return None
    known = getattr(transformers, modality.AUTO_CLASS)._model_mapping
    return None if type(config) in known else str(config.model_type)


def seen(
    backbone: Backbone, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: Any
) -> tuple[dict[str, Any], np.ndarray]:
    """(what it costs: see below, features, float32 (n, d)).

    ms_per_row: median over batches of `batch` rows as they come, each at the quickest of three tries; the model's own
    time, not reading, decoding or tokenising. clock: whose time, one core's or the accelerator's. width: numbers that a
    row becomes. memory_mb is the most that an accelerator held, where there is one.
    Raises InputError where features do not fit into memory, or are no numbers.
    """
    batches, share = _batches(backbone, modality, rows, spec)
    cost = _timed(backbone, batches, args) | {"batch": min(BATCH, len(rows))}
    cost["ms_per_row"] *= share
    check_room(spec.name, len(rows), cost["width"], memory_left())
    facts = about(backbone, spec) | cost
    facts["memory_mb"] = max(facts["memory_mb"], cost.pop("accelerator_mb"))
    facts.pop("accelerator_mb")
    return facts, features.extract(backbone, modality, rows, spec, args)


def about(backbone: Backbone, spec: Model) -> dict[str, Any]:
    """Parameters, megabytes in memory and on disk (None: no file here), licence, whether weights are pretrained."""
    tensors = [*backbone.model.parameters(), *backbone.model.buffers()]
    return {
        "parameters": backbone.parameters,
        "memory_mb": sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6,
        "disk_mb": disk_mb(spec) if spec.pretrained else None,
        "licence": licences.licence(spec.name),
        "pretrained": spec.pretrained,
    }


def check_room(name: str, rows: int, width: int, free: float | None) -> None:
    """Raise InputError where features of `rows` rows, `width` numbers each, need more than `free` bytes."""
    needed = rows * width * HELD
    if free is not None and needed > free:
        raise InputError(
            f"{name}: {width:,} features of {rows:,} rows need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
            f"free; type --rows {max(int(0.8 * free / width / HELD), 1)}"
        )


def memory_left() -> float | None:
    """Bytes that this process may still take: the machine's, or the container's where that is less."""
    found = []
    try:
        told = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        found += [int(told[1]) * 1024.0] if told else []
        most, now = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        found += [float(most) - float(now)] if most != "max" else []
    except OSError:
        pass
    return min(found, default=None)


def disk_mb(spec: Model) -> float | None:
    """Megabytes of the weights' files; None where they are not on this disk."""
    path = Path(references.resolve(spec.name))
    if references.is_file(path):
        return path.stat().st_size / 1e6
    if not references.is_folder(path):
        kept = references.cached(spec.name, "model.safetensors", spec.revision)
        return kept.stat().st_size / 1e6 if kept else None
    held = next((files for kind in WEIGHTS if (files := list(path.glob(kind)))), [])
    return sum(file.stat().st_size for file in held) / 1e6 or None


def _batches(
    backbone: Backbone, modality: ModuleType, rows: datasets.Dataset, spec: Model
) -> tuple[list[dict[str, torch.Tensor]], float]:
    """(batches of rows in the order they have, model inputs per row, more than 1 where a text is cut into windows)."""
    inputs = [name for name in modality.ROLES if name in rows.column_names]
    some = rows.select(range(min(len(rows), BATCH * BATCHES))).select_columns(inputs)
    prepared, _ = pooling.apart(modality.prepare(some, backbone.processor, spec))
    collate = modality.collator(backbone.processor)
    starts = range(0, max(len(prepared) - BATCH, 0) + 1, BATCH)
    made = [collate([prepared[i] for i in range(at, min(at + BATCH, len(prepared)))]) for at in starts]
    return made[:BATCHES], len(prepared) / len(some)


@torch.no_grad()
def _timed(backbone: Backbone, batches: list[dict[str, torch.Tensor]], args: Any) -> dict[str, Any]:
    """{ms_per_row, clock: of what, width of its features, accelerator_mb}."""
    model, card = backbone.model.eval().to(args.device), args.device.type == "cuda"
    if card:
        torch.cuda.reset_peak_memory_stats()
    pooled = features.Pooled(model)
    width = pooled(**{name: tensor.to(args.device) for name, tensor in batches[0].items()})["features"].shape[1]
    timed = [{name: tensor.to(args.device) for name, tensor in batch.items()} for batch in batches[1:] or batches]
    started, best = time.perf_counter(), [float("inf")] * len(timed)
    # On a busy machine the wall clock tells of the others, above all where threads wait for one another: on CPU it is
    # the time that one thread has worked, which is what the model costs a core.
    clock, threads = time.perf_counter if card else time.thread_time, torch.get_num_threads()
    torch.set_num_threads(threads if card else 1)
    try:
        for _ in range(ROUNDS):
            for place, given in enumerate(timed):
                began = clock()
                model(**given)
                if card:
                    torch.cuda.synchronize()
                best[place] = min(best[place], (clock() - began) / len(next(iter(given.values()))))
            if time.perf_counter() - started > LONG:
                break
    finally:
        torch.set_num_threads(threads)
    peak = torch.cuda.max_memory_allocated() / 1e6 if card else 0.0
    clock_name = "the accelerator" if card else "one core"
    return {
        "ms_per_row": 1000 * statistics.median(best),
        "width": int(width),
        "accelerator_mb": peak,
        "clock": clock_name,
    }
