"""Dropout whose random numbers cost little on a CPU, for as long as a model trains.

In: a model. Out: the same modules, whose dropout draws 16 random bits for each number where torch draws a float. It
must not know the model or the Trainer.

torch's own masks take up to a fifth of a training step. p is kept to 2^-16, and numbers are scaled by the share that is
really kept, so that their mean stays exactly what it was. Each mask has a generator of its own, seeded by one draw from
torch's: runs with one seed are the same, a resumed run goes on with the same numbers, and gradient checkpointing, which
puts torch's generator back, sees the same mask twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

STEPS = 1 << 16  # in which a probability is kept


def kept(shape: torch.Size, p: float) -> tuple[torch.Tensor, float]:
    """(1, or 0 with probability p, as uint8; what the rest is multiplied by).

    numpy compares ten times as fast as torch here, and torch multiplies by bytes twenty times as fast as by bools.
    """
    count = shape.numel()
    seed = int(torch.empty((), dtype=torch.int64).random_())
    bits = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16)[:count]
    dropped = min(round(p * STEPS), STEPS - 1)
    mask = torch.from_numpy((bits >= dropped - STEPS // 2).view(np.uint8))
    return mask.view(shape), STEPS / (STEPS - dropped)


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float) -> torch.Tensor:
        mask, ctx.scale = kept(x.shape, p)
        ctx.save_for_backward(mask)
        return (x * mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return (grads[0] * ctx.saved_tensors[0]).mul_(ctx.scale), None


def dropped(x: torch.Tensor, p: float) -> torch.Tensor:
    """x with each number set to 0 with probability p, and the others scaled up. On CPU; 0 <= p < 1."""
    out: torch.Tensor = _Dropped.apply(x, p)
    return out


class Dropout(torch.nn.Dropout):
    """The same layer; p of 1, and other devices, are left to torch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p:
            return x
        if self.p >= 1 or x.device.type != "cpu":
            return super().forward(x)
        return dropped(x, self.p)


def swap(model: Any, own: type, other: type) -> None:
    """Make every layer that is exactly `own` an `other`: two classes with the same attributes."""
    for module in model.modules():
        if type(module) is own:
            module.__class__ = other
