"""The `model:` section of a recipe. As schema.py, which imports it: a frozen dataclass that pydantic reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from hfft.errors import brief

STRICT = {"extra": "forbid"}
LEAST = 8  # pixels of a side


def _sides(value: Any) -> Any:
    if value is None:
        return None
    sides = value if isinstance(value, (list, tuple)) else [value]
    if len(sides) not in (1, 2) or any(not isinstance(side, int) or isinstance(side, bool) for side in sides):
        raise ValueError(f"expected a side in whole pixels, or [height, width], not {brief(value)}")
    if min(sides) < LEAST:
        raise ValueError(f"a side has {LEAST} pixels or more, and {min(sides)} is less")
    return list(sides) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class Model:
    """Which pretrained model, and how inputs are made for it."""

    __pydantic_config__ = STRICT
    name: Annotated[str, Field(min_length=1, description="Hub id, timm/…, local folder, or pkg://PACKAGE/PATH")]
    revision: Annotated[str | None, Field(description="Hub branch, tag or commit")] = None
    sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$", description="digest the weights must have")] = None
    trust_remote_code: Annotated[
        bool,
        Field(strict=True, description="true: run the Python code that comes with the model; it may do all you may"),
    ] = False
    pretrained: Annotated[bool, Field(description="false: the same architecture with random weights")] = True
    config: Annotated[
        dict[str, Any], Field(description="overrides of the model's own config, such as hidden_dropout_prob")
    ] = field(default_factory=dict)
    max_length: Annotated[
        int | None,
        Field(
            strict=True, ge=2, description="tokens per text; longer texts are cut (default: the model's, at most 512)"
        ),
    ] = None
    pooling: Annotated[
        Literal["own", "mean"],
        Field(description="mean: classify by the mean of a text's tokens, which sentence encoders were made for"),
    ] = "own"
    truncation: Annotated[
        Literal["head", "tail", "head_tail", "windows"],
        Field(description="what is kept of a text that is too long; windows: all of it, piece by piece"),
    ] = "head"
    stride: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            description="windows: tokens that neighbours share (default: 1/4); window: pixels between (2/3 of it)",
        ),
    ] = None
    image_size: Annotated[
        int | list[int] | None,
        BeforeValidator(_sides),
        Field(
            description="side of the square image in pixels, or in segmentation [height, width] (default: the model's)"
        ),
    ] = None
    window: Annotated[
        bool,
        Field(description="segmentation: images keep their size, and are trained and predicted by pieces"),
    ] = False
    head: Annotated[
        Literal["fcn8s", "fcn16s", "fcn32s"] | None,
        Field(description="segmentation over a timm backbone: the finest stride that is looked at (default: fcn8s)"),
    ] = None

    def __post_init__(self) -> None:
        if self.stride is not None and self.truncation != "windows" and not self.window:
            raise ValueError("stride is for windows; type model.truncation=windows, or leave it out")
        if self.window:
            self._check_window()
        if self.stride is not None and self.max_length is not None and self.stride >= self.max_length:
            raise ValueError(f"stride {self.stride} leaves nothing new to a window of {self.max_length} tokens")

    @property
    def side(self) -> int | None:
        """The shorter side of the image in pixels."""
        return min(self.image_size) if isinstance(self.image_size, list) else self.image_size

    def _check_window(self) -> None:
        if self.stride is None or self.image_size is None:
            return
        if not 0 < self.stride <= (self.side or 0):
            raise ValueError(
                f"stride {self.stride} is the distance between windows: type 1 to {self.side} pixels, or leave it out"
            )
