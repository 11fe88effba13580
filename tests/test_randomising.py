"""The check of explanations: it catches a map that needs no weights, and passes one that does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import spearmanr

from hfft import grad_cam, integrated_gradients, randomising
from tests.test_grad_cam import pixels, timm
from tests.test_integrated_gradients import BLANK, bert, made, row


def picture():
    """A square with texture: something that has edges."""
    image = torch.zeros(1, 3, 64, 64)
    image[:, :, 16:40, 10:50] = 1 + 0.3 * pixels(64)[:, :, 16:40, 10:50]
    return image


def edges(image):
    """An "explanation" that no model takes part in."""
    grey = image[0].mean(dim=0).numpy()
    strength = np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))
    return strength.reshape(8, 8, 8, 8).mean(axis=(1, 3))


def test_an_edge_detector_fails():
    image, model = picture(), timm("test_resnet", 64)
    verdict = randomising.check([edges(image)], lambda _: [edges(image)], model)[0]
    assert verdict.failed and verdict.rho == pytest.approx(1) and len(verdict.rhos) == randomising.ROUNDS
    assert verdict.sentence.startswith("WARNING") and "Conclude nothing" in verdict.sentence


def test_a_map_that_hardly_depends_on_the_weights_fails_too():
    """Edges, with a little of the model's own map on top."""
    image, model = picture(), timm("test_resnet", 64)

    def mixed(other):
        cam = np.kron(grad_cam.attribute(other, image, 0).cells, np.ones((4, 4)))[:8, :8]
        return [edges(image) + 0.05 * edges(image).max() * cam / max(cam.max(), 1e-9)]

    assert randomising.check(mixed(model), mixed, model)[0].failed


def test_gradients_of_other_weights_are_others():
    model, verdicts = made(bert, seed=11), []
    for seed in range(6):
        inputs, replaced = row(14, seed)

        def explain(other, inputs=inputs, replaced=replaced):
            return [integrated_gradients.integrate(other, inputs, 1, replaced, BLANK, 8).values[1:-1]]

        verdicts += randomising.check(explain(model), explain, model)
    assert not [verdict for verdict in verdicts if verdict.failed]
    assert abs(np.mean([verdict.rho for verdict in verdicts])) < 0.2


def test_unrelated_maps_hardly_ever_fail():
    draws, failed = np.random.default_rng(0), 0
    for _ in range(2000):
        failed += randomising.compared(draws.random(16), list(draws.random((5, 16)))).failed
    assert failed <= 2


def test_the_correlation_is_spearmans():
    draws = np.random.default_rng(1)
    for _ in range(20):
        one, other = draws.integers(0, 6, (2, 4, 5)).astype(float)
        assert randomising.correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert randomising.correlation(np.arange(6.0), np.zeros(6)) == 0


def test_too_little_is_said_to_be_too_little():
    few = randomising.compared(np.arange(4.0), [np.arange(4.0)] * 5)
    flat = randomising.compared(np.zeros((4, 4)), [np.random.default_rng(0).random((4, 4))] * 5)
    for verdict in (few, flat):
        assert verdict.rho is None and not verdict.failed and "Not checked" in verdict.sentence


def test_a_remade_model_is_the_same_kind_with_other_weights():
    model = made(bert)
    state = torch.random.get_rng_state()
    one, same, other = (randomising.remade(model, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert type(one) is type(model) and not one.training and next(one.parameters()).dtype == torch.float64
    ones, sames, others = (dict(part.named_parameters()) for part in (one, same, other))
    matrices = [name for name, tensor in ones.items() if tensor.ndim > 1]
    assert all(torch.equal(ones[name], sames[name]) for name in ones)
    assert not [name for name in matrices if torch.equal(ones[name], others[name])]
    own = dict(model.named_parameters())
    assert not [name for name in matrices if torch.equal(ones[name], own[name])]
