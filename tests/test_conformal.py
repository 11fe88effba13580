"""Sets: mapie's and crepes's, and the coverage that was promised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft import conformal
from tests.probabilities import drawn
from tests.test_tempering import Same


class Saying(Same):
    """A fitted classifier whose probabilities are its inputs."""

    def predict_proba(self, x):
        return x


def both(seed=1, n=400, classes=4):
    """Calibration and test rows with float64 probabilities that sum to 1, as the other libraries check."""
    out = []
    for rows in (drawn(n, classes, seed, 1.5), drawn(300, classes, seed + 100, 1.5)):
        p = rows.scores.astype(np.float64)
        out += [p / p.sum(axis=1, keepdims=True), rows.labels]
    return out


def own(scores, labels):
    return scores[np.arange(len(labels)), labels]


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lac_is_mapies(coverage, seed):
    from mapie.classification import SplitConformalClassifier

    p, y, new, _ = both(seed)
    theirs = SplitConformalClassifier(Saying(4), confidence_level=coverage, conformity_score="lac", prefit=True)
    theirs.conformalize(p, y)
    found = theirs.predict_set(new)[1][:, :, 0]
    limit = conformal.quantile(own(conformal.lac(p), y), coverage)
    assert np.array_equal(conformal.sets(conformal.lac(new), limit), found)


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("coverage", [0.77, 0.91, 0.943])
def test_lac_whole_and_per_class_are_crepess(coverage, per_class):
    from crepes import WrapClassifier

    p, y, new, _ = both(4)
    # Where (n + 1) (1 - coverage) is whole, crepes lets one score more in than the promise needs.
    assert all(((rows + 1) * (1 - coverage)) % 1 > 1e-6 for rows in (*np.bincount(y), len(y)))
    theirs = WrapClassifier(Saying(4))
    theirs.calibrate(p, y, class_cond=per_class)
    found = theirs.predict_set(new, confidence=coverage, smoothing=False)
    found = np.array([np.isin(range(4), row) for row in found])
    strange = own(conformal.lac(p), y)
    limit = conformal.per_class(strange, y, 4, coverage) if per_class else conformal.quantile(strange, coverage)
    assert np.array_equal(conformal.sets(conformal.lac(new), limit), found)


def test_aps_scores_are_mapies_without_its_dice():
    """mapie counts the class itself in, then takes a random part of it away; hfft counts it out."""
    from mapie.classification import SplitConformalClassifier

    p, y, _, _ = both(5)
    theirs = SplitConformalClassifier(
        Saying(4), confidence_level=0.9, conformity_score="aps", prefit=True, random_state=7
    )
    theirs.conformalize(p, y)
    dice = np.random.RandomState(7).uniform(size=len(y))
    found = own(conformal.aps(p), y) + (1 - dice) * own(p, y)
    assert np.ravel(theirs.conformity_scores) == pytest.approx(found, abs=1e-12)


@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([0.5, 0.7, 0.9, 0.95, 0.99]))
def test_the_quantile_by_hand(seed, n, coverage):
    values = np.random.default_rng(seed).random(n)
    held = [x for x in sorted(values) if (values <= x).sum() >= (n + 1) * coverage - 1e-9]
    assert conformal.quantile(values, coverage) == (held[0] if held else np.inf)
    assert (conformal.rows_needed(coverage) <= n) == bool(held)
    many = np.random.default_rng(seed).random(2000)
    assert conformal.quantile(many, coverage) == np.sort(many)[conformal.rank_of(2000, coverage) - 1]


@given(st.integers(0, 10**6), st.integers(2, 9))
def test_aps_by_hand_and_never_empty(seed, classes):
    p = np.random.default_rng(seed).dirichlet(np.ones(classes), 5)
    found = conformal.aps(p)
    for row, strange in zip(p, found, strict=True):
        assert strange == pytest.approx([row[row > q].sum() for q in row], abs=1e-12)
    assert conformal.sets(found, 0.0).any(axis=1).all()


@pytest.mark.parametrize("kind", [conformal.lac, conformal.aps])
@pytest.mark.parametrize("sureness", [1.0, 2.5])
def test_coverage_is_what_was_promised_however_bad_the_probabilities(kind, sureness):
    covered, inside = [], []
    for seed in range(300):
        rows = drawn(600, 5, seed, sureness)
        strange = kind(rows.scores)
        limit = conformal.quantile(own(strange[:200], rows.labels[:200]), 0.9)
        covered.append(own(conformal.sets(strange[200:], limit), rows.labels[200:]).mean())
        low, high = conformal.chance(np.array([200]), np.array([400]), 0.9)
        inside.append(low <= covered[-1] <= high)
    # 300 draws of a share with a standard deviation near 0.026: the mean is known to 0.0015
    assert 0.895 <= np.mean(covered) <= (0.91 if kind is conformal.lac else 0.95)
    if kind is conformal.lac:
        assert 0.92 <= np.mean(inside) <= 0.98


def test_per_class_holds_class_by_class_where_one_quantile_does_not():
    shares, chances = [], []
    for seed in range(150):
        rows = drawn(1200, 3, seed, 1.0)
        tilted = rows.scores * np.array([3.0, 1.0, 0.3])  # the model prefers class 0, the labels do not
        strange = conformal.lac(tilted / tilted.sum(axis=1, keepdims=True))
        fit, held = slice(0, 500), slice(500, None)
        each = conformal.per_class(own(strange[fit], rows.labels[fit]), rows.labels[fit], 3, 0.9)
        one = conformal.quantile(own(strange[fit], rows.labels[fit]), 0.9)
        y = rows.labels[held]
        hits = [own(conformal.sets(strange[held], limit), y) for limit in (each, one)]
        shares.append([[hit[y == k].mean() for k in range(3)] for hit in hits])
        low, high = conformal.chance(np.bincount(rows.labels[fit]), np.bincount(y), 0.9)
        chances.append(low <= hits[0].mean() <= high)
    mondrian, marginal = np.mean(shares, axis=0)
    assert (mondrian >= 0.895).all() and (mondrian <= 0.92).all()
    assert marginal.max() > 0.95 and marginal.min() < 0.85
    assert np.mean(chances) >= 0.91


def test_a_class_with_too_few_rows_is_in_every_set():
    labels = np.array([0] * 20 + [1] * 8)
    limits = conformal.per_class(np.linspace(0, 1, 28), labels, 3, 0.9)
    assert np.isfinite(limits[0]) and list(limits[1:]) == [np.inf, np.inf]
    inside = conformal.sets(np.ones((2, 3)), limits)
    assert inside.tolist() == [[False, True, True]] * 2
    assert conformal.chance(np.array([20, 8]), np.array([0, 5]), 0.9) == (1.0, 1.0)
