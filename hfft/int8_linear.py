"""Linear layers of a model that only answers, in whole numbers of 8 bits: faster on a CPU, and not quite the same.

In: a plain layer. Out: one that stands in for it. Weights have one scale for each output; what comes in has one for
each batch, taken from the batch itself ("dynamic"), so that an answer depends a little on the rows beside it. torch's
own products; the modules above them, torch.ao.quantization, are about to leave torch.
"""

from __future__ import annotations

from typing import Any

import torch

from hfft import eight_bit

SMALLEST = 128  # outputs and inputs of a layer, below which 8 bits gain nothing: a head, mostly


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
