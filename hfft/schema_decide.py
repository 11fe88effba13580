"""The recipe's `decide:` section: how probabilities become an answer. See schema.py, which takes it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

STRICT = {"extra": "forbid"}
ARGMAX, ADJUSTED, BIASED = "argmax", "logit_adjustment", "logit_bias"


def by_name(value: Any) -> Any:
    """`logit_bias` as {by: logit_bias}."""
    return {"by": value} if isinstance(value, str) else value


@dataclass(frozen=True)
class Decide:
    """Which class is answered. Probabilities stay as they are; training knows nothing of it."""

    __pydantic_config__ = STRICT
    by: Annotated[
        Literal["argmax", "logit_adjustment", "logit_bias"],
        Field(description="argmax: the likeliest; logit_adjustment: less the class's share; logit_bias: tuned"),
    ] = "argmax"
    metric: Annotated[
        str, Field(min_length=1, description="logit_bias: the metric of answers that it is tuned for, on validation")
    ] = "f1_macro"
    tau: Annotated[
        float, Field(gt=0, le=10, description="logit_adjustment: log p - tau log(share of the class in train)")
    ] = 1.0

    def __post_init__(self) -> None:
        for key, by in (("tau", ADJUSTED), ("metric", BIASED)):
            if self.by != by and getattr(self, key) != getattr(type(self), key):
                raise ValueError(f"{key} is for by: {by}, and by is {self.by}; leave it out or type decide.by={by}")
