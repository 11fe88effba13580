"""What enters a model's head, computed once for every row: epochs of training the head alone then cost next to nothing.

In: a backbone whose head is one module, and rows. Out: the head as a model of its own, and its training and validation
rows; or the reason why they cannot be had. It must not know how the head is trained.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import shutil
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import torch
from transformers import TrainingArguments

from hfft import predicting, remembering, scratch
from hfft.backbones import Backbone
from hfft.recipe import Model
from hfft.records import content_of

IN_MEMORY = 256e6  # bytes of features; more of them are kept in a file that is mapped
CHUNK = 16_384  # rows whose features are computed at a time
NEAR = 1e-4  # of a logit


class Unfit(Exception):  # noqa: N818 - a reason, told in one line, and not an error
    """Why features cannot stand in for the model."""


class Head(torch.nn.Module):
    """The head alone: features → logits."""

    config = None  # Trainer asks for one where labels are smoothed

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.head(features)}


class Below(torch.nn.Module):
    """A model up to its head: inputs → {"features": what the head is given}, and "logits" where they are asked for.

    first: only the first token's, where the head looks at no other.
    """

    config = None

    def __init__(self, model: Any, head: Any, first: bool = False, logits: bool = False) -> None:
        super().__init__()
        self.model, self.first, self.logits = model, first, logits
        self.seen = threading.local()  # batches are computed beside one another
        self.handle = head.register_forward_pre_hook(self._keep, with_kwargs=True)

    def _keep(self, module: Any, args: Any, kwargs: Any) -> None:
        if len(args) != 1 or kwargs or not isinstance(args[0], torch.Tensor):
            raise Unfit("its head takes more than one input")
        self.seen.given.append(args[0])

    @torch.no_grad()
    def forward(self, **inputs: Any) -> dict[str, torch.Tensor]:
        self.seen.given = []
        logits = self.model(**inputs).logits
        if len(self.seen.given) != 1:
            raise Unfit(f"its head is used {len(self.seen.given)} times for each batch")
        features = self.seen.given.pop()
        features = (features[:, :1] if self.first else features).float()
        return {"features": features, "logits": logits} if self.logits else {"features": features}


class Rows(torch.utils.data.Dataset[Any]):
    """features: float32 (n, …). labels: as the loss takes them. A batch is fetched at once."""

    def __init__(self, features: np.ndarray, labels: Any) -> None:
        self.features, self.labels = features, torch.as_tensor(labels)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {name: values[0] for name, values in self.__getitems__([int(index)]).items()}

    def __getitems__(self, indices: list[int]) -> dict[str, torch.Tensor]:
        return {"features": torch.from_numpy(self.features[indices]), "labels": self.labels[indices]}


def collate(batch: Any) -> Any:
    """A batch that was fetched at once is one already."""
    return batch if isinstance(batch, dict) else torch.utils.data.default_collate(batch)


@dataclass(frozen=True)
class Precomputed:
    """model: the head. train, validation: what it is given, in batches that `collate` makes. numbers: per row.

    known: an earlier run in this process had computed them.
    """

    model: Head
    train: Rows
    validation: Rows
    numbers: int
    known: bool
    collate: Callable[[Any], Any] = collate


def features(
    backbone: Backbone,
    head: str,
    modality: ModuleType,
    train: datasets.Dataset,
    validation: datasets.Dataset,
    spec: Model,
    args: TrainingArguments,
    room: Path,
) -> Precomputed:
    """Features of all rows, the same on one process and on many. train, validation: rows with inputs and `labels`.

    room: a folder for them, made when they are large, and removed with them. Raises Unfit when the head on these
    features would not give the model's logits.
    """
    args = _predicting(args)
    below, key = _below(backbone, head, modality, train, spec, args)
    found, known = [], True
    try:
        for name, rows in (("train", train), ("validation", validation)):
            compute = partial(_computed, below, backbone, modality, rows, spec, args, room / f"{name}.npy")
            if "id" in rows.column_names:
                values, there = remembering.computed(key, [content_of(row) for row in rows["id"][:]], compute)
            else:
                values, there = compute(), False
            known &= there
            found.append(Rows(values, rows["labels"][:]))
    finally:
        below.handle.remove()
    done = Precomputed(
        Head(backbone.model.get_submodule(head)), found[0], found[1], int(np.prod(found[0].features.shape[1:])), known
    )
    if args.local_process_index == 0:
        weakref.finalize(done, shutil.rmtree, room, True)
    return done


def prime(
    backbone: Backbone, head: str, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: TrainingArguments
) -> None:
    """Compute the features of all `rows` together, so that any choice of them is known from then on.

    rows: with inputs, `id` and `labels`. Features that are too large for memory are not kept. Raises Unfit as
    `features` does.
    """
    args = _predicting(args)
    below, key = _below(backbone, head, modality, rows, spec, args)
    contents = [content_of(row) for row in rows["id"][:]]
    try:
        with scratch.folder("features") as room:
            compute = partial(_computed, below, backbone, modality, rows, spec, args, room / "all.npy")
            remembering.computed(key, contents, compute, whole=True)
    finally:
        below.handle.remove()


@torch.no_grad()
def logits(
    backbone: Backbone, head: str, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: TrainingArguments
) -> np.ndarray | None:
    """Logits (n, classes) of rows whose features are known from `prime`; None where they are not.

    The first batch is held against the whole model, which would show a head that is given something else there.
    """
    args = _predicting(args)
    key = _key(backbone, head, modality, spec, args)
    known = remembering.known(key, [content_of(row) for row in rows["id"][:]])
    if known is None:
        return None
    head_module = backbone.model.eval().get_submodule(head)
    given = torch.from_numpy(known).to(args.device)
    found = head_module.to(args.device)(given).float().cpu().numpy()

    def same() -> bool:
        few = rows.select(range(min(8, len(rows))))
        sample = predicting.outputs(backbone.model, backbone.processor, modality, few, spec, args)
        return bool(np.abs(found[: len(few)] - sample).max() <= NEAR)

    # Once: the key holds every number below the head, and `same` what a model is in itself.
    return found if remembering.told(f"{key} {head} {backbone.model} {NEAR}", same) else None  # type: ignore[no-any-return]


def _below(
    backbone: Backbone, head: str, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: TrainingArguments
) -> tuple[Below, str]:
    """(the model up to its head, tried on the first rows; what its features depend on)."""
    module = backbone.model.get_submodule(head)
    backbone.model.to(args.device)
    key, few = _key(backbone, head, modality, spec, args), rows.select(range(min(8, len(rows))))
    find = partial(_first_only, backbone, module, modality, few, spec, args)
    # Of one backbone heads differ in nothing but their numbers, and so do a batch's rows.
    return Below(backbone.model, module, remembering.told(f"{key} {head} {module} {NEAR}", find)), key


def _key(backbone: Backbone, head: str, modality: ModuleType, spec: Model, args: TrainingArguments) -> str:
    """Digest of what the features of a row depend on, down to the last bit, but for the rows themselves."""
    layout = (args.world_size, args.per_device_eval_batch_size, args.device.type, args.bf16, args.fp16, args.tf32)
    made = hashlib.blake2b(f"{modality.__name__} {dataclasses.astuple(spec)} {layout}".encode(), digest_size=16)
    for name, tensor in sorted(backbone.model.state_dict().items()):
        if not name.startswith(f"{head}."):
            made.update(name.encode())
            made.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return made.hexdigest()


def _predicting(args: TrainingArguments) -> TrainingArguments:
    """The same arguments for prediction in full precision of what is kept: nothing is evaluated or cast."""
    plain = copy.copy(args)
    plain.eval_strategy, plain.load_best_model_at_end = "no", False  # type: ignore[assignment]
    plain.fp16_full_eval = plain.bf16_full_eval = False  # they would cast the model itself
    return plain


@torch.no_grad()
def _first_only(
    backbone: Backbone, head: Any, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: TrainingArguments
) -> bool:
    """Whether the head looks at the first token alone. Raises Unfit unless it gives the model's logits for a batch."""
    inputs = [name for name in modality.ROLES if name in rows.column_names]
    prepared = modality.prepare(rows.select_columns(inputs), backbone.processor, spec)
    batch = modality.collator(backbone.processor)([prepared[i] for i in range(len(prepared))])
    below = Below(backbone.model, head, logits=True).eval()
    try:
        found = below(**{name: tensor.to(args.device) for name, tensor in batch.items()})
    finally:
        below.handle.remove()
    features, logits = found["features"], found["logits"]
    if _apart(head, features, logits) > NEAR:
        raise Unfit("its head on these features does not give the model's logits")
    if features.ndim != 3:
        return False
    if _apart(head, features[:, :1], logits) <= NEAR:
        return True
    if "input_ids" in batch:
        raise Unfit("its head reads every token of a text, and texts have different lengths")
    return False


def _apart(head: Any, features: torch.Tensor, logits: torch.Tensor) -> float:
    """The largest difference of a logit."""
    got = head(features)
    if not isinstance(got, torch.Tensor) or got.shape != logits.shape:
        return float("inf")
    return float((got.float() - logits.float()).abs().max())


def _computed(
    below: Below,
    backbone: Backbone,
    modality: ModuleType,
    rows: datasets.Dataset,
    spec: Model,
    args: TrainingArguments,
    path: Path,
) -> np.ndarray:
    """Features (n, …), in memory or, when they are large, in a file that one process of each machine writes."""
    out, writes, mapped = np.empty(0), args.local_process_index == 0, False
    for start in range(0, len(rows), CHUNK):
        part = rows.select(range(start, min(start + CHUNK, len(rows))))
        values = predicting.outputs(below, backbone.processor, modality, part, spec, args).astype(np.float32)
        if start == 0:
            shape = (len(rows), *values.shape[1:])
            mapped = np.prod(shape, dtype=float) * 4 > IN_MEMORY
            if mapped and writes:
                path.parent.mkdir(parents=True, exist_ok=True)
                out = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            elif not mapped:
                out = np.empty(shape, np.float32)
        if writes or not mapped:
            out[start : start + len(values)] = values
    if not mapped:
        return out
    if isinstance(out, np.memmap):
        out.flush()
    if args.world_size > 1:
        torch.distributed.barrier()
    return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
