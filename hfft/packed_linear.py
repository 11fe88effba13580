"""Linear layers of a model that only answers, with weights laid out for the CPU once instead of at every call.

In: a model in float32 on the CPU. Out: the same model, the same outputs to float32's last digits, no gradients. Where
torch has no such kernel the model stays as it is. oneDNN's layout, as torch.compile uses it; in benchmarks/predict.py
that is about a fifth of the time of a small BERT, mostly by writing the bias with the product and not before it. Where
GELU follows a layer it is computed with it, which saves a pass over the widest arrays.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

Make = Callable[[torch.nn.Linear], Any]  # a plain layer → what stands in for it, or None where it stays
ROWS = 1024  # tokens that the layout is chosen for; others are computed as well
# The kernel is compiled for each number of tokens, and kept, half a MB. In a pass over many rows, whose heads read the
# first tokens alone, few tokens are filled up to whole multiples; of one row that would take several times as long.
FEW, SAME = 256, 32
CLOSE = 1e-4  # of numbers of about one, beyond which the kernel is not trusted


class PackedLinear(torch.nn.Module):
    """x → f(x Wᵀ + b), (…, inputs) → (…, outputs), for inference. then: f, "none" or "gelu" (the exact one).

    fills: whether few tokens are filled up.
    """

    def __init__(self, linear: torch.nn.Linear, fills: bool = True) -> None:
        super().__init__()
        self.then, self.fills = "none", fills
        weight = linear.weight.detach()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("packed", torch.ops.mkldnn._reorder_linear_weight(weight, ROWS), persistent=False)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach(), persistent=False)

    @property
    def weight(self) -> torch.Tensor:
        """As it was: some models ask for its type. A copy in the plain layout, each time."""
        return self.packed.to_dense()  # type: ignore[no-any-return, operator]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.numel() // self.in_features
        if not self.fills or n >= FEW or n % SAME == 0:
            return self._product(x)
        tall = torch.nn.functional.pad(x.reshape(n, self.in_features), (0, 0, 0, -n % SAME))
        return self._product(tall)[:n].view(*x.shape[:-1], self.out_features)

    def _product(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, self.then, [], "none")  # type: ignore[no-any-return]


def pack(model: Any) -> int:
    """Put packed layers in the place of a model's plain ones, in place; how many."""
    if not usable():
        return 0
    with torch.inference_mode():
        return _packed(model)


@contextlib.contextmanager
def answering(model: Any, other: Make | None = None) -> Iterator[int]:
    """Within it the model's plain layers are packed ones; afterwards they are the same objects again. How many.

    The second copy of the weights lives as long. other: what stands in for a layer, if not a packed one.
    """
    make = other or PackedLinear
    if other is None and not usable():
        yield 0
        return
    acts = [(owner, owner.intermediate_act_fn) for owner in model.modules() if hasattr(owner, "intermediate_act_fn")]
    places = []
    try:
        with torch.inference_mode():
            for owner, name, part in list(_plain(model)):
                if (new := make(part)) is not None:
                    places.append((owner, name, part))
                    setattr(owner, name, new.train(False))
            for owner, _ in acts:
                _join_gelu(owner)
        yield len(places)
    finally:
        for owner, name, part in places:
            setattr(owner, name, part)
        for owner, act in acts:
            owner.intermediate_act_fn = act


@functools.cache
def usable() -> bool:
    """Whether torch has such a kernel here, and it is right."""
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):  # training's own numbers stay as they are
            return _works()
    except (AttributeError, RuntimeError, NotImplementedError):  # a torch or a processor without oneDNN
        return False


def _packed(model: Any) -> int:
    found = 0
    for owner, name, part in list(_plain(model)):
        setattr(owner, name, PackedLinear(part, fills=False))
        found += 1
    for owner in model.modules():
        _join_gelu(owner)
    return found


def _plain(model: Any) -> Iterator[tuple[Any, str, torch.nn.Linear]]:
    """(owner, name, layer) of layers that nobody listens to, in float32 on the CPU."""
    for owner in list(model.modules()):
        if type(owner).__module__.startswith("peft."):  # an adapter reads its layers' weights
            continue
        for name, part in list(owner.named_children()):
            if type(part) is not torch.nn.Linear or part._forward_hooks or part._forward_pre_hooks:
                continue
            if part.weight.dtype == torch.float32 and part.weight.device.type == "cpu":
                yield owner, name, part


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
