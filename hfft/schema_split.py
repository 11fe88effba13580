"""The `split:` section of a recipe: how rows are dealt. Part of schema.py, and like it without logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

STRICT = {"extra": "forbid"}
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Split:
    """How rows are dealt into train, validation and test."""

    __pydantic_config__ = STRICT
    train: Annotated[Share, Field(description="share of rows for training")] = 0.70
    validation: Annotated[Share, Field(description="share for choosing the checkpoint")] = 0.15
    test: Annotated[Share, Field(description="share that only `hfft eval` opens")] = 0.15
    by: Annotated[
        Literal["random", "predefined", "group", "time", "hash"],
        Field(description="random; predefined: the data's own; group, time: by that column; hash: by content alone"),
    ] = "random"
    stratify: Annotated[bool, Field(description="keep the class proportions in every split (random, group)")] = True
    gap: Annotated[
        Annotated[float, Field(strict=True)] | str | None,
        Field(description="by time: leave out rows closer than this to the next split (7 days, 12h, or a number)"),
    ] = None
    time_format: Annotated[
        str | None, Field(description="by time: how dates are written, such as %d/%m/%Y (default: ISO 8601)")
    ] = None
    salt: Annotated[str, Field(description="by hash: another text is another split")] = ""
    seed: Annotated[
        int | None,
        Field(strict=True, ge=0, lt=2**32, description="of the split and of data.limit (default: the recipe's seed)"),
    ] = None
    folds: Annotated[
        int | None, Field(strict=True, ge=2, description="deal train and validation into this many (see hfft cv)")
    ] = None
    fold: Annotated[
        int | None,
        Field(strict=True, ge=1, description="which of the folds is held out; from folds + 1 on they are dealt anew"),
    ] = None

    def __post_init__(self) -> None:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + validation + test must be 1, not {total:.4g}")
        if (self.folds is None) != (self.fold is None):
            raise ValueError("folds and fold go together, such as folds: 5 and fold: 1")
        if self.folds and self.by == "time":
            raise ValueError("folds would train on what comes after; by: time has none")
