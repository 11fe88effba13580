"""The `adapt:` section of a recipe: which part of a pretrained model is trained, and how. See schema.py.

Frozen dataclasses with a sentence for each key; combinations that contradict each other are refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

STRICT = {"extra": "forbid"}


def _frozen(value: Any) -> int | str:
    if value is None:
        return "none"
    if value in ("none", "backbone") or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value  # type: ignore[no-any-return]
    raise ValueError("expected none, backbone, or the number of blocks to freeze")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters: two thin matrices are trained beside each layer, and added to its weights at the end."""

    __pydantic_config__ = STRICT
    r: Annotated[int, Field(strict=True, ge=1, description="LoRA, where this section is there: rank of the update")] = 8
    alpha: Annotated[float, Field(gt=0, description="LoRA: the update is scaled by alpha / r")] = 16
    dropout: Annotated[float, Field(ge=0, lt=1, description="LoRA: dropout on what the adapters read")] = 0.0
    targets: Annotated[
        list[str] | None,
        Field(
            min_length=1, description="LoRA: names or endings of layers (default: every one that fits in the blocks)"
        ),
    ] = None


@dataclass(frozen=True)
class Adapt:
    """What of the model is trained."""

    __pydantic_config__ = STRICT
    freeze: Annotated[
        int | str,
        BeforeValidator(_frozen),
        Field(description="what stays as it is: none; backbone: all but the head; N: embeddings and first N blocks"),
    ] = "none"
    unfreeze: Annotated[bool, Field(description="with freeze: each epoch trains one more block, from the top down")] = (
        False
    )
    layer_decay: Annotated[
        float | None, Field(gt=0, lt=1, description="learning rate of each block relative to the block above it")
    ] = None
    lora: Lora | None = None
    freeze_statistics: Annotated[
        bool, Field(strict=True, description="BatchNorm keeps the checkpoint's means and variances; for few rows")
    ] = False
    average: Annotated[
        int | None,
        Field(
            strict=True, ge=2, description="mean of the last N checkpoints' weights, if validation finds it no worse"
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.unfreeze and self.freeze == "none":
            raise ValueError("unfreeze needs something that is frozen at first; type adapt.freeze=backbone")
        if self.lora is not None and self.freeze != "none":
            raise ValueError("lora freezes everything but its adapters and the head; leave adapt.freeze out")
        if self.layer_decay is not None and self.freeze == "backbone" and not self.unfreeze:
            raise ValueError("freeze: backbone trains the head alone, at one rate; leave adapt.layer_decay out")
