"""The explanation of a picture: a map of what spoke for a class.

In: a row, a backbone, a class. Out: the map, facts, and a picture of both. It must not know where rows come from. Its
functions are those of text_saliency.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import torch

from hfft import augmenting, explained_files, grad_cam, picture_rows
from hfft.backbones import Backbone
from hfft.recipe import Model

ENDING = "png"


@dataclass(frozen=True)
class Prepared:
    """inputs: pixel_values (1, channels, height, width). pixels: the same for people, uint8 (height, width, 3)."""

    inputs: dict[str, torch.Tensor]
    pixels: np.ndarray


@dataclass(frozen=True)
class Found:
    """parts: the map, float (height, width), 0 or more. layer: the module it comes from."""

    parts: np.ndarray
    layer: str


def prepared(row: dict[str, Any], backbone: Backbone, modality: ModuleType, spec: Model) -> Prepared:
    """One row as the checkpoint's processor makes it."""
    rows = datasets.Dataset.from_list([{"image": row["image"]}], features=picture_rows.PICTURE)
    made = modality.collator(backbone.processor)([modality.prepare(rows, backbone.processor, spec)[0]])
    values = made["pixel_values"][0]
    known = augmenting.geometry(backbone.processor)
    mean, std = (np.asarray(known[name], dtype=float) for name in ("mean", "std"))
    pixels = (255 * (values.permute(1, 2, 0).double().numpy() * std + mean)).round().clip(0, 255).astype(np.uint8)
    return Prepared({"pixel_values": values[None].to(next(backbone.model.parameters()).device)}, pixels)


def logits(model: Any, row: Prepared) -> torch.Tensor:
    """The model's answer to a row, (1, classes)."""
    return model(**row.inputs).logits  # type: ignore[no-any-return]


def explained(model: Any, row: Prepared, target: int, several: bool, like: Found | None = None) -> Found:
    """The map of class `target`. like: of no account, there are no steps to choose."""
    found = grad_cam.attribute(model, row.inputs["pixel_values"], target, several)
    return Found(found.cells, found.layer)


def facts(row: Prepared, found: Found) -> dict[str, Any]:
    """As JSON has them."""
    return {"map": found.parts.tolist(), "layer": found.layer}


def sentences(row: Prepared, found: Found) -> list[str]:
    """What has to be known for reading it."""
    (high, wide), size = found.parts.shape, row.pixels.shape
    told = [f"Grad-CAM of {found.layer}: {wide} x {high} cells over {size[1]} x {size[0]} pixels."]
    if not found.parts.any():
        told.append("The map is empty: no part of this layer speaks for the class more than against it.")
    return told


def content(title: str, told: Sequence[str], row: Prepared, found: Found) -> bytes:
    """The file."""
    return explained_files.overlay(row.pixels, found.parts)
