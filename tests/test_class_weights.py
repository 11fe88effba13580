"""Class weights: the formulas, a mean of 1 over the training rows, and nothing infinite."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from hfft import class_weights
from hfft.class_weights import Frequencies, of_answers, of_rows
from hfft.errors import InputError

LABELS = np.repeat([0, 1, 2], [70, 25, 5])
FOUND = Frequencies.of(LABELS, ("a", "b", "c"))
SCHEMES = ("balanced", "sqrt", "effective_number", {"c": 9.0, "a": 0.5})


def test_balanced_is_scikit_learns():
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(of_rows("balanced", FOUND, 0.0), theirs)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_mean_over_training_rows_is_one(scheme):
    assert of_rows(scheme, FOUND, 0.99)[LABELS].mean() == pytest.approx(1)
    several = np.random.default_rng(0).random((200, 3)) < [0.5, 0.1, 0.02]
    found = Frequencies.of(several, ("a", "b", "c"))
    no, yes = of_answers(scheme, found, 0.99)
    np.testing.assert_allclose(np.where(several, yes, no).mean(axis=0), 1)


def test_the_formulas():
    found = of_rows("sqrt", FOUND, 0.0)
    assert found[0] / found[2] == pytest.approx(np.sqrt(5 / 70))
    found = of_rows("effective_number", FOUND, 0.9)
    assert found[0] / found[2] == pytest.approx((1 - 0.9**5) / (1 - 0.9**70))
    np.testing.assert_allclose(of_rows("effective_number", FOUND, 0.0), 1, err_msg="beta 0: none")
    np.testing.assert_allclose(
        of_rows("effective_number", FOUND, 1 - 1e-9), of_rows("balanced", FOUND, 0), rtol=1e-5, err_msg="beta 1"
    )
    no, yes = of_answers("balanced", Frequencies(("a", "b"), np.array([10, 50]), 100), 0.0)
    np.testing.assert_allclose(yes / no, [9, 1])
    np.testing.assert_allclose(yes, [100 / 20, 1])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_class_without_training_rows_has_a_finite_weight_and_changes_no_other(scheme):
    found = Frequencies(("a", "b", "c", "gone"), np.array([70, 25, 5, 0]), 100)
    weights = of_rows(scheme, found, 0.99)
    np.testing.assert_allclose(weights[:3], of_rows(scheme, FOUND, 0.99))
    assert np.isfinite(weights).all() and (weights > 0).all()
    everywhere = Frequencies(("all", "gone", "b"), np.array([100, 0, 5]), 100)
    given = {"b": 2.0} if isinstance(scheme, dict) else scheme
    assert np.isfinite(of_answers(given, everywhere, 0.99)).all()
    assert (everywhere.prior > 0).all() and (everywhere.prior < 1).all()


def test_weights_for_unknown_classes_name_both_lists():
    with pytest.raises(InputError) as caught:
        class_weights.check({"toxik": 2.0, "plain": 1.0}, ("toxic", "plain"))
    assert str(caught.value) == (
        "loss.weights: train has no class 'toxik' (did you mean 'toxic'?); weights are for toxik, plain, and the "
        "classes are toxic, plain"
    )
    with pytest.raises(InputError, match="no class 'd'"):
        of_rows({"d": 1.0}, FOUND, 0.0)
