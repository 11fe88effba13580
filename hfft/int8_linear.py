"""Linear layers of a model that only answers, in whole numbers of 8 bits: faster on a CPU, and not quite the same.

In: a plain layer. Out: one that stands in for it. Weights have one scale for each output; what comes in has one for
each batch, taken from the batch itself ("dynamic"), so that an answer depends a little on the rows beside it. torch's
own products; the modules above them, torch.ao.quantization, are about to leave torch.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from hfft import eight_bit
from hfft.errors import counted

SMALLEST = 128  # outputs and inputs of a layer, below which 8 bits gain nothing: a head, mostly
NAME = "int8"


class Int8Linear(torch.nn.Module):
    """x → x Wᵀ + b, (…, inputs) → (…, outputs), products in int8, sums in int32, for inference."""

    def __init__(self, linear: torch.nn.Linear, reduce_range: bool) -> None:
        super().__init__()
        self.in_features, self.out_features, self.reduce_range = linear.in_features, linear.out_features, reduce_range
        weight = linear.weight.detach()
        scales = weight.abs().amax(1).clamp_min(1e-8) / 127
        made = torch.quantize_per_channel(weight, scales, torch.zeros(len(scales), dtype=torch.int64), 0, torch.qint8)
        bias = None if linear.bias is None else linear.bias.detach()
        self.packed = torch.ops.quantized.linear_prepack(made, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.quantized.linear_dynamic(x, self.packed, self.reduce_range)  # type: ignore[no-any-return]


def layer(linear: torch.nn.Linear) -> Int8Linear | None:
    """What stands in for a layer that is large enough."""
    if min(linear.in_features, linear.out_features) < SMALLEST:
        return None
    return Int8Linear(linear, eight_bit.overflows())


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
    elif not _works():
        why = "this torch has no products of 8 bits for this processor"
    if why:
        return None, f"speed.int8 changes nothing: {why}"
    return layer, f"speed.int8: {what} with {counted(large, 'linear layer')} in 8 bits; no score of metrics.json is"


@functools.cache
def _works() -> bool:
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):  # training's own numbers stay as they are
            plain = torch.nn.Linear(SMALLEST, SMALLEST)
            x = torch.linspace(-1, 1, 2 * SMALLEST).reshape(2, SMALLEST)
            return bool((Int8Linear(plain, eight_bit.overflows())(x) - plain(x)).abs().max() < 0.1)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
