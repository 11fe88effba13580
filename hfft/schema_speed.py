"""The `speed:` section of a recipe: what makes a run fast where it may cost something else. See schema.py.

Frozen dataclass with a sentence for each key. What is fast at no cost is no key: it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

STRICT = {"extra": "forbid"}
AUTO = "auto"
PRECISIONS = ("fp32", "bf16", "fp16")
LEAST = 8  # pixels of a side


def _precision(value: Any) -> str:
    if value in (AUTO, *PRECISIONS):
        return value  # type: ignore[no-any-return]
    raise ValueError("expected auto, fp32, bf16 or fp16")


def _switch(value: Any) -> bool | str:
    if value == AUTO or isinstance(value, bool):
        return value  # type: ignore[no-any-return]
    raise ValueError("expected auto, true or false")


def _sizes(value: Any) -> Any:
    if value is None or value == AUTO:
        return value
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError("expected auto, or sides in pixels, such as [128, 160, 224]")
    if any(not isinstance(side, int) or isinstance(side, bool) or side < LEAST for side in value):
        raise ValueError(f"a side is a whole number of pixels, {LEAST} or more")
    if list(value) != sorted(set(value)):
        raise ValueError("sides go from small to large")
    return list(value)


@dataclass(frozen=True)
class Speed:
    """What may be traded for speed, and what is decided by measuring."""

    __pydantic_config__ = STRICT
    precision: Annotated[
        str,
        BeforeValidator(_precision),
        Field(description="numbers of a training step: fp32, bf16, fp16; auto: the fastest that is safe here"),
    ] = AUTO
    compile: Annotated[
        bool | str,
        BeforeValidator(_switch),
        Field(description="torch.compile: true, false; auto: where the run is long enough to pay for it"),
    ] = AUTO
    dropout: Annotated[
        float | None, Field(ge=0, lt=1, description="of every dropout layer while training (default: the model's own)")
    ] = None
    attention_dropout: Annotated[
        float | None, Field(ge=0, lt=1, description="of attention's weights while training (default: dropout)")
    ] = None
    int8: Annotated[
        bool,
        Field(description="validation while training, and probes, in whole numbers of 8 bits on a CPU; no test score"),
    ] = False
    cache_images: Annotated[
        bool | str,
        BeforeValidator(_switch),
        Field(description="pictures kept at the model's size for the next epoch: true, false; auto: where disk allows"),
    ] = AUTO
    image_sizes: Annotated[
        str | list[int] | None,
        BeforeValidator(_sizes),
        Field(
            description="train on small pictures first: auto, or sides such as [128, 160, 224]; the last is the full"
        ),
    ] = None
    allocator: Annotated[
        bool, Field(strict=True, description="on CPU, Linux: keep freed memory for the next step; faster")
    ] = True
