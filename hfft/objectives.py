"""What training minimises: a room's loss in the form the Trainer takes.

In: a name from a recipe. Out: a callable over outputs and labels. It must not know rows or models.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from hfft import rooms
from hfft.errors import InputError, listed


def check_loss(name: str, multi_label: bool) -> ModuleType:
    """The room's loss. Raises InputError where it is for one class per row and rows have several, or the reverse."""
    found = rooms.find("losses", name)
    if getattr(found, "MULTI_LABEL", False) == multi_label:
        return found
    fitting = [
        other
        for other in rooms.names("losses")
        if getattr(rooms.find("losses", other), "MULTI_LABEL", False) == multi_label
    ]
    kind = "of which several may apply" if multi_label else "of which one applies"
    raise InputError(f"loss: {name} does not fit classes {kind}; leave the key out, or choose {listed(fitting)}")


def loss_function(name: str, smoothing: float, multi_label: bool = False) -> Callable[..., torch.Tensor]:
    """The room's per-row loss, summed and divided by the rows of the whole optimizer step.

    `Trainer` neither divides by accumulation steps nor by processes when a loss function is given, but hands over the
    number of labels in all of them: dividing by that number is what makes every layout equal. A row with one label per
    class, or with a share for each class, counts once.
    """
    rows = check_loss(name, multi_label).rows

    def compute(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
        if labels.ndim > 1:
            count = count / labels.shape[-1]
        total: torch.Tensor = rows(logits, labels, smoothing=smoothing).sum() / count
        return total

    return compute
