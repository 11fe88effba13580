"""Metrics of pixels while training goes on: what the Trainer calls after each batch, holding one matrix and no masks.

In: logits and labels of a batch. Out: per-image confusion matrices, and at the end the values of `hfft.scoring`. It
must not know files or splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hfft import rooms, scoring, upsampling
from hfft.counts import of_cells
from hfft.masks import IGNORED


def matrices(logits: Any, labels: torch.Tensor) -> torch.Tensor:
    """Confusion matrices, int64 (n, classes, classes), rows true. logits: (n, classes, h, w), of any size; labels: (n,
    h, w), of which IGNORED counts nowhere."""
    scores = logits[0] if isinstance(logits, tuple) else logits
    return torch.stack([_matrix(one, truth) for one, truth in zip(scores, labels, strict=True)])


def _matrix(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """One image at a time: logits of a whole batch at full size would be the largest thing in memory."""
    classes, answer = len(logits), upsampling.to_size(logits[None], truth.shape)[0].argmax(0)
    valid = truth != IGNORED
    code = truth[valid] * classes + answer[valid]
    return torch.bincount(code, minlength=classes * classes).view(classes, classes)


class Running:
    """Sums confusion matrices over batches; the last call gives {key: value} and begins anew."""

    def __init__(self, metrics: Sequence[str], names: Sequence[str]) -> None:
        self.metrics, self.names = known(metrics), names
        self.total = np.zeros((len(names), len(names)), dtype=np.int64)

    def __call__(self, prediction: Any, compute_result: bool = True) -> dict[str, float]:
        found = prediction.predictions
        self.total += np.asarray(found.cpu() if torch.is_tensor(found) else found).sum(axis=0)
        if not compute_result:
            return {}
        total, self.total = self.total, np.zeros_like(self.total)
        return scoring.points(of_cells(total), self.metrics, self.names)


def known(metrics: Sequence[str]) -> list[str]:
    """Those that a confusion matrix gives: boundaries are looked at when training is over."""
    without = of_cells(np.eye(2, dtype=np.int64))
    return [name for name in metrics if rooms.find("metrics", name).score(without)]
