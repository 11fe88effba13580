"""A training step that is only tried: its loss and gradients in a precision, and the model as it was before.

In: a model, a batch and its loss. Out: seconds and numbers to compare; nothing is learnt. It must not know recipes.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

FP32, TF32, BF16, FP16 = "fp32", "tf32", "bf16", "fp16"
HALVES = {BF16: torch.bfloat16, FP16: torch.float16}
# Of the loss, relative, and of the gradients, as cosine and relative length: rounding in bf16 (8 bits) and in fp16
# stays well within; overflow, and layers that need float32, do not.
LOSS, COSINE, LENGTH = 0.05, 0.95, 0.15
SCALE = 2.0**10  # of the loss in fp16, whose small gradients would be lost

Gradients = tuple[float, list[torch.Tensor]]
Loss = Callable[[Any, torch.Tensor], torch.Tensor]


@dataclass
class Step:
    """A forward and backward pass of one batch, called with a precision. inputs: with "labels". Nothing is learnt.

    rows: of the batch that take part, where it is not all of them.
    """

    model: Any
    inputs: dict[str, Any]
    loss: Loss
    device: torch.device
    rows: int | None = None

    def __call__(self, precision: str) -> torch.Tensor:
        """The loss, float32, of whose graph the gradients are in the parameters, in fp16 times SCALE."""
        self.model.zero_grad(set_to_none=True)
        inputs = {name: value[: self.rows] for name, value in self.inputs.items()}
        labels = inputs.pop("labels")
        half = HALVES.get(precision)
        with tf32(precision == TF32):
            with torch.autocast(self.device.type, half, enabled=half is not None):
                outputs = self.model(**inputs)
            outputs["logits"] = outputs["logits"].float()
            value = self.loss(outputs, labels)
            (value * SCALE if precision == FP16 else value).backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return value.detach()

    def gradients(self, precision: str) -> Gradients:
        """(loss, the gradients of each parameter, flat, float32), without dropout: what may be compared."""
        self.model.train().eval()  # some models keep what they computed in evaluation until they train
        value = float(self(precision))
        found = [p.grad.detach().float().flatten() for p in self.model.parameters() if p.grad is not None]
        return value, [grad / SCALE for grad in found] if precision == FP16 else found

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """Within it steps may be taken: buffers, modes, gradients and random numbers are as before in the end."""
        model = self.model
        buffers = [buffer.clone() for buffer in model.buffers()]
        mode = {name: module.training for name, module in model.named_modules()}
        python, numbers = random.getstate(), np.random.get_state()
        try:
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                yield
        finally:
            model.zero_grad(set_to_none=True)
            for name, module in model.named_modules():
                module.training = mode[name]
            with torch.no_grad():
                for buffer, before in zip(model.buffers(), buffers, strict=True):
                    buffer.copy_(before)
            random.setstate(python)
            np.random.set_state(numbers)


def close(known: Gradients, other: Gradients) -> bool:
    """Whether another precision gives this loss and these gradients."""
    (loss, gradients), (value, found) = known, other
    length, own = (math.sqrt(_product(one, one)) for one in (gradients, found))
    if not math.isfinite(value) or not math.isfinite(own):
        return False
    if length == 0.0 or own == 0.0:
        return own == length
    cosine = _product(gradients, found) / (length * own)
    return abs(value - loss) <= LOSS * max(abs(loss), 1.0) and cosine >= COSINE and abs(own / length - 1) <= LENGTH


def _product(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """Of two vectors in parts, which are never laid side by side: that would take their memory again."""
    return sum(float(a @ b) for a, b in zip(one, other, strict=True))


@contextlib.contextmanager
def tf32(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    # As transformers sets it: torch refuses a mix of this and its older way.
    backends: Any = torch.backends
    parts = (backends.cuda.matmul, backends.cudnn.conv)
    before = [part.fp32_precision for part in parts]
    try:
        for part in parts:
            part.fp32_precision = "tf32"
        yield
    finally:
        for part, was in zip(parts, before, strict=True):
            part.fp32_precision = was
