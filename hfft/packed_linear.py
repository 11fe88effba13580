"""Linear layers of a model that only answers, with weights laid out for the CPU once instead of at every call.

In: a model in float32 on the CPU. Out: the same model, the same outputs to float32's last digits, no gradients. Where
torch has no such kernel the model stays as it is. oneDNN's layout, as torch.compile uses it; in benchmarks/predict.py
that is about a fifth of the time of a small BERT, mostly by writing the bias with the product and not before it. Where
GELU follows a layer it is computed with it, which saves a pass over the widest arrays.
"""

from __future__ import annotations

from typing import Any

import torch

ROWS = 1024  # tokens that the layout is chosen for; others are computed as well
CLOSE = 1e-4  # of numbers of about one, beyond which the kernel is not trusted


class PackedLinear(torch.nn.Module):
    """x → f(x Wᵀ + b), (…, inputs) → (…, outputs), for inference. then: f, "none" or "gelu" (the exact one)."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.then = "none"
        weight = linear.weight.detach()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("packed", torch.ops.mkldnn._reorder_linear_weight(weight, ROWS), persistent=False)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, self.then, [], "none")  # type: ignore[no-any-return]


def pack(model: Any) -> int:
    """Put packed layers in the place of a model's plain ones, in place; how many."""
    try:
        with torch.inference_mode():
            return _packed(model) if _works() else 0
    except (AttributeError, RuntimeError, NotImplementedError):  # a torch or a processor without oneDNN
        return 0


def _packed(model: Any) -> int:
    found = 0
    for owner in list(model.modules()):
        for name, part in list(owner.named_children()):
            if type(part) is torch.nn.Linear and part.weight.dtype == torch.float32 and not part._forward_hooks:
                setattr(owner, name, PackedLinear(part))
                found += 1
    for owner in model.modules():
        _join_gelu(owner)
    return found


def _join_gelu(owner: Any) -> None:
    """Of transformers' `…Intermediate`, a layer and its activation: both in one pass over the layer's outputs."""
    layer, act = getattr(owner, "dense", None), getattr(owner, "intermediate_act_fn", None)
    if not isinstance(layer, PackedLinear) or getattr(act, "act", None) is not torch.nn.functional.gelu:
        return
    x = torch.linspace(-2, 2, 3 * layer.in_features).reshape(1, 3, layer.in_features)
    before = owner(x)
    layer.then, owner.intermediate_act_fn = "gelu", torch.nn.Identity()
    if (owner(x) - before).abs().max() > CLOSE:  # not that layer, then that activation, and nothing else
        layer.then, owner.intermediate_act_fn = "none", act


def _works() -> bool:
    """Whether the kernel is there and right."""
    plain = torch.nn.Linear(48, 32)
    x = torch.linspace(-1, 1, 5 * 48).reshape(5, 48)
    return bool((PackedLinear(plain)(x) - plain(x)).abs().max() < CLOSE)
