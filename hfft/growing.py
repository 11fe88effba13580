"""Small pictures first: the model trains on fewer pixels, and on all of them at the end.

In: a model, sides in pixels. Out: a callback. Pictures are made smaller on their way into the model, a batch at once,
while it trains: whatever reads, changes or keeps them is as it was, and evaluation is at full size. Tan and Le 2021
(EfficientNetV2), section 4.2, with the full size last, as Touvron et al. 2019 (FixRes) have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from hfft import augmenting
from hfft.backbones import Backbone
from hfft.errors import InputError
from hfft.recipe import Recipe

SHARES = (4 / 7, 5 / 7)  # of the full side, for `auto`: 128 and 160 of 224
GRID, SMALLEST = 16, 32  # pixels: patches and strides divide them


def sides(asked: str | Sequence[int], full: int) -> list[int]:
    """Sides from small to `full`, which is the last. Raises InputError for sides that are larger.

    >>> sides("auto", 224), sides([96], 160)
    ([128, 160, 224], [96, 160])
    """
    if isinstance(asked, str):
        asked = sorted({max(SMALLEST, GRID * round(full * share / GRID)) for share in SHARES})
        asked = [side for side in asked if side < full]
    elif asked[-1] > full:
        raise InputError(
            f"speed.image_sizes: {asked[-1]} is more than the {full} pixels that the model is given; "
            f"type model.image_size={asked[-1]}, or smaller sides"
        )
    return [side for side in asked if side < full] + [full]


def of(recipe: Recipe, backbone: Backbone, say: Callable[[str], None]) -> list[Growing]:
    """The callback of `speed.image_sizes`, if it is set. Raises InputError where the model takes one size only."""
    if recipe.speed.image_sizes is None:
        return []
    full = min(augmenting.geometry(backbone.processor)["input_size"][1:])
    found = sides(recipe.speed.image_sizes, full)
    check(backbone.model, found)
    say(f"pictures of {' then '.join(map(str, found))} pixels, each for 1/{len(found)} of the steps")
    return [Growing(backbone.model, found)]


class Growing(TrainerCallback):
    """Each side for an equal share of the steps: the step alone decides, so a run that is resumed goes on as it would
    have. The hook acts in training mode only.
    """

    said = ""  # the trainer's watchers may have something to say at the end

    def __init__(self, model: Any, sides: Sequence[int]) -> None:
        self.sides, self.side = sides, sides[-1]
        self.handle = model.register_forward_pre_hook(self._smaller, with_kwargs=True)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.side = self.sides[min(len(self.sides) * state.global_step // state.max_steps, len(self.sides) - 1)]

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.handle.remove()

    def _smaller(self, model: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        if not model.training or self.side == self.sides[-1]:
            return None
        return args, kwargs | {"pixel_values": smaller(kwargs["pixel_values"], self.side)}


def smaller(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """float (n, 3, height, width) at `side` x `side`, averaged over what falls together."""
    found = torch.nn.functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    return found.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def check(model: Any, sides: Sequence[int]) -> None:
    """Raise InputError unless the model takes pictures of every side."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        for side in sides[:-1]:
            model(pixel_values=torch.zeros(1, 3, side, side, device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:160]
        raise InputError(
            f"speed.image_sizes: this model takes no pictures of {side} x {side} ({why}); leave the key out, or, for a "
            "transformer of timm, type model.config.model_args={dynamic_img_size: true}"
        ) from error
    finally:
        model.train(training)
