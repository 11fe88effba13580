"""BatchNorm that survives a batch of one, or that keeps its statistics all the time.

In: a model about to be trained. Out: the same, whose BatchNorm layers take their running statistics for a batch of one
picture: its own would be an estimate from one picture, and on a single position there is none at all. Or for every
batch, and they stay as they are. It must not know what the model is for.
"""

from __future__ import annotations

from typing import Any

import torch

LAYERS = torch.nn.modules.batchnorm._BatchNorm


def guard(model: Any) -> int:
    """Guard every BatchNorm layer of the model; returns how many there are. A second call changes nothing."""
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    for layer in layers:
        if not getattr(layer, "_guarded", False):
            layer._guarded = True  # type: ignore[assignment]
            layer.register_forward_pre_hook(_hold)
            layer.register_forward_hook(_release, always_call=True)
    return len(layers)


def keep(model: Any) -> Any:
    """Keep the running statistics of every BatchNorm layer from now on; scales and shifts still train.

    Returns the handle that ends it, or None for a model without such layers.
    """
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]

    def still(*_: Any) -> None:
        for layer in layers:  # Trainer calls model.train() before each step
            layer.training = False

    return model.register_forward_pre_hook(still) if layers else None


def _hold(layer: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    layer._held = layer.training and layer.track_running_stats and len(inputs[0]) == 1
    if layer._held:
        layer.training = False


def _release(layer: Any, *_: Any) -> None:
    if getattr(layer, "_held", False):
        layer.training, layer._held = True, False
