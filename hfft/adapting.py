"""What of the model is trained: `adapt:` of a recipe, put into effect before training and taken back after it.

In: a recipe and its backbone. Out: what the Trainer trains, on what, with which rates and callbacks; at the end a plain
model again. Whatever is frozen, unfrozen or adapted in between, the saved model has the names it always had.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import datasets
from transformers import Trainer, TrainingArguments

from hfft import anatomy, batch_norms, freezing, low_rank, mean_weights, precomputing, predicting, timeline
from hfft.backbones import Backbone
from hfft.errors import InputError, counted
from hfft.precomputing import Precomputed
from hfft.recipe import Adapt, Augment, Recipe
from hfft.run_folder import RunFolder

Say = Callable[[str], None]
MAPS = "for masks they are whole maps at several sizes, larger than the pictures"
FALL_BACK = "features are not computed once"


def trained(adapt: Adapt, backbone: Backbone) -> int:
    """Parameters that are trained, at first where blocks are unfrozen later. Raises InputError for what does not fit
    the model: too many blocks, no blocks, no layer for an adapter. Changes nothing.
    """
    if not _touches(adapt):
        return backbone.parameters
    found = anatomy.dissect(backbone.model, backbone.fresh)
    if adapt.layer_decay is not None:
        freezing.rates(adapt.layer_decay, found)
    level = freezing.level(adapt.freeze, found) if adapt.lora is None else found.top
    above = [p for name, p in backbone.model.named_parameters() if p.requires_grad and found.depth(name) > level]
    extra = 0
    if adapt.lora is not None:
        names = low_rank.targets(backbone.model, found, adapt.lora)
        extra = low_rank.count(backbone.model, names, adapt.lora.r)
    return sum(parameter.numel() for parameter in above) + extra


def told(adapt: Adapt, backbone: Backbone) -> str:
    """How many parameters there are and, where they are not all trained, how many of them are."""
    every, some = backbone.parameters, trained(adapt, backbone)
    if not _touches(adapt) or (some == every and adapt.lora is None):
        return f"{every / 1e6:.1f} M parameters"
    shown = f"{some / 1e6:.1f} of {every / 1e6:.1f} M" if some >= 1e6 else f"{some:,} of {every / 1e6:.1f} M"
    return f"{shown} parameters trained{' at first' if adapt.unfreeze else ''}"


def saved(adapt: Adapt, backbone: Backbone) -> tuple[int, int]:
    """(parameters in a checkpoint, at the least; parameters with moments of an optimizer, at the most)."""
    some = trained(adapt, backbone)
    light = adapt.lora is not None or (adapt.freeze == "backbone" and not adapt.unfreeze)
    return (some if light else backbone.parameters), (backbone.parameters if adapt.unfreeze else some)


def costliest(adapt: Adapt) -> Adapt:
    """What it is in its most expensive epoch."""
    return dataclasses.replace(adapt, freeze="none", unfreeze=False) if adapt.unfreeze else adapt


def check_average(adapt: Adapt, checkpoints: int) -> None:
    """Raise InputError when a run makes fewer checkpoints than are to be averaged."""
    if adapt.average is not None and checkpoints < adapt.average:
        raise InputError(
            f"adapt.average: {adapt.average} checkpoints are to be averaged, but this run makes "
            f"{counted(checkpoints, 'checkpoint')}; type train.num_train_epochs={adapt.average} or more, or save more "
            "often with train.save_strategy=steps"
        )


@timeline.phase("evaluate")
def predictions(
    wanted: Recipe, saved: Backbone, modality: ModuleType, rows: datasets.Dataset, args: TrainingArguments
) -> Any:
    """The saved model's answers to rows with `id`, `label` and inputs: of a head alone where their features are known.

    saved: as reloaded from the run folder.
    """
    known = None
    if wanted.adapt.freeze == "backbone" and not wanted.adapt.unfreeze and not wanted.masks:
        head = anatomy.dissect(saved.model, saved.fresh).head
        known = precomputing.logits(saved, head[0], modality, rows, wanted.model, args) if len(head) == 1 else None
    return predicting.predict(saved, modality, rows, wanted.model, args, known)


class Adaptation:
    """The backbone as it is to be trained. model: what the Trainer is given. callbacks: what goes with it. rates: share
    of the learning rate by parameter, or None. seconds: that features took.
    """

    def __init__(self, wanted: Recipe, args: TrainingArguments, backbone: Backbone, say: Say) -> None:
        self.wanted, self.args, self.backbone, self.say = wanted, args, backbone, say
        self.model: Any = backbone.model
        self.callbacks: list[Any] = []
        self.rates: Callable[[str], float] | None = None
        self.seconds = 0.0
        self.cached: Precomputed | None = None
        self.adapters: low_rank.Adapters | None = None
        self.freezing: freezing.Freezing | None = None
        self.still = batch_norms.keep(backbone.model) if wanted.adapt.freeze_statistics else None
        if wanted.adapt.freeze_statistics and self.still is None:
            raise InputError("adapt.freeze_statistics: this model has no BatchNorm; leave the key out")
        if not _touches(wanted.adapt):
            return
        adapt, model = wanted.adapt, backbone.model
        self.anatomy = found = anatomy.dissect(model, backbone.fresh)
        start = freezing.level(adapt.freeze, found)
        if adapt.layer_decay is not None:
            self.rates = freezing.rates(adapt.layer_decay, found)
        self.freezing = freezing.Freezing(model, found.places, found.depth)
        if adapt.lora is not None:
            names = low_rank.targets(model, found, adapt.lora)
            self.adapters = low_rank.Adapters(model, names, found, adapt.lora)
            self.freezing.keep(self.adapters.norms)
            self.say(f"LoRA: rank {adapt.lora.r} on {counted(len(names), 'layer')}; the head is trained whole")
        elif adapt.unfreeze:
            # All of it takes gradients until training begins: the optimizer and DistributedDataParallel look then.
            self.callbacks.append(freezing.Unfreezing(self.freezing, found, start))
            if args.world_size > 1:
                args.ddp_find_unused_parameters = True  # what is still frozen
        else:
            self.freezing.up_to(start, found.top)

    @timeline.phase("features")
    def features(
        self, modality: ModuleType, train: Any, validation: datasets.Dataset, run: RunFolder
    ) -> Precomputed | None:
        """With `freeze: backbone`, rows as features for the head alone; None where the whole model has to be run."""
        adapt = self.wanted.adapt
        if adapt.freeze != "backbone" or adapt.unfreeze:
            return None
        started = time.perf_counter()
        try:
            reason = changing(self.wanted, self.args, train)
            if reason or len(self.anatomy.head) > 1:
                raise precomputing.Unfit(reason or f"the head is in {len(self.anatomy.head)} places")
            head, room = self.anatomy.head[0], run.root / ".features"
            rows = (train, validation)
            self.cached = precomputing.features(
                self.backbone, head, modality, *rows, self.wanted.model, self.args, room
            )
        except precomputing.Unfit as unfit:
            self.say(f"{FALL_BACK}: {unfit}; every step runs through the frozen backbone")
            return None
        self.seconds = time.perf_counter() - started
        count = f"{counted(len(train), 'row')} for training and {len(validation):,} for validation"
        when = "known from an earlier run" if self.cached.known else f"computed once in {self.seconds:.1f} s"
        self.say(f"features: {count} of {self.cached.numbers:,} numbers each, {when}")
        self.model = self.cached.model
        return self.cached

    def finish(self, trainer: Trainer, run: RunFolder) -> dict[str, Any]:
        """Average checkpoints, merge adapters, thaw, and leave the plain model in the Trainer.

        Returns value, step and averaged steps where the mean of several checkpoints is kept.
        """
        mean: dict[str, Any] = {}
        if self.wanted.adapt.average is not None:
            sentence, mean = mean_weights.settle(trainer, self.wanted.adapt.average)
            self.say(sentence)
        if self.adapters is not None:
            self.adapters.merge()
        if self.freezing is not None:
            self.freezing.end()
        if self.still is not None:
            self.still.remove()
        if self.cached is not None and self.args.local_process_index == 0:
            shutil.rmtree(run.root / ".features", ignore_errors=True)
        trainer.model = self.backbone.model
        return mean


def _touches(adapt: Adapt) -> bool:
    """Whether the model has to be taken apart at all."""
    return adapt.freeze != "none" or adapt.lora is not None or adapt.layer_decay is not None


def changing(wanted: Recipe, args: TrainingArguments, train: Any) -> str:
    """Why a row would not have the same features each time, or none to keep; "" where it has."""
    if wanted.masks or not isinstance(train, datasets.Dataset):
        return MAPS if wanted.masks else "the training rows are a stream"
    if wanted.augment != Augment():
        return "augment changes the training rows each time they are read"
    if wanted.model.truncation == "windows":
        return "model.truncation: windows reads another window of a text in each epoch"
    if args.train_sampling_strategy not in ("random", "sequential"):
        return f"train.train_sampling_strategy={args.train_sampling_strategy} goes by lengths, which features have not"
    if getattr(args, "activation_checkpointing", False) or getattr(args, "gradient_checkpointing", False):
        return "train.activation_checkpointing is for a model that is trained as a whole"
    return ""
