"""LoRA: two thin matrices beside each layer are trained instead of the layer, and merged into it at the end.

In: a model, its anatomy and `adapt.lora`. Out: the same model object with adapters inside, and later without them, its
weights changed. Hu et al. 2021: W + (alpha / r) B A, with B zero at first. Through `peft`, which is imported here only.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from hfft.anatomy import Anatomy
from hfft.errors import InputError, listed, meant
from hfft.schema_adapt import Lora

NORMS = torch.nn.modules.batchnorm._BatchNorm


def installed() -> None:
    """Raise InputError unless `peft` is there."""
    if importlib.util.find_spec("peft") is None:
        raise InputError('adapt.lora needs the package peft, which is not installed; type pip install "hfft[adapters]"')


def targets(model: Any, anatomy: Anatomy, lora: Lora) -> list[str]:
    """Names of the layers that get adapters. Raises InputError when there is none, or not what was asked for."""
    body = {name: module for name, module in model.named_modules() if anatomy.places[name] <= anatomy.top}
    fitting = [name for name, module in body.items() if _fits(module)]
    if not fitting:
        raise InputError(
            f"adapt.lora: {type(model).__name__} has no linear layer and no plain convolution below its head, which "
            "could take an adapter; leave adapt.lora out, or type adapt.freeze=backbone to train the head alone"
        )
    if lora.targets is None:
        inside = [name for name in fitting if 0 < anatomy.places[name] <= anatomy.blocks]
        return inside or fitting
    chosen: list[str] = []
    endings = sorted({part for name in fitting for part in name.split(".") if not part.isdecimal()})
    for wanted in lora.targets:
        found = [name for name in fitting if name == wanted or name.endswith(f".{wanted}")]
        if not found:
            other = [n for n, _ in model.named_modules() if n == wanted or n.endswith(f".{wanted}")]
            why = f"no layer is called that{meant(wanted, endings)}"
            if other:
                in_head = other[0] not in body
                why = f"{other[0]} {'is in the head, which is trained whole' if in_head else 'can take no adapter'}"
            leaves = sorted({name.rpartition(".")[2] for name in fitting})
            raise InputError(f"adapt.lora.targets: {wanted!r}: {why}; layers that can: {listed(leaves, 12)}")
        chosen += [name for name in found if name not in chosen]
    return chosen


def count(model: Any, names: list[str], rank: int) -> int:
    """Parameters that `Adapters` would add to the model."""
    total = 0
    for name in names:
        weight = model.get_submodule(name).weight
        total += rank * (weight[0].numel() + weight.shape[0])
    return total


class Adapters:
    """Adapters within a model, put in where they are made: they and the head take gradients, nothing else does.

    The head is an ordinary part of the model here, not a copy beside it, so it is saved and read back like any other.
    norms: the BatchNorm layers outside the head, which have to keep their statistics.
    """

    def __init__(self, model: Any, names: list[str], anatomy: Anatomy, lora: Lora) -> None:
        import peft

        self.model = model
        self.norms = [m for n, m in model.named_modules() if isinstance(m, NORMS) and anatomy.places[n] <= anatomy.top]
        head = [p for name, p in model.named_parameters() if anatomy.depth(name) > anatomy.top]
        scale: Any = lora.alpha
        config = peft.LoraConfig(r=lora.r, lora_alpha=scale, lora_dropout=lora.dropout, target_modules=names)
        peft.inject_adapter_in_model(config, model)
        for parameter in head:
            parameter.requires_grad_(True)
        # What never changes is read from where it came from: checkpoints hold the adapters and the head.
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        trained |= {name for name, _ in model.named_buffers() if anatomy.depth(name) > anatomy.top}
        self.saved = model._keys_to_ignore_on_save
        model._keys_to_ignore_on_save = {name for name in model.state_dict() if name not in trained}

    def merge(self) -> None:
        """Add every adapter to its layer's weights and take it out, in place: the model has its own names again."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        model = self.model
        for name, layer in [(n, m) for n, m in model.named_modules() if isinstance(m, BaseTunerLayer)]:
            layer.merge(safe_merge=True)  # type: ignore[operator]
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, layer.get_base_layer())
        if hasattr(model, "peft_config"):
            del model.peft_config
        model._keys_to_ignore_on_save = self.saved


def _fits(module: Any) -> bool:
    """Whether an adapter beside the layer computes what it will when merged.

    Exact types, because a subclass may change its weights or its padding on the way, which an adapter does not see.
    """
    if type(module) is torch.nn.Linear:
        return True
    if not isinstance(module, torch.nn.Conv2d) or module.groups != 1:
        return False
    plain = type(module) is torch.nn.Conv2d and module.padding_mode == "zeros"
    return plain or (type(module).__name__ == "Conv2dSame" and module.kernel_size == (1, 1))
