"""Linear layers of a model that only answers, in whole numbers of 8 bits: faster on a CPU, and not quite the same.

In: a plain layer. Out: one that stands in for it. Weights have one scale for each output, and what comes in one for
each token, from its own largest number: an answer does not depend on the rows beside it. (Vector-wise scaling, Dettmers
et al. 2022, arXiv:2208.07339, section 2.1.) torch._int_mm, which is what torchao stands on, and not
torch.ao.quantization, which is about to leave torch: its one scale for a whole batch is no faster and less exact (see
docs/speed.md).
"""

from __future__ import annotations

import functools
import platform
from typing import Any

import torch

from hfft import eight_bit
from hfft.errors import counted

SMALLEST = 128  # outputs and inputs of a layer, below which 8 bits gain nothing: a head, mostly
NAME = "int8"
LARGEST = 127
LEAST = 1e-8  # a scale below which everything is 0
CLOSE = 0.05  # of numbers of about one, beyond which the products are not trusted


class Int8Linear(torch.nn.Module):
    """x → x Wᵀ + b, (…, inputs) → (…, outputs), products in int8, sums in int32, for inference."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = linear.weight.detach()  # some models ask for its type
        self.bias = None if linear.bias is None else linear.bias.detach()
        self.scales = self.weight.abs().amax(1).clamp_min(LEAST) / LARGEST
        self.whole = torch.round(self.weight / self.scales[:, None]).to(torch.int8).t()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.reshape(-1, self.in_features)
        scales = tokens.abs().amax(1, keepdim=True).clamp_min_(LEAST).div_(LARGEST)
        sums = torch._int_mm(torch.round(tokens / scales).to(torch.int8), self.whole)
        out = sums.float().mul_(scales).mul_(self.scales)
        return (out if self.bias is None else out.add_(self.bias)).reshape(*x.shape[:-1], self.out_features)


def layer(linear: torch.nn.Linear) -> Int8Linear | None:
    """What stands in for a layer that is large enough."""
    return Int8Linear(linear) if min(linear.in_features, linear.out_features) >= SMALLEST else None


def chosen(what: str, model: Any, args: Any, masks: bool = False) -> tuple[Any, str]:
    """(`layer`, or None where it cannot be had; a sentence on it). what: is to be computed in 8 bits.

    args: TrainingArguments. masks: whether each pixel has a class.
    """
    plain = [part for part in model.modules() if type(part) is torch.nn.Linear]
    large = sum(min(part.in_features, part.out_features) >= SMALLEST for part in plain)
    why = ""
    if masks:
        why = "masks are made by convolutions"
    elif args.device.type != "cpu":
        why = f"8 bits are for a CPU, and this is {args.device.type}"
    elif args.bf16 or args.fp16:
        why = f"training computes in {'bf16' if args.bf16 else 'fp16'}, and so does evaluation"
    elif not large:
        why = f"this model has no linear layer of {SMALLEST} inputs and outputs"
    elif not works():
        why = "this processor, or this torch for it, has no fast products of 8 bits (VNNI or AMX)"
    if why:
        return None, f"speed.int8 changes nothing: {why}"
    return layer, f"speed.int8: {what} with {counted(large, 'linear layer')} in 8 bits; no score of metrics.json is"


@functools.cache
def works() -> bool:
    """Whether the products are there, fast and right: elsewhere torch has a slow loop for them, or they overflow."""
    if platform.machine().lower() not in ("x86_64", "amd64") or eight_bit.overflows():
        return False
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):  # training's own numbers stay as they are
            plain = torch.nn.Linear(SMALLEST, SMALLEST)
            x = torch.linspace(-1, 1, 2 * SMALLEST).reshape(2, SMALLEST)
            return bool((Int8Linear(plain)(x) - plain(x)).abs().max() < CLOSE)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
