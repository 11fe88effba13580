"""The losses: each row's number by the formula, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hfft import rooms
from hfft.objectives import loss_function
from hfft.recipe import Loss


def draws(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(logits, labels 0.0 or 1.0), 7 rows of 4 classes."""
    random = np.random.default_rng(seed)
    return random.normal(size=(7, 4)) * 3, (random.random((7, 4)) < 0.4).astype(float)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_cross_entropy_of_each_row(smoothing):
    logits, labels = draws()
    chance, target = 1 / (1 + np.exp(-logits)), labels * (1 - smoothing) + smoothing / 2
    expected = -(target * np.log(chance) + (1 - target) * np.log(1 - chance)).mean(axis=1)
    rows = rooms.find("losses", "binary_cross_entropy").rows
    found = rows(torch.tensor(logits), torch.tensor(labels), smoothing=smoothing)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_a_row_counts_once_however_many_classes_it_has():
    """Trainer hands over the number of labels of a step: rows times classes."""
    logits, labels = (torch.tensor(part) for part in draws())
    compute = loss_function(Loss("binary_cross_entropy"), multi_label=True)
    whole = compute({"logits": logits}, labels)
    halves = [compute({"logits": logits[part]}, labels[part], torch.tensor(28)) for part in (slice(3), slice(3, 7))]
    assert sum(halves).item() == pytest.approx(whole.item(), rel=1e-6)
    rows = rooms.find("losses", "binary_cross_entropy").rows(logits, labels)
    assert whole.item() == pytest.approx(rows.mean().item(), rel=1e-6)


def test_far_logits_stay_finite():
    rows = rooms.find("losses", "binary_cross_entropy").rows
    far = rows(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]))
    assert far.item() == pytest.approx(1e4)
