"""A batch of one, in training, leaves BatchNorm as it was."""

from __future__ import annotations

import pickle

import pytest
import torch

from hfft import batch_norms


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 2, 1)).train()


def test_one_picture_of_one_position_raises_without_the_guard_and_not_with_it():
    one = torch.randn(1, 3, 4, 4)
    with pytest.raises(ValueError, match="more than 1 value"):
        network()(one)
    model = network()
    assert batch_norms.guard(model) == 1
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    out = model(one)
    out.sum().backward()
    assert torch.equal(out, network().eval()(one)), "it goes by the running statistics"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model[1].training and model[1].weight.grad is not None


def test_a_batch_of_two_is_as_it_was():
    two = torch.randn(2, 3, 4, 4)
    model, other = network(), network()
    assert batch_norms.guard(model) == batch_norms.guard(model) == 1
    model(two[:1])
    assert torch.equal(model(two), other(two))
    assert torch.equal(model[1].running_mean, other[1].running_mean) and model[1].num_batches_tracked == 1


def test_frozen_layers_stay_still_and_an_error_leaves_nothing_behind():
    model = network()
    batch_norms.guard(model)
    with pytest.raises(RuntimeError):
        model[1](torch.randn(1, 5, 4, 4))
    assert model[1].training
    model[1].eval()
    model(torch.randn(1, 3, 4, 4))
    assert not model[1].training
    assert pickle.loads(pickle.dumps(model))(torch.randn(1, 3, 4, 4)).shape == (1, 2, 1, 1)
