"""The corrected interval and test: by hand, and on simulated folds of equal models, where the naive one is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import StratifiedShuffleSplit

from hfft import corrected


def test_by_hand():
    values = [0.02, 0.01, 0.03, 0.0, 0.04]
    found = corrected.mean(values, 0.25)
    error = np.std(values, ddof=1) * np.sqrt(1 / 5 + 0.25)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=error)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert found.p == pytest.approx(2 * stats.t.sf(np.mean(values) / error, 4), abs=1e-12)
    assert (found.least, found.most, found.values) == (0.0, 0.04, values)


def test_without_shared_rows_it_is_students_t():
    values = np.random.default_rng(0).normal(0.1, 1, 12)
    found = corrected.mean(values.tolist(), 0.0)
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=1e-12)


def test_scores_stay_scores_and_differences_that_do_not_vary_are_told_as_they_are():
    high = corrected.mean([0.99, 1.0, 0.97], 0.5, bounded=True)
    assert high.high == 1.0 and high.low < 0.97
    assert corrected.mean([0.0, 0.0], 0.5).p == 1.0 and corrected.mean([0.1, 0.1], 0.5).p == 0.0
    with pytest.raises(ValueError, match="two or more"):
        corrected.mean([0.1], 0.5)


def test_equal_models_on_overlapping_splits_are_not_called_different():
    """Two least-squares classifiers on equally good halves of the columns; ten random splits of 85 to 15."""

    def score(columns: np.ndarray, labels: np.ndarray, train: np.ndarray, held: np.ndarray) -> float:
        inputs = np.column_stack([columns, np.ones(len(columns))])
        weights, *_ = np.linalg.lstsq(inputs[train], 2.0 * labels[train] - 1, rcond=None)
        return float(((inputs[held] @ weights > 0) == labels[held]).mean())

    naive = called = 0
    trials = 200
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        labels = rng.integers(0, 2, 200)
        columns = rng.normal(size=(200, 8)) + 0.4 * labels[:, None]
        apart = []
        for train, held in StratifiedShuffleSplit(10, test_size=0.15, random_state=trial).split(columns, labels):
            first, second = (score(columns[:, part], labels, train, held) for part in (slice(0, 4), slice(4, 8)))
            apart.append(second - first)
        naive += stats.ttest_1samp(apart, 0).pvalue < 0.05 if np.ptp(apart) else 0
        called += corrected.mean(apart, 0.15 / 0.85).p < 0.05
    assert called / trials < 0.05 and naive / trials > 0.12
