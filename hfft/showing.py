"""The first training batch as the model gets it, so that one can look: `hfft show RECIPE --batch`.

In: a recipe. Out: plain facts, and a PNG file of pictures. It begins a real training and ends it when the first batch
is there: what a sampler, an augmentation or a mixing does is seen because it has happened. Like verbs.py, this is a
place where stages meet.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from PIL import Image

from hfft import (
    augmenting,
    backbones,
    contact_sheet,
    gathering,
    overlays,
    predicting,
    recipe,
    scratch,
    trainer_arguments,
    training,
)
from hfft.class_weights import Frequencies
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.recipe import Adapt, Speed
from hfft.run_folder import RunFolder

ENOUGH = 0.005  # of a label: below this a share is not written out
NEEDED = 8  # validation rows handed to a training that never validates


class TakenError(Exception):
    """The batch is there: training may end."""


class First(transformers.TrainerCallback):
    """Takes the first batch of epoch 0 from the trainer's own loader, and ends the training."""

    speed = 0.0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any) -> None:
        self.batch: dict[str, torch.Tensor] = next(iter(train_dataloader))
        order = getattr(train_dataloader, "batch_sampler", None)
        places: list[int] = [] if order is None else list(next(iter(order)))
        drawn = getattr(train_dataloader.dataset, "drawn", None)  # by a sampler: rows of the data, some of them twice
        self.places = places if drawn is None else [int(drawn[place]) for place in places]
        raise TakenError


def batch(name: str, overrides: tuple[str, ...] = (), target: str | None = None, say: Say = print) -> dict[str, Any]:
    """Read the data as training would, and show its first batch: {"recipe", "task", "labels", …}.

    Pictures: {"file"}, written to `target` (default: NAME_batch.png here), which must not exist. Texts: {"texts":
    [{"original", "read", "tokens", "of"}]}. Raises InputError under a launcher of several processes.
    """
    if (count := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise InputError(f"a batch is shown by one process, but {count} were launched; type it without the launcher")
    stem, _ = recipe.locate(name)
    wanted = recipe.load(name, overrides)
    pictures = not wanted.task.startswith("text_")
    path = Path(target or f"{stem}_batch.png")
    if target is not None and not pictures:
        raise InputError(f"{target}: texts are printed, not drawn; leave the file out")
    if pictures and path.exists():
        raise InputError(f"{path} exists and is not overwritten; type another name behind --batch")
    found = gathering.read(wanted, say)
    labels, modality = found.splits.labels, found.modality
    gathering.check_names(wanted, labels)
    transformers.set_seed(wanted.seed)
    backbone = backbones.load(wanted.model, modality, labels, wanted.data.multi_label)
    train = gathering.training_rows(found, wanted, backbone)
    classes = gathering.frequencies(found, backbone)
    taken = _taken(wanted, backbone, modality, train, found.splits.parts["validation"], classes)
    names, given = backbones.class_order(backbone.model), taken.batch["labels"]
    told = _present(given, names) if wanted.masks else _labels(given, names, wanted.data.multi_label)
    facts = {"recipe": name, "task": wanted.task, "labels": told}
    if not pictures:
        return facts | {"texts": _texts(taken, train, modality, backbone.processor)}
    shown = _colours(taken.batch["pixel_values"], backbone.processor)
    if wanted.masks:
        pairs = zip(shown, given.numpy(), strict=True)
        shown = np.stack([np.asarray(overlays.painted(Image.fromarray(one), mask, names)) for one, mask in pairs])
    contact_sheet.draw(path, shown, told)
    return facts | {"file": str(path)}


def _taken(
    wanted: Any, backbone: Any, modality: Any, train: Any, validation: datasets.Dataset, classes: Frequencies
) -> First:
    """What training does until its first batch is there, in a folder that goes away."""
    watch = First()
    quiet = {"eval_on_start": False, "report_to": "none"}
    with scratch.folder("batch") as place:
        run = RunFolder(place / "run")
        # What is trained does not change what is read, and features computed once would take its place.
        wanted = replace(wanted, train=wanted.train | quiet, adapt=Adapt(), speed=Speed("fp32", False))
        args = trainer_arguments.arguments(wanted, run)
        few = predicting.labelled(validation.select(range(min(NEEDED, len(validation)))), backbone)
        try:
            training.fit(wanted, args, backbone, modality, train, few, run, watch=watch, found=classes)
        except TakenError:
            return watch
    raise InputError("training ended before its first batch")


def _labels(labels: torch.Tensor, names: Sequence[str], several: bool) -> list[str]:
    """Each row's label as a person reads it: a name, names, or names with their shares where rows were mixed."""
    if labels.ndim == 1:
        return [names[int(label)] for label in labels]
    if several:
        return [", ".join(name for name, own in zip(names, row, strict=True) if own > 0.5) or "none" for row in labels]
    out = []
    for row in labels.tolist():
        parts = sorted(((share, k) for k, share in enumerate(row) if share >= ENOUGH), key=lambda part: -part[0])
        whole = len(parts) == 1
        out.append(" + ".join(names[k] if whole else f"{names[k]} ({100 * share:.0f} %)" for share, k in parts))
    return out


def _present(labels: torch.Tensor, names: Sequence[str]) -> list[str]:
    """The two classes with the most pixels of each mask, with their shares."""
    out = []
    for mask in labels:
        count = torch.bincount(mask[mask >= 0].flatten(), minlength=len(names))
        order = count.argsort(descending=True, stable=True)[:2].tolist()
        shares = [(names[k], float(count[k]) / max(1, mask.numel())) for k in order if count[k]]
        out.append(" + ".join(f"{name} ({share:.0%})" for name, share in shares) or "nothing that counts")
    return out


def _colours(pixels: torch.Tensor, processor: Any) -> np.ndarray:
    """Pixels as a screen shows them, uint8 (n, height, width, 3)."""
    known = augmenting.geometry(processor)
    mean, std = (np.asarray(known[key], dtype=float) for key in ("mean", "std"))
    shown: np.ndarray = pixels.permute(0, 2, 3, 1).double().numpy() * std + mean
    return (255 * shown).round().clip(0, 255).astype(np.uint8)


def _texts(taken: First, train: Any, modality: Any, processor: Any) -> list[dict[str, Any]]:
    """Each text beside what the model reads of it. Of a stream there is no original: it has gone by."""
    ids, mask = taken.batch["input_ids"].tolist(), taken.batch.get("attention_mask")
    counts = [len(row) for row in ids] if mask is None else mask.sum(dim=1).tolist()
    originals: list[list[str] | None] = [None] * len(ids)
    if isinstance(train, datasets.Dataset) and len(taken.places) == len(ids):
        roles = [role for role in modality.ROLES if role in train.column_names]
        originals = [[train[place][role] or "" for role in roles] for place in taken.places]
    out = []
    for row, count, original in zip(ids, counts, originals, strict=True):
        whole = None if original is None else len(processor(*original, truncation=False, verbose=False)["input_ids"])
        read = processor.decode(row, skip_special_tokens=True)
        shown = None if original is None else " | ".join(original)
        out.append({"original": shown, "read": read, "tokens": int(count), "of": whole})
    return out
