"""Features of all rows that folds are dealt from, computed once before the first fold is trained.

In: a recipe with a frozen backbone. Out: nothing but what remembering.py then knows. Like verbs.py, this is a place
where stages meet.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import datasets
import transformers

from hfft import (
    adapting,
    anatomy,
    backbones,
    gathering,
    precomputing,
    predicting,
    scratch,
    timeline,
    trainer_arguments,
)
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder


@timeline.phase("features")
def features(wanted: Recipe) -> None:
    """Compute the features of all rows but the test split's, where models are made of features. wanted: of any fold."""
    if wanted.adapt.freeze != "backbone" or wanted.adapt.unfreeze:
        return
    split = replace(wanted.data.split, folds=None, fold=None)
    found = gathering.read(replace(wanted, data=replace(wanted.data, split=split)), lambda _: None)
    modality = found.modality
    transformers.set_seed(wanted.seed)
    backbone = backbones.load(wanted.model, modality, found.splits.labels, wanted.data.multi_label)
    parts = [found.splits.parts[name] for name in ("train", "validation")]
    rows = datasets.concatenate_datasets(parts)
    ids = rows["id"][:]
    rows = predicting.labelled(rows.select(sorted(range(len(ids)), key=lambda i: ids[i])), backbone)
    head = anatomy.dissect(backbone.model, backbone.fresh).head
    with scratch.folder("features") as room:  # Trainer makes a folder, whatever it is for
        args = trainer_arguments.arguments(wanted, RunFolder(room), fitting=False)
        if not adapting.changing(wanted, args, rows) and len(head) == 1:
            with contextlib.suppress(precomputing.Unfit):  # each fold says why, and trains through the backbone
                precomputing.prime(backbone, head[0], modality, rows, wanted.model, args)
