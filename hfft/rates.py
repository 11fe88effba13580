"""The learning rate to start from, by the kind of model, where the recipe names none.

In: a model and what of it is trained. Out: a rate and the reason, for people to see and override. For AdamW with a
linear decay; rates of other optimizers differ by orders of magnitude, and are left to transformers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from hfft.recipe import Recipe
from hfft.trainer_options import resolved

SMALL, LARGE = 40e6, 200e6  # parameters
# Transformers: the range that the authors of BERT searched is 2e-5 to 5e-5 (Devlin et al. 2019, appendix A.3); smaller
# models bear more, larger ones less. MiniLM with 22.7 M and EfficientNet-Lite0 were measured (benchmarks/RESULTS.md).
RATES = {
    "a small pretrained transformer": 1e-4,
    "a pretrained transformer": 3e-5,
    "a large pretrained transformer": 1e-5,
    "a pretrained convolutional network": 1e-3,
    "random weights": 5e-4,
}
HEAD = 5e-3  # of a new head alone, on features that stay
LORA = 10  # times that of the whole model: Hu et al. 2021 (appendix D) trained RoBERTa by 2e-4 to 5e-4


def kind(model: Any, pretrained: bool = True) -> str:
    """A key of RATES. pretrained: whether its weights, but for the head, were trained before."""
    if not pretrained:
        return "random weights"
    count = sum(parameter.numel() for parameter in model.parameters())
    kernels = sum(
        module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Conv2d) and _wide(module)
    )
    if kernels > count / 4:  # a vision transformer has one, the patch embedding; VGG has a large linear head
        return "a pretrained convolutional network"
    size = "small " if count <= SMALL else "large " if count > LARGE else ""
    return f"a {size}pretrained transformer"


def rate(model: Any, wanted: Recipe, args: Any) -> tuple[float, str] | None:
    """(learning rate, sentence about it); None for optimizers other than Adam's family."""
    if not str(getattr(args.optim, "value", args.optim)).startswith("adam"):
        return None
    # The layers above the backbone of a model of masks are new, and may be convolutions over any backbone.
    body = getattr(model, "backbone", model) if wanted.masks else model
    adapt, what = wanted.adapt, kind(body, wanted.model.pretrained)
    found = RATES[what]
    if adapt.lora is not None:
        found, what = LORA * found, f"LoRA on {what}"
    elif adapt.freeze == "backbone" and not adapt.unfreeze:
        found, what = HEAD, "a head on a frozen backbone"
    return found, (
        f"learning rate {found:g}: hfft's start for {what}; `hfft lr RECIPE` measures, train.learning_rate=… overrides"
    )


def settled(recipe: Recipe, args: Any, model: Any, say: Callable[[str], None]) -> Recipe:
    """The recipe with every value of `train:` that hfft chooses; `args` get the rate, and the sentence is said.

    For one training, never to be written as the run's recipe: with other words it would have other values.
    """
    train = resolved(recipe.train, recipe.adapt.average)
    if "learning_rate" not in train and (found := rate(model, recipe, args)):
        args.learning_rate = train["learning_rate"] = found[0]
        say(found[1])
    return dataclasses.replace(recipe, train=train)


def _wide(module: torch.nn.Conv2d) -> bool:
    """Not the patch embedding of a transformer, whose patches do not overlap."""
    return module.kernel_size != module.stride or module.kernel_size == (1, 1)
