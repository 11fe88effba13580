"""The `augment:` section of a recipe: random changes of training rows that keep their class.

Frozen dataclass, as in schema.py. What the section must agree on with other sections is in agreements.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

RANDAUGMENT = "rand-m9-mstd0.5-inc1"  # what `randaugment: true` means: the string of many of timm's own recipes
# timm's parser takes m, n, p, mstd, mmax and inc with a number and t with a set's name; another key ends in an assert.
PART = re.compile(r"(m|n|mmax|inc)\d+|(p|mstd)\d+(\.\d+)?|t(weights|3a|3aw)")
STRICT = {"extra": "forbid"}
OF_SCENES = ("scale",)
NOT_OF_SCENES = ("randaugment", "erase", "mixup", "cutmix")  # which would have to move masks, too
OF_PICTURES = ("flip", "crop", "randaugment", "color_jitter", "erase", "mixup", "cutmix")
OF_TEXTS = ("word_dropout", "typos")


# Probe → the keys of augment: that change training rows in the same way.
COLOURS = ("color_jitter", "randaugment")
TRAINED: dict[str, tuple[str, ...]] = {"typos": ("typos",), "flip": ("flip",), "occlusion": ("erase",)}
TRAINED |= {"brightness": COLOURS, "contrast": COLOURS, "saturation": COLOURS}
TRAINED |= {"shift": ("crop", "randaugment"), "rotate": ("randaugment",)}


@dataclass(frozen=True)
class Augment:
    """Random changes of training rows; nothing of it touches rows that are held back."""

    __pydantic_config__ = STRICT
    flip: Annotated[bool, Field(description="mirror left and right, half of the time; not for digits or signs")] = False
    crop: Annotated[
        float | None, Field(gt=0, le=1, description="train on random crops of at least this share of the area")
    ] = None
    scale: Annotated[
        list[Annotated[float, Field(gt=0, le=10)]] | None,
        Field(
            min_length=2,
            max_length=2,
            description="segmentation: [least, most] that pictures and masks are enlarged by before the crop",
        ),
    ] = None
    randaugment: Annotated[
        bool | str, Field(description=f"pictures: true ({RANDAUGMENT}), or another of timm's RandAugment strings")
    ] = False
    color_jitter: Annotated[
        float | None, Field(gt=0, le=1, description="brightness, contrast and saturation change by up to this share")
    ] = None
    erase: Annotated[
        float | None, Field(gt=0, le=1, description="probability that a random rectangle of a picture is blanked")
    ] = None
    mixup: Annotated[
        float | None, Field(gt=0, le=100, description="blend pairs of pictures and labels by Beta(alpha, alpha)")
    ] = None
    cutmix: Annotated[
        float | None, Field(gt=0, le=100, description="paste a rectangle of one picture into another; labels by area")
    ] = None
    word_dropout: Annotated[
        float | None, Field(gt=0, lt=1, description="texts: leave each word out with this probability, never all")
    ] = None
    typos: Annotated[float | None, Field(gt=0, le=1, description="texts: share of the words that get one typo")] = None

    def __post_init__(self) -> None:
        if self.scale is not None and self.scale[0] > self.scale[1]:
            raise ValueError(f"scale is [least, most], and {self.scale[0]:g} is more than {self.scale[1]:g}")
        if isinstance(self.randaugment, str) and not _readable(self.randaugment):
            raise ValueError(
                f"randaugment {self.randaugment!r} is not one of timm's strings; expected parts such as {RANDAUGMENT}: "
                "m magnitude, n changes per picture, mstd spread of the magnitude, inc1, p probability"
            )
        if self.randaugment and self.color_jitter:
            raise ValueError("randaugment changes colours itself, and timm leaves color_jitter out beside it; drop one")

    @property
    def policy(self) -> str | None:
        """timm's string for RandAugment."""
        return RANDAUGMENT if self.randaugment is True else self.randaugment or None

    @property
    def mixes(self) -> bool:
        """Whether rows of a batch are mixed, which makes labels soft."""
        return self.mixup is not None or self.cutmix is not None

    def chosen(self, keys: tuple[str, ...]) -> list[str]:
        """Those of the keys that ask for something."""
        return [
            entry.name for entry in fields(self) if entry.name in keys and getattr(self, entry.name) != entry.default
        ]

    def like(self, probe: str) -> list[str]:
        """Those keys in use that change training rows as the probe of this name does."""
        return self.chosen(TRAINED.get(probe, ()))


def _readable(text: str) -> bool:
    first, *parts = text.split("-")
    return first == "rand" and all(PART.fullmatch(part) for part in parts)
