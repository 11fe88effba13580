"""Thresholds: the best cut by trying all of them, and what shrinking buys on new rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from hfft import thresholds
from hfft.errors import InputError
from hfft.records import Predictions


def f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    return 2 * (labels & predicted).sum() / max(labels.sum() + predicted.sum(), 1)


def made(labels: np.ndarray, scores: np.ndarray) -> Predictions:
    names = tuple(f"c{i}" for i in range(labels.shape[1]))
    ids = np.array([str(i) for i in range(len(labels))], dtype=object)
    return Predictions(ids, labels, scores >= 0.5, scores.astype(np.float32), names)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 19)), min_size=1, max_size=40))
def test_no_threshold_has_a_higher_f1(rows):
    labels, scores = np.array([label for label, _ in rows]), np.array([score for _, score in rows]) / 20
    cut = thresholds.best_cut(labels, scores)
    everything = [f1(labels, scores >= other) for other in [*scores, *(scores + 0.01), 0.0]]
    reached = f1(labels, scores >= cut)
    if labels.any():
        assert reached == pytest.approx(max(everything), abs=1e-12)


def test_of_equally_good_cuts_the_nearest_to_one_half():
    labels, scores = np.array([True, False, True, False]), np.array([0.9, 0.6, 0.3, 0.2])
    assert f1(labels, scores >= 0.75) < f1(labels, scores >= 0.25) == 0.8
    assert thresholds.best_cut(labels, scores) == 0.25
    labels = np.array([False, True, False, True])  # 2 of 2 found with 4 answers: 2/3; 1 of 2 with 2: 1/2
    assert thresholds.best_cut(labels, scores) == 0.1
    assert thresholds.best_cut(np.array([True, False]), np.array([0.7, 0.7])) == 0.35


@pytest.mark.parametrize(("having", "kept"), [(0, True), (4, True), (5, False), (95, False), (96, True), (100, True)])
def test_a_class_of_few_rows_keeps_one_half(having, kept):
    labels = np.arange(100)[:, None] < having
    scores = np.where(labels, 0.3, 0.1)
    found = thresholds.tune(made(labels, scores))
    assert (found[0] == 0.5) == kept
    if not kept:
        expected = expit(having / (having + 10) * logit(0.2))
        assert found[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("apart", "share", "offset", "having", "least"),
    [
        (2.5, 0.2, 0.0, 10, -0.005),  # one half is nearly right, and ten rows know little: nothing is lost …
        (3.5, 0.2, 0.0, 20, -0.006),
        (2.5, 0.2, -1.0, 20, 0.03),  # … where probabilities are too low, or the class is rare, much is gained
        (1.5, 0.02, 0.0, 20, 0.10),
        (1.5, 0.02, -1.0, 100, 0.20),
    ],
)
def test_what_thresholds_buy_on_new_rows(apart, share, offset, having, least):
    """Mean F1 on 20,000 new rows against that of one half; log-odds of two normal classes, moved by `offset`."""
    random = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.random(n) < share
        odds = apart * (random.normal(size=n) + apart * labels) - apart**2 / 2 + logit(share)
        return labels, expit(odds + offset)

    gains = []
    for _ in range(60):
        labels, scores = draw(int(having / share))
        cut = thresholds.tune(made(labels[:, None], scores[:, None]))[0]
        fresh, chances = draw(20_000)
        gains.append(f1(fresh, chances >= cut) - f1(fresh, chances >= 0.5))
    assert np.mean(gains) >= least


def test_thresholds_are_kept_by_name(tmp_path):
    labels = np.random.default_rng(0).random((50, 3)) < 0.4
    rows = made(labels, np.where(labels, 0.4, 0.2))
    path = tmp_path / "thresholds.json"
    assert thresholds.read(path, rows.names).tolist() == [0.5, 0.5, 0.5]
    tuned = thresholds.tune(rows)
    tuned[1] = 0.123456789
    thresholds.write(path, tuned, rows)
    assert thresholds.read(path, rows.names[::-1]).tolist() == tuned[::-1].tolist()
    applied = thresholds.applied(rows, tuned)
    assert (applied.predicted == (rows.scores >= tuned)).all() and (applied.labels == labels).all()
    with pytest.raises(InputError, match="expected thresholds of a, b, got those of c0, c1, c2"):
        thresholds.read(path, ("a", "b"))
    said = thresholds.sentence(np.array([0.5, 0.12, 0.3]), rows)
    assert "0.12 to 0.50" in said and "50 validation rows; 1 class keeps 0.5" in said
