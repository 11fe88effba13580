"""Cheap dropout: as often, as much and as evenly as torch's own, and the same under one seed."""

from __future__ import annotations

import pytest
import torch

from hfft import dropping


@pytest.mark.parametrize("p", [0.1, 0.5, 0.03, 0.9])
def test_share_and_mean_are_those_that_were_asked_for(p):
    torch.manual_seed(0)
    mask, scale = dropping.kept(torch.Size((1001, 999)), p)
    # Within 5 standard errors of a share of a million draws, on top of the step of 2^-16.
    assert float(mask.float().mean()) == pytest.approx(1 - p, abs=5 * (p * (1 - p) / 1e6) ** 0.5 + 2**-16)
    assert scale == pytest.approx(1 / (1 - p), rel=2**-16 / (1 - p))
    # Every place of every row and column alike: no bit of the generator is fixed.
    spread = mask.float()[:, :996].view(1001, -1, 4).mean((0, 1))
    assert float((spread - (1 - p)).abs().max()) < 0.006


def test_neighbours_are_independent():
    torch.manual_seed(0)
    mask = dropping.kept(torch.Size((1_000_000,)), 0.5)[0].float() - 0.5
    for lag in (1, 2, 4, 8, 64):
        assert abs(float((mask[lag:] * mask[:-lag]).mean()) * 4) < 0.005


def test_gradient_passes_where_numbers_did():
    torch.manual_seed(0)
    layer, x = dropping.Dropout(0.25), torch.randn(50, 3, 8).transpose(0, 1).requires_grad_()
    y = layer(x)
    y.backward(torch.ones_like(y))
    assert 0.15 < float((y == 0).float().mean()) < 0.35
    torch.testing.assert_close(y, x * x.grad)


def test_seed_decides_and_torch_keeps_the_state():
    layer, x, drawn = dropping.Dropout(0.5), torch.ones(64), []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append([layer(x), layer(x)])
        state = torch.get_rng_state()
        third = layer(x)
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))
    assert not torch.equal(drawn[0][0], drawn[0][1])
    torch.set_rng_state(state)
    assert torch.equal(layer(x), third)


def test_swapped_layers_are_plain_again():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5), torch.nn.Dropout1d(0.5))
    dropping.swap(model, torch.nn.Dropout, dropping.Dropout)
    assert [type(layer) for layer in model][1:] == [dropping.Dropout, torch.nn.Dropout1d]
    assert torch.equal(model.eval()[1](torch.ones(4)), torch.ones(4))
    dropping.swap(model, dropping.Dropout, torch.nn.Dropout)
    assert type(model[1]) is torch.nn.Dropout
