"""Losses of pixels: by torch's own, by plain numpy, and the same on every layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, interpolate

from hfft import objectives, rooms
from hfft.class_weights import Frequencies
from hfft.errors import InputError
from hfft.objectives import loss_function
from hfft.recipe import Loss

NAMES = ("cross_entropy", "focal", "logit_adjusted", "dice", "cross_entropy_dice")
PIXELS = np.array([500, 300, 150, 49, 1])
FOUND = Frequencies(("a", "b", "c", "d", "e"), PIXELS, int(PIXELS.sum()))


def scenes(count: int = 8, side: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """(logits, labels), of which some are left out, no two pictures as many."""
    made = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 5, side, side + 3, generator=made)
    labels = torch.randint(0, 4, (count, side, side + 3), generator=made)  # the last class is nowhere
    left_out = torch.rand(labels.shape, generator=made) < torch.linspace(0, 0.6, count).view(-1, 1, 1)
    return logits, labels.masked_fill(left_out, -100)


def made(name: str, smoothing: float = 0.0, **options):
    return loss_function(Loss(name, **options), smoothing, found=FOUND, masks=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_cross_entropy_is_torchs_own(smoothing, layout):
    logits, labels = scenes()
    given = logits.clone(memory_format=layout).requires_grad_()
    theirs = logits.clone().requires_grad_()
    loss = made("cross_entropy", smoothing)({"logits": given}, labels)
    expected = cross_entropy(theirs, labels, ignore_index=-100, label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected)
    loss.backward(), expected.backward()
    torch.testing.assert_close(given.grad, theirs.grad)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "logit_adjusted"])
def test_pixels_are_rows(name, smoothing):
    """Each loss of pixels is that of as many rows."""
    logits, labels = scenes()
    rows, options = rooms.find("losses", name).rows, {}
    if name == "logit_adjusted":
        options["prior"] = torch.tensor(FOUND.prior, dtype=torch.float32)
    given = logits.clone().requires_grad_()
    found = rows(given, labels, smoothing=smoothing, **options)
    assert found.shape == labels.shape and (found[labels == -100] == 0).all()
    flat = logits.clone().requires_grad_()
    expected = rows(flat.permute(0, 2, 3, 1).reshape(-1, 5), labels.reshape(-1), smoothing=smoothing, **options)
    torch.testing.assert_close(found.reshape(-1), expected)
    found.sum().backward(), expected.sum().backward()
    torch.testing.assert_close(given.grad, flat.grad)


def dice_of(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    """One picture's loss, pixel by pixel in float64."""
    valid = labels != -100
    chances = np.exp(logits - logits.max(axis=0))[:, valid]
    chances /= chances.sum(axis=0)
    truth = np.stack([labels[valid] == k for k in range(len(logits))]).astype(float)
    soft = truth * (1 - smoothing) + smoothing / len(logits)
    there = [k for k in range(len(logits)) if truth[k].any()]
    shares = [2 * (chances[k] * soft[k]).sum() / (chances[k].sum() + soft[k].sum()) for k in there]
    return 1 - float(np.mean(shares)) if there else 0.0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_dice_is_that_of_plain_numpy(smoothing):
    logits, labels = scenes()
    labels[3] = -100  # a picture of which nothing counts
    expected = [dice_of(*pair, smoothing) for pair in zip(logits.double().numpy(), labels.numpy(), strict=True)]
    found = rooms.find("losses", "dice").rows(logits, labels, smoothing=smoothing)
    for each, mask, number in zip(found, labels, expected, strict=True):
        torch.testing.assert_close(each, torch.full(mask.shape, number) * (mask != -100), rtol=1e-5, atol=1e-6)
    both = rooms.find("losses", "cross_entropy_dice").rows(logits, labels, smoothing=smoothing)
    plain = cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(both, plain + found)
    count = (labels != -100).sum(dim=(1, 2)).numpy()
    mean = float((count * expected).sum() / count.sum())
    assert made("dice", smoothing)({"logits": logits}, labels).item() == pytest.approx(mean, rel=1e-5)


def test_dice_of_a_right_answer_is_0_and_of_a_wrong_one_nearly_1():
    labels = torch.tensor([[[0, 1], [1, -100]]])
    rows = rooms.find("losses", "dice").rows
    right = torch.nn.functional.one_hot(labels.clamp_min(0), 3).permute(0, 3, 1, 2) * 50.0
    assert rows(right, labels).abs().max() < 1e-6
    wrong = rows(right.roll(1, dims=1), labels)
    assert wrong[0, 0, 0] == pytest.approx(1.0) and wrong[0, 1, 1] == 0


@pytest.mark.parametrize(
    "name, weights", [(name, None) for name in NAMES] + [(name, "sqrt") for name in NAMES if name != "dice"]
)
def test_eight_at_once_are_four_steps_of_two(name, weights):
    """Trainer hands over the number of pixels that count in all batches of a step."""
    logits, labels = scenes()
    compute, count = made(name, 0.1, weights=weights), (labels != -100).sum()
    whole, parts = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    compute({"logits": whole}, labels, count).backward()
    for start in range(0, 8, 2):
        part = slice(start, start + 2)
        compute({"logits": parts[part]}, labels[part], count).backward()
    torch.testing.assert_close(parts.grad, whole.grad, rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(compute({"logits": logits}, labels), compute({"logits": logits}, labels, count))


@pytest.mark.parametrize("name", NAMES)
def test_small_logits_are_enlarged_and_validation_is_plain(name):
    small, labels = scenes()[0][..., :6, :7], scenes()[1]
    compute = made(name, 0.1, weights=None if name == "dice" else "balanced")
    whole = interpolate(small, size=labels.shape[-2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(compute({"logits": small}, labels), compute({"logits": whole}, labels))
    with torch.no_grad():
        torch.testing.assert_close(compute({"logits": small}, labels), cross_entropy(whole, labels))
    trained = compute({"logits": small.clone().requires_grad_()}, labels)
    assert (trained - cross_entropy(whole, labels)).abs() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_which_nothing_counts_costs_nothing(name):
    logits = torch.full((2, 5, 3, 3), 200.0, requires_grad=True)
    loss = made(name)({"logits": logits}, torch.full((2, 3, 3), -100), torch.tensor(0))
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_sure_answers_have_finite_slopes(name):
    logits = torch.zeros(1, 5, 2, 2)
    logits[0, 0] = 300.0
    logits.requires_grad_()
    options = {"gamma": 0.5} if name == "focal" else {}
    made(name, **options)({"logits": logits}, torch.tensor([[[0, 1], [0, -100]]])).backward()
    assert torch.isfinite(logits.grad).all()


def test_weights_are_of_pixels_and_their_mean_over_train_is_1():
    logits, labels = scenes()
    mean = (PIXELS * np.array([1, 1, 1, 9, 1])).sum() / PIXELS.sum()
    weights = torch.tensor([1.0, 1.0, 1.0, 9.0, 1.0]) / mean
    costs = cross_entropy(logits, labels, reduction="none") * weights[labels.clamp_min(0)]
    found = made("cross_entropy", weights={"d": 9.0})({"logits": logits}, labels)
    torch.testing.assert_close(found, costs.sum().float() / (labels != -100).sum())
    dice = rooms.find("losses", "dice").rows(logits, labels).sum() / (labels != -100).sum()
    both = made("cross_entropy_dice", weights={"d": 9.0})({"logits": logits}, labels)
    torch.testing.assert_close(both, found + dice, msg="areas are not weighed")


def test_losses_of_masks_are_for_masks():
    for name in NAMES:
        assert objectives.check_loss(name, False, masks=True).rows
    with pytest.raises(InputError, match=r"loss: binary_focal does not fit.*choose cross_entropy.*dice"):
        objectives.check_loss("binary_focal", False, masks=True)
    for name in ("dice", "cross_entropy_dice"):
        with pytest.raises(InputError, match=rf"loss: {name} does not fit.*goes by the pixels of a mask") as caught:
            objectives.check_loss(name, False)
        assert "choose cross_entropy, focal, logit_adjusted" in str(caught.value)
