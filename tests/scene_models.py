"""Tiny models of masks with random weights, as local folders, for tests without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

SIDES = (64, 64)


def segformer(folder: Path, names: tuple[str, ...]) -> Path:
    """Logits at a quarter of the picture, and a processor that counts from 1, as those made for ADE20k do."""
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], sr_ratios=[4, 2, 1, 1],
        decoder_hidden_size=16, **_names(names),
    )  # fmt: skip
    return _saved(config, folder)


def upernet(folder: Path, names: tuple[str, ...]) -> Path:
    """A second head, and BatchNorm over pictures pooled to a single position."""
    body = transformers.ConvNextConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    config = transformers.UperNetConfig(
        backbone_config=body, hidden_size=16, pool_scales=[1, 2], auxiliary_in_channels=16, auxiliary_channels=8,
        **_names(names),
    )  # fmt: skip
    return _saved(config, folder)


def _names(names: tuple[str, ...]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}


def _saved(config: Any, folder: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.AutoModelForSemanticSegmentation.from_config(config).save_pretrained(folder)
    size = {"height": SIDES[0], "width": SIDES[1]}
    transformers.SegformerImageProcessor(size=size, do_reduce_labels=True).save_pretrained(folder)
    return folder
