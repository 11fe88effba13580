"""Which tokens of a text spoke for a class: integrated gradients over the embeddings.

In: a text model, one encoded text, a class. Out: one number per token. It must not know words, files or labels.
Sundararajan, Taly & Yan, Axiomatic Attribution for Deep Networks, ICML 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hfft import evidence
from hfft.errors import InputError

STEPS, MOST_STEPS = 32, 256  # points on the path: twice as many until the numbers add up
ENOUGH = 0.01  # of the sum of all attributions: below this a gap changes no picture
AT_ONCE = 16  # points that share a forward pass


@dataclass(frozen=True)
class Attribution:
    """values: what each token adds to the evidence, float (tokens,). evidence: of the text; blank: of the baseline.

    Completeness: without an error of integration the values would sum to evidence - blank; `gap` is what is missing.
    """

    values: np.ndarray
    evidence: float
    blank: float
    steps: int

    @property
    def gap(self) -> float:
        return abs(float(self.values.sum()) - (self.evidence - self.blank))

    @property
    def share(self) -> float:
        """The gap as a share of all that is attributed."""
        return self.gap / max(float(np.abs(self.values).sum()), 1e-12)


def attribute(
    model: Any, inputs: dict[str, torch.Tensor], target: int, replaced: torch.Tensor, blank: int, several: bool = False
) -> Attribution:
    """Attributions of the tokens to `target`; the baseline has the token `blank` wherever `replaced` says so.

    inputs: one row as the tokenizer makes it, each (1, tokens). replaced: bool (tokens,), all but special tokens.
    Raises InputError for a model whose embeddings are not looked up in one table.
    """
    steps = STEPS
    while True:
        found = integrate(model, inputs, target, replaced, blank, steps, several)
        if found.share <= ENOUGH or steps >= MOST_STEPS:
            return found
        steps *= 2


def integrate(
    model: Any,
    inputs: dict[str, torch.Tensor],
    target: int,
    replaced: torch.Tensor,
    blank: int,
    steps: int,
    several: bool = False,
) -> Attribution:
    """The same with a fixed number of points, those of Gauss and Legendre."""
    table, ids = model.get_input_embeddings(), inputs["input_ids"]
    with torch.no_grad():
        whole = table(ids)
        empty = table(torch.where(replaced.to(ids.device), torch.full_like(ids, blank), ids))
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    # The ends come along: what completeness is held against.
    places = torch.tensor([*(nodes + 1) / 2, 0.0, 1.0], dtype=whole.dtype, device=whole.device)
    shares = torch.tensor([*weights / 2, 0.0, 0.0], dtype=whole.dtype, device=whole.device)
    total, said = torch.zeros_like(whole[0]), []
    for start in range(0, len(places), AT_ONCE):
        part = places[start : start + AT_ONCE, None, None]
        points = (empty + part * (whole - empty)).detach().requires_grad_()
        found = evidence.of_class(_logits(model, table, inputs, points), target, several)
        slopes = torch.autograd.grad(found.sum(), points)[0]
        total += (shares[start : start + AT_ONCE, None, None] * slopes).sum(dim=0)
        said.append(found.detach())
    values = (total * (whole - empty)[0]).sum(dim=-1)
    ends = torch.cat(said)[-2:].tolist()
    return Attribution(values.double().cpu().numpy(), ends[1], ends[0], steps)


def _logits(model: Any, table: Any, inputs: dict[str, torch.Tensor], points: torch.Tensor) -> torch.Tensor:
    """Outputs for the same tokens with other embeddings (batch, tokens, d).

    A hook and not `inputs_embeds`: models look at the ids for more than embeddings, such as where padding begins.
    """
    batch = {name: tensor.expand(len(points), *tensor.shape[1:]) for name, tensor in inputs.items()}
    used = []

    def swap(_: Any, looked_up: tuple[torch.Tensor, ...], found: torch.Tensor) -> torch.Tensor:
        if found.shape != points.shape or not torch.equal(looked_up[0], batch["input_ids"]):
            return found  # a decoder that reads its own tokens through the same table
        used.append(True)
        return points

    # An encoder and a decoder each have a module of their own around the one table.
    kinds = (module for module in model.modules() if isinstance(module, torch.nn.Embedding))
    handles = [module.register_forward_hook(swap) for module in kinds if module.weight is table.weight]
    try:
        logits = model(**batch).logits
    finally:
        for handle in handles:
            handle.remove()
    if not used:
        raise InputError(f"{type(model).__name__} looks its embeddings up in another way: it cannot be explained")
    return logits
