"""The temperature: scikit-learn's, one that is found again, and one that changes no answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import brier_score_loss, log_loss

from hfft import tempering
from hfft.reliability import brier
from tests.probabilities import drawn, drawn_several, softmax


class Same(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision values are its inputs."""

    def __init__(self, classes=3):
        self.classes = classes

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.arange(self.classes)

    def fit(self, x, y):
        raise AssertionError("fitted already")

    def decision_function(self, x):
        return x

    def predict(self, x):
        return x.argmax(axis=1)


@pytest.mark.parametrize("sureness", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("classes", [3, 10])
def test_the_temperature_is_scikit_learns(sureness, classes):
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    rows, new = drawn(1500, classes, 1, sureness), drawn(50, classes, 2, sureness)
    logits = tempering.logits(rows.scores, several=False)
    theirs = CalibratedClassifierCV(FrozenEstimator(Same(classes)), method="temperature")
    theirs.fit(logits, rows.labels)
    ours = tempering.fit(rows.scores, rows.labels)
    beta = theirs.calibrated_classifiers_[0].calibrators[0].beta_
    assert ours.value == pytest.approx(1 / beta, rel=1e-6)
    found = theirs.predict_proba(tempering.logits(new.scores, several=False))
    assert tempering.apply(new.scores, ours.value) == pytest.approx(found, abs=1e-6)


def test_no_other_temperature_has_less_loss():
    rows = drawn(800, 4, 3, 1.7)
    best = tempering.fit(rows.scores, rows.labels).value
    loss = {
        t: tempering.log_loss(tempering.apply(rows.scores, t), rows.labels).mean() for t in np.geomspace(0.1, 10, 201)
    }
    assert tempering.log_loss(tempering.apply(rows.scores, best), rows.labels).mean() <= min(loss.values()) + 1e-12
    assert abs(np.log(best) - np.log(min(loss, key=loss.get))) < 0.03


def test_the_interval_holds_the_true_temperature():
    found = [tempering.fit(rows.scores, rows.labels) for rows in (drawn(400, 3, seed, 1.6) for seed in range(400))]
    held = np.mean([fit.low <= 1.6 <= fit.high for fit in found])
    assert 0.925 <= held <= 0.98
    assert all(fit.low * fit.high == pytest.approx(fit.value**2) for fit in found), "even on the log scale"


def test_rows_that_are_repeated_tell_nothing_new():
    """Each row five times, each five a group: the interval is that of the rows once."""
    once = drawn(300, 3, 5, 1.5)
    plain = tempering.fit(once.scores, once.labels)
    five = tempering.fit(np.repeat(once.scores, 5, axis=0), np.repeat(once.labels, 5), np.repeat(np.arange(300), 5))
    assert (five.value, five.low, five.high) == pytest.approx((plain.value, plain.low, plain.high), rel=1e-6)


def test_several_classes_per_row_share_a_temperature():
    many = [
        tempering.fit(rows.scores, rows.labels) for rows in (drawn_several(500, 5, seed, 2.0) for seed in range(200))
    ]
    assert 0.91 <= np.mean([fit.low <= 2.0 <= fit.high for fit in many]) <= 0.985
    rows, found = drawn_several(2000, 5, 1, 2.0), many[0]
    p = tempering.apply(rows.scores, found.value, several=True)
    assert np.array_equal(p > 0.5, rows.scores > 0.5)
    loss = [log_loss(rows.labels[:, k], rows.scores[:, k].astype(float)) for k in range(5)]
    assert tempering.log_loss(rows.scores, rows.labels).mean() == pytest.approx(np.mean(loss), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "labels", "note"),
    [
        (np.zeros((0, 3), dtype=np.float32), [], "no rows"),
        (np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32), [0, 1], "no wrong answer among 2 rows"),
        (np.full((4, 2), 0.5, dtype=np.float32), [0, 1, 0, 1], "the probabilities say too little"),
        (np.array([[1.0, 0.0]] * 3, dtype=np.float32), [1, 1, 1], "the probabilities say too little"),
    ],
)
def test_where_there_is_nothing_to_fit_it_stays_one(scores, labels, note):
    found = tempering.fit(scores, np.array(labels, dtype=np.int64))
    assert (found.value, found.low, found.high) == (1.0, None, None) and note in found.note


@settings(max_examples=300)
@given(st.integers(0, 10**6), st.integers(2, 12), st.floats(0.02, 50))
def test_no_answer_changes(seed, classes, temperature):
    """Not even between two classes that are one float32 apart."""
    p = softmax(np.random.default_rng(seed).normal(0, 3, (20, classes))).astype(np.float32)
    p[:, 1] = np.nextafter(p[:, 0], np.float32(1))
    hot = tempering.apply(p, temperature)
    assert np.array_equal(hot.argmax(axis=1), p.argmax(axis=1))
    assert hot.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_a_probability_of_zero_costs_what_it_costs_in_scikit_learn():
    p = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert np.isfinite(tempering.log_loss(p, np.array([1, 1]))).all()
    assert tempering.log_loss(p, np.array([1, 1]))[0] == pytest.approx(-np.log(np.finfo(np.float64).eps))
    for several in (True, False):
        assert np.isfinite(tempering.logits(p, several)).all()
        assert np.isfinite(tempering.apply(p, 3.0, several)).all()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_proper_scores_are_scikit_learns(classes):
    for seed in range(50):
        rows = drawn(40, classes, seed, 1.5)
        p, every = rows.scores.astype(np.float64), list(range(classes))
        p /= p.sum(axis=1, keepdims=True)
        assert tempering.log_loss(p, rows.labels).mean() == pytest.approx(
            log_loss(rows.labels, p, labels=every), abs=1e-12
        )
        pair = (rows.labels, p[:, 1]) if classes == 2 else (rows.labels, p)
        theirs = brier_score_loss(*pair, **({} if classes == 2 else {"labels": every}))
        assert brier(p, rows.labels).mean() == pytest.approx(theirs, abs=1e-12)
