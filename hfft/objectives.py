"""What training minimises: a room's loss in the form the Trainer takes.

In: the recipe's `loss:` section and the classes' frequencies in train. Out: a callable over outputs and labels. It must
not know rows or models.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from hfft import class_weights, rooms, upsampling
from hfft.class_weights import Frequencies
from hfft.errors import InputError, listed
from hfft.recipe import Loss

PLAIN = {False: "cross_entropy", True: "binary_cross_entropy"}  # what every loss is compared by
OPTIONS = ("gamma", "tau")


def check_loss(name: str, multi_label: bool, masks: bool = False) -> ModuleType:
    """The room's loss. Raises InputError where it is for one class per row and rows have several, or the reverse, or
    where it is for pixels and rows have none. masks: whether each pixel of a row has a class.
    """
    found = rooms.find("losses", name)
    if _fits(found, multi_label, masks):
        return found
    fitting = [other for other in rooms.names("losses") if _fits(rooms.find("losses", other), multi_label, masks)]
    kind = "of which several may apply" if multi_label else "of which one applies"
    if getattr(found, "MASKS", False):
        kind = "of whole rows, because it goes by the pixels of a mask"
    raise InputError(f"loss: {name} does not fit classes {kind}; leave the key out, or choose {listed(fitting)}")


def _fits(loss: ModuleType, multi_label: bool, masks: bool) -> bool:
    return getattr(loss, "MULTI_LABEL", False) == multi_label and (masks or not getattr(loss, "MASKS", False))


def loss_function(
    loss: Loss,
    smoothing: float = 0.0,
    multi_label: bool = False,
    found: Frequencies | None = None,
    masks: bool = False,
) -> Callable[..., torch.Tensor]:
    """The room's per-row loss, summed and divided by the rows of the whole optimizer step.

    `Trainer` neither divides by accumulation steps nor by processes when a loss function is given, but hands over the
    number of labels in all of them: dividing by that number is what makes every layout equal. A row with one label per
    class, or a share of each, counts once. Weights are in the sum alone: their mean over train is 1 already, and a
    batch's own mean would make its loss depend on the rows beside it.

    Where no gradient is asked for, the loss is plain (binary) cross-entropy: validation losses of all runs can be
    compared. found: needed by weights and by losses that go by frequencies; of masks, those of pixels.

    masks: each pixel is a row, of logits that are enlarged to the size of the labels. Classes stay in the second place,
    (n, classes, h, w): putting them last, as of rows, takes six times as long.
    """
    rows = check_loss(loss.name, multi_label, masks).rows
    plain = rooms.find("losses", PLAIN[multi_label]).rows
    options = {name: getattr(loss, name) for name in OPTIONS if getattr(loss, name) is not None}
    takes = inspect.signature(rows).parameters
    by_prior, weighs = "prior" in takes, "weights" in takes
    weigh = _weights(loss, found, multi_label)

    @functools.cache
    def prior(device: torch.device) -> dict[str, torch.Tensor]:
        return {"prior": torch.tensor(_known(found).prior, dtype=torch.float32, device=device)} if by_prior else {}

    def train_rows(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        given: dict[str, Any] = options | prior(logits.device) | {"smoothing": smoothing}
        weights = None if weigh is None else weigh(labels, logits.device)
        if weighs:
            given["weights"] = weights
        each: torch.Tensor = rows(logits, labels, **given)
        return each if weights is None or weighs else each * weights

    def compute(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
        if masks:
            logits = upsampling.to_size(logits, labels.shape[-2:])
            count = torch.as_tensor(count).clamp_min(1)  # all pixels of a step may be left out
        elif labels.ndim > 1:
            count = count / labels.shape[-1]
        each: torch.Tensor = train_rows(logits, labels) if torch.is_grad_enabled() else plain(logits, labels)
        return each.sum() / count

    return compute


def _weights(
    loss: Loss, found: Frequencies | None, multi_label: bool
) -> Callable[[torch.Tensor, torch.device], torch.Tensor] | None:
    """(labels, device) → weight of each row, (n,), or of each answer, (n, classes); None without `loss.weights`.

    Of a soft label it is the weight that is to be expected of it.
    """
    if loss.weights is None:
        return None
    make = class_weights.of_answers if multi_label else class_weights.of_rows
    values = make(loss.weights, _known(found), loss.beta or 0.0)

    @functools.cache
    def on(device: torch.device) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    def weigh(labels: torch.Tensor, device: torch.device) -> torch.Tensor:
        table = on(device)
        if multi_label:
            return torch.lerp(table[0].expand_as(labels), table[1].expand_as(labels), labels.float())
        return labels.float() @ table if labels.ndim == 2 else table[labels.clamp_min(0)]

    return weigh


def _known(found: Frequencies | None) -> Frequencies:
    if found is None:
        raise ValueError("this loss goes by the classes' frequencies in train")
    return found
