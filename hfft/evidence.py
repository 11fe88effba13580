"""What an explanation explains: how strongly a model speaks for one class. torch only; it must not know inputs.

In: a model's outputs. Out: one number per row, differentiable.
"""

from __future__ import annotations

import numpy as np
import torch


def of_class(logits: torch.Tensor, target: int, several: bool) -> torch.Tensor:
    """Logit of the class above the mean of all logits, (batch,); where several classes may apply, its logit alone.

    Softmax does not see what all logits share, so an explanation must not either. Probabilities would saturate: near 1
    nothing changes them, and nothing would seem to matter. logits: (batch, classes).
    """
    own = logits[:, target].double()
    return own if several else own - logits.double().mean(dim=1)


def surest(logits: torch.Tensor, bias: np.ndarray | None = None) -> int:
    """The likeliest class of one row, or its answer by a bias per class; of several, the one that most likely applies.

    logits: (1, classes). bias: float (classes,), of the log-probabilities, from which logits differ by a constant.
    """
    return int((logits[0] if bias is None else logits[0].double().cpu() + torch.from_numpy(bias)).argmax())


def probability(logits: torch.Tensor, target: int, several: bool) -> float:
    """Of the class, by softmax, or by sigmoid where several may apply. logits: (1, classes)."""
    found = logits.double().sigmoid() if several else logits.double().softmax(dim=1)
    return float(found[0, target])
