"""What makes the steps of a training cheap: put into a model while it trains, and taken off before it is saved.

In: what the Trainer trains, arguments and the recipe's `speed:`. Out: the same object, and a sentence where something
does not fit it. Losses, gradients and what is saved are those of the plain model, but for the random numbers of
dropout. It must not know rows or the Trainer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import TrainingArguments

from hfft import dropping, packing, spreading
from hfft.errors import InputError
from hfft.recipe import Speed

OF_ATTENTION = ("attention_dropout", "dropout")  # what its dropout layer is called, in families of transformers


@contextlib.contextmanager
def quick(
    model: Any,
    args: TrainingArguments,
    speed: Speed,
    texts: bool,
    fresh: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Within it, layers of an encoder run without padding, dropout costs little and is what `speed:` says.

    texts: whether rows have different lengths. fresh: parameters that were made anew. Raises InputError where
    `speed.attention_dropout` cannot be had.
    """
    with contextlib.ExitStack() as undone:
        for layer, p in _shares(model, speed).items():
            undone.callback(setattr, layer, "p", layer.p)
            layer.p = p
        if texts:
            try:
                if args.torch_compile:
                    raise packing.Unfit("torch.compile wants shapes that stay")
                if way := spreading.way(args):
                    raise packing.Unfit(f"{way} has each of them spread over the processes")
                undone.callback(packing.Packed(model, fresh).end)
            except packing.Unfit as unfit:
                say(f"batches are padded in every layer: {unfit}")
        if args.device.type == "cpu" and not args.torch_compile:
            undone.callback(dropping.swap, model, dropping.Dropout, torch.nn.Dropout)
            dropping.swap(model, torch.nn.Dropout, dropping.Dropout)
        yield


def _shares(model: Any, speed: Speed) -> dict[Any, float]:
    """Dropout layer → its p for as long as the model trains."""
    out: dict[Any, float] = {}
    if speed.dropout is not None:
        layers = [module for module in model.modules() if isinstance(module, torch.nn.modules.dropout._DropoutNd)]
        out |= dict.fromkeys(layers, speed.dropout)
    if speed.attention_dropout is None:
        return out
    found = [_of_attention(module) for module in model.modules() if hasattr(module, "is_causal")]
    if not found or None in found:
        raise InputError(
            f"speed.attention_dropout: the dropout of attention is not found in {type(model).__name__}; leave it out, "
            "or type speed.dropout for all of the model's"
        )
    return out | dict.fromkeys(found, speed.attention_dropout)


def _of_attention(module: Any) -> Any:
    """The dropout layer of a module with attention, or None."""
    layers = [getattr(module, name, None) for name in OF_ATTENTION]
    return next((layer for layer in layers if isinstance(layer, torch.nn.Dropout)), None)
