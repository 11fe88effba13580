"""Evidence and neighbours, held against brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.neighbors import KNeighborsClassifier

from hfft import transferability


def drawn(n: int, d: int, classes: int, seed: int, signal: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Features with as much to tell as `signal`, and classes."""
    make = np.random.default_rng(seed)
    given = make.integers(0, classes, n)
    centres = make.normal(size=(classes, d)) * signal
    return centres[given] + make.normal(size=(n, d)) + 0.3, given


def brute(features: np.ndarray, column: np.ndarray) -> float:
    """The maximum of the evidence over (alpha, beta), from its definition: y ~ N(0, F F' / alpha + 1 / beta)."""
    n, found = len(column), []

    def minus(logs: np.ndarray) -> float:
        covariance = features @ features.T * np.exp(-logs[0]) + np.eye(n) * np.exp(-logs[1])
        return -float(multivariate_normal(np.zeros(n), covariance, allow_singular=True).logpdf(column))

    for alpha in (-4.0, 0.0, 4.0):
        for beta in (0.0, 3.0):
            found.append(minimize(minus, [alpha, beta], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}))
    return -min(float(each.fun) for each in found) / n


@pytest.mark.parametrize(("n", "d"), [(40, 6), (24, 30)])
def test_evidence_is_the_maximum_that_brute_force_finds(n, d):
    features, given = drawn(n, d, 3, seed=n)
    wanted = transferability.targets(given, 3)
    expected = np.mean([brute(features, column) for column in wanted.T])
    assert transferability.logme(features, wanted) == pytest.approx(expected, abs=1e-6)


def test_evidence_is_the_fixed_point_of_the_paper():
    """Algorithm 1 of You et al. 2021: m, gamma, alpha and beta in turn until they stay."""
    features, given = drawn(120, 10, 2, seed=3)
    n, d = features.shape
    found = []
    for y in transferability.targets(given, 2).T:
        alpha = beta = 1.0
        for _ in range(500):
            precision = alpha * np.eye(d) + beta * features.T @ features
            m = beta * np.linalg.solve(precision, features.T @ y)
            s = np.linalg.eigvalsh(features.T @ features)
            gamma = (beta * s / (alpha + beta * s)).sum()
            alpha, beta = gamma / (m @ m), (n - gamma) / ((features @ m - y) ** 2).sum()
        precision = alpha * np.eye(d) + beta * features.T @ features
        m = beta * np.linalg.solve(precision, features.T @ y)
        told = n * np.log(beta) + d * np.log(alpha) - n * np.log(2 * np.pi)
        told -= beta * ((features @ m - y) ** 2).sum() + alpha * (m @ m) + np.linalg.slogdet(precision)[1]
        found.append(told / 2 / n)
    assert transferability.logme(features, transferability.targets(given, 2)) == pytest.approx(np.mean(found), abs=1e-6)


def test_evidence_grows_with_what_features_tell_and_not_with_their_unit():
    told = []
    for signal in (0.0, 0.5, 2.0):
        features, given = drawn(300, 8, 3, seed=5, signal=signal)
        wanted = transferability.targets(given, 3)
        told.append(transferability.logme(features, wanted))
        assert transferability.logme(features * 1000, wanted) == pytest.approx(told[-1], abs=1e-9)
        turned = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
        assert transferability.logme(features @ turned, wanted) == pytest.approx(told[-1], abs=1e-9)
    assert told == sorted(told) and told[2] - told[0] > 0.1


def test_a_class_that_no_row_has_changes_nothing_and_one_class_is_refused():
    features, given = drawn(60, 5, 2, seed=2)
    two, three = transferability.targets(given, 2), transferability.targets(given, 3)
    assert transferability.logme(features, two) == transferability.logme(features, three)
    with pytest.raises(ValueError, match="one class only"):
        transferability.logme(features, transferability.targets(given * 0, 1))
    assert np.isfinite(transferability.logme(features * 0, two)), "features that are nothing have an evidence, too"


def test_votes_are_those_of_scikit_learn():
    train, given = drawn(200, 12, 4, seed=7)
    rows, _ = drawn(90, 12, 4, seed=8)
    theirs = KNeighborsClassifier(10, metric="cosine", algorithm="brute").fit(train, given).predict_proba(rows)
    ours = transferability.votes(train, transferability.targets(given, 4), rows)
    assert ours == pytest.approx(theirs, abs=1e-6)
    few = transferability.votes(train[:3], transferability.targets(given, 4)[:3], rows)
    assert few == pytest.approx(np.tile(transferability.targets(given, 4)[:3].mean(0), (90, 1)), abs=1e-6)


def test_of_equally_near_rows_the_earlier_ones_vote():
    train = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [1.0, 1.0]])
    given = np.eye(5)
    assert transferability.votes(train, given, np.array([[5.0, 0.0]]), 2).tolist() == [[0, 0.5, 0.5, 0, 0]]
    assert transferability.votes(train, given, np.array([[1.0, 2.0]]), 1).tolist() == [[0, 0, 0, 0, 1]]


def test_votes_for_several_classes_are_shares_of_each():
    train, given = drawn(50, 6, 2, seed=9)
    several = np.stack([given == 0, given >= 0, np.arange(50) % 2 == 0], axis=1)
    ours = transferability.votes(train, transferability.targets(several, 3), train[:5], 5)
    assert (ours[:, 1] == 1).all() and ours.shape == (5, 3)
    alike = train[:5] @ train.T / np.linalg.norm(train[:5], axis=1)[:, None] / np.linalg.norm(train, axis=1)
    near = np.argsort(-alike, axis=1)[:, :5]
    assert ours[:, 2] == pytest.approx(several[near, 2].mean(1), abs=1e-6)
