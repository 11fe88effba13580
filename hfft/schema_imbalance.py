"""The recipe's sections on unequal classes: `loss:` and `sampler:`, each a name or a section.

As schema.py, which imports it: frozen dataclasses that pydantic reads at the door.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hfft.errors import brief, meant

STRICT = {"extra": "forbid"}
SCHEMES = ("balanced", "sqrt", "effective_number")
SHORT = ("loss", "sampler")  # sections that may be written as their name alone


def named(value: Any) -> Any:
    """`focal` as {name: focal}."""
    return {"name": value} if isinstance(value, str) else value


def _weights(value: Any) -> Any:
    expected = f"expected {', '.join(SCHEMES)} or {{class: weight}}"
    if value is None:
        return value
    if isinstance(value, str):
        if value not in SCHEMES:
            raise ValueError(f"no {brief(value)}{meant(value, SCHEMES)}: {expected}")
        return value
    if not isinstance(value, dict) or not value:
        raise ValueError(expected)
    for name, weight in value.items():
        if weight is None:  # {ham:2} on a command line, which YAML reads as a key without a value
            raise ValueError(f"{name} has no weight; write '{{class: weight}}', with a space after the colon")
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not 0 < weight < math.inf:
            raise ValueError(
                f"the weight of {name} must be a number above 0, not {brief(weight)}; rows are left out with "
                f"data.labels={{{name}: null}}"
            )
    return {str(name): float(weight) for name, weight in value.items()}


Weights = Annotated[str | dict[str, float] | None, BeforeValidator(_weights)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


@dataclass(frozen=True)
class Loss:
    """What a wrong answer costs in training; validation is always by plain cross-entropy."""

    __pydantic_config__ = STRICT
    name: Annotated[str, Field(description="a name from hfft/losses/ (with multi_label: binary_cross_entropy)")] = (
        "cross_entropy"
    )
    weights: Annotated[
        Weights, Field(description="balanced, sqrt, effective_number or {class: weight}: how much a row counts")
    ] = None
    beta: Annotated[
        Annotated[Number, Field(ge=0, lt=1)] | None,
        Field(description="effective_number: 0 weighs all classes alike, towards 1 is balanced (default: 0.999)"),
    ] = None
    gamma: Annotated[
        Annotated[Number, Field(ge=0)] | None,
        Field(description="focal: how little a row counts that is right already (default: 2.0)"),
    ] = None
    tau: Annotated[
        Annotated[Number, Field(ge=0)] | None,
        Field(description="logit_adjusted: how far class frequencies are taken out (default: 1.0)"),
    ] = None


@dataclass(frozen=True)
class Sampler:
    """Which training rows an epoch shows, and how often."""

    __pydantic_config__ = STRICT
    name: Annotated[str | None, Field(description="a name from hfft/samplers/ (default: every row once per epoch)")] = (
        None
    )
    threshold: Annotated[
        Annotated[Number, Field(gt=0, le=1)] | None,
        Field(description="repeat_factor: share of rows below which a class is repeated (default: the mean share)"),
    ] = None
