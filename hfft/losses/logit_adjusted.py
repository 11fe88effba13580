"""Cross-entropy of logits that are shifted by how frequent each class is, one value per row.

Menon et al. 2021, "Long-tail learning via logit adjustment", equation 10; tau = 1 is the balanced softmax of Ren et
al. 2020, equation 4. The model learns what speaks for a class beyond its frequency, so that its plain largest logit
aims at the mean recall over classes. Its probabilities are then those of a world with equal classes.
"""

from __future__ import annotations

import torch


def rows(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0, *, prior: torch.Tensor, tau: float = 1.0
) -> torch.Tensor:
    """Loss of each row in nats, float32 (n,). logits: (n, classes), or of pixels (n, classes, h, w) for (n, h, w).

    labels: int (n,), of which -100 costs nothing, or the share of each class, float (n, classes). smoothing: as in
    cross_entropy.py. prior: share of training rows that each class has, above 0, (classes,). tau: 0 is cross-entropy.
    """
    target = labels.float() if labels.ndim == 2 else labels
    shifted = logits.float() + (tau * prior.log()).view(-1, *[1] * (logits.ndim - 2))
    return torch.nn.functional.cross_entropy(shifted, target, reduction="none", label_smoothing=smoothing)
