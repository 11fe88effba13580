"""The losses: each row's number by the formula, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hfft import rooms
from hfft.class_weights import Frequencies
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


SINGLE = ("cross_entropy", "focal", "logit_adjusted")
PRIOR = torch.tensor([0.7, 0.2, 0.08, 0.02])


def both(name: str, logits, labels, smoothing=0.0, **options) -> torch.Tensor:
    if name.endswith("logit_adjusted"):
        options["prior"] = PRIOR
    return rooms.find("losses", name).rows(logits, labels, smoothing=smoothing, **options)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logit_adjustment_equals_its_closed_form(smoothing, tau):
    """Menon et al. 2021, equation 10: log(1 + sum over other classes of (prior/prior_y)^tau e^(z - z_y))."""
    logits, _ = draws()
    ids, prior = np.array([0, 1, 2, 3, 0, 3, 1]), PRIOR.double().numpy()

    def cost(row: int, right: int) -> float:
        ratio = (prior / prior[right]) ** tau * np.exp(logits[row] - logits[row, right])
        return float(np.log(ratio.sum()))

    expected = [
        (1 - smoothing) * cost(row, y) + smoothing / 4 * sum(cost(row, c) for c in range(4))
        for row, y in enumerate(ids)
    ]
    found = both("logit_adjusted", torch.tensor(logits), torch.tensor(ids), smoothing, tau=tau)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_logit_adjustment_of_several_classes_equals_its_closed_form():
    logits, labels = draws()
    prior = PRIOR.double().numpy()
    yes, no = prior**0.5 * np.exp(logits), (1 - prior) ** 0.5
    expected = -(labels * np.log(yes / (yes + no)) + (1 - labels) * np.log(no / (yes + no))).mean(axis=1)
    found = both("binary_logit_adjusted", torch.tensor(logits), torch.tensor(labels), tau=0.5)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_a_model_of_nothing_but_frequencies_has_nothing_left_to_learn():
    """Under the adjusted loss equal logits have no slope where the classes come as often as the prior says."""
    ids = torch.tensor([0] * 70 + [1] * 20 + [2] * 8 + [3] * 2)
    logits = torch.zeros(4, requires_grad=True)
    both("logit_adjusted", logits.expand(100, 4), ids).sum().backward()
    assert logits.grad.abs().max() < 1e-4


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_limits_of_the_losses_are_cross_entropy(smoothing):
    logits, labels = (torch.tensor(part) for part in draws())
    ids = torch.tensor([0, 1, -100, 3, 0, 2, 1])
    plain = both("cross_entropy", logits, ids, smoothing)
    assert plain[2] == 0
    several = both("binary_cross_entropy", logits, labels, smoothing)
    for name, zero in (("focal", "gamma"), ("logit_adjusted", "tau")):
        torch.testing.assert_close(both(name, logits, ids, smoothing, **{zero: 0.0}), plain)
        assert both(name, logits, ids, smoothing)[2] == 0, "-100 costs nothing"
        torch.testing.assert_close(both(f"binary_{name}", logits, labels, smoothing, **{zero: 0.0}), several)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_shares_of_one_class_are_that_class(name, smoothing):
    logits, _ = draws()
    ids = torch.tensor([0, 1, 2, 3, 0, 3, 1])
    hot = torch.nn.functional.one_hot(ids, 4).double()
    given = torch.tensor(logits)
    torch.testing.assert_close(both(name, given, hot, smoothing), both(name, given, ids, smoothing))
    mixed = both(name, given, 0.3 * hot + 0.7 * hot.roll(1, dims=1))
    parts = 0.3 * both(name, given, ids) + 0.7 * both(name, given, (ids + 1) % 4)
    torch.testing.assert_close(mixed, parts, msg="mixed labels cost the mixture")


@pytest.mark.parametrize("gamma", [0.5, 2.0, 3.5])
def test_focal_of_several_classes_is_torchvisions(gamma):
    from torchvision.ops import sigmoid_focal_loss

    logits, labels = (torch.tensor(part).float() for part in draws())
    theirs = sigmoid_focal_loss(logits, labels, alpha=-1, gamma=gamma).mean(dim=1)
    torch.testing.assert_close(both("binary_focal", logits, labels, gamma=gamma), theirs, rtol=1e-4, atol=1e-7)


def test_focal_of_two_classes_is_that_of_one_question():
    logits, labels = (torch.tensor(part) for part in draws())
    question = rooms.find("losses", "binary_focal").rows(logits[:, :1], labels[:, :1])
    pair = torch.cat([torch.zeros(7, 1), logits[:, :1]], dim=1)
    torch.testing.assert_close(both("focal", pair, labels[:, 0].long()), question, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", ["focal", "binary_focal"])
def test_sure_answers_have_finite_slopes(name, gamma):
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0], [30.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 0, 0]) if name == "focal" else torch.tensor([[1.0, 0.0]] * 3)
    both(name, logits, labels, gamma=gamma).sum().backward()
    assert torch.isfinite(logits.grad).all()


COUNTS = Frequencies(("a", "b", "c", "d"), np.array([70, 20, 8, 2]), 100)
ALL = [(name, False) for name in SINGLE] + [(f"binary_{name}", True) for name in SINGLE]


@pytest.mark.parametrize("name, several", ALL)
def test_validation_is_plain_cross_entropy_whatever_is_trained_by(name, several):
    logits, labels = (torch.tensor(part) for part in draws())
    labels = labels if several else torch.tensor([0, 1, 2, 3, 0, 3, 1])
    compute = loss_function(Loss(name, weights="balanced"), 0.1, several, COUNTS)
    plain = loss_function(Loss(ALL[3][0] if several else ALL[0][0]), 0.0, several)
    assert compute({"logits": logits}, labels) != plain({"logits": logits}, labels)
    with torch.no_grad():
        assert compute({"logits": logits}, labels) == plain({"logits": logits}, labels)


@pytest.mark.parametrize("name", SINGLE)
def test_weights_multiply_the_rows_and_divide_by_nothing(name):
    logits, ids = torch.tensor(draws()[0]), torch.tensor([0, 1, 2, 3, 0, 3, 1])
    given = {"a": 0.5, "d": 4.0}
    compute = loss_function(Loss(name, weights=given), found=COUNTS)
    rows = rooms.find("losses", name).rows
    prior = {"prior": PRIOR} if name == "logit_adjusted" else {}
    each = rows(logits, ids, **prior)
    mean = (70 * 0.5 + 20 + 8 + 2 * 4) / 100
    weights = torch.tensor([0.5, 1.0, 1.0, 4.0])[ids] / mean
    torch.testing.assert_close(compute({"logits": logits}, ids), (each * weights).mean())
    soft = torch.tensor([[0.25, 0.0, 0.0, 0.75]]).expand(7, 4)
    expected = rows(logits, soft, **prior).mean() * (0.25 * 0.5 + 0.75 * 4) / mean
    torch.testing.assert_close(compute({"logits": logits}, soft), expected, msg="the weight that is to be expected")


def test_weights_of_several_classes_are_pos_weights_of_mean_one():
    logits, labels = (torch.tensor(part).float() for part in draws())
    found = Frequencies(("a", "b", "c", "d"), np.array([50, 20, 10, 1]), 100)
    compute = loss_function(Loss("binary_cross_entropy", weights={"b": 3.0}), multi_label=True, found=found)
    pos = torch.tensor([1.0, 3.0, 1.0, 1.0])
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=pos, reduction="none")
    theirs[:, 1] /= (20 * 3 + 80) / 100
    torch.testing.assert_close(compute({"logits": logits}, labels), theirs.mean())
