"""Every metric against scikit-learn on random and degenerate test sets, and the promises every metric file makes.

HFFT_CASES is how many sets: `make prove` takes 10,000, `make mutants` does with fewer.
"""

import doctest
import os

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from hfft import rooms, scoring
from hfft.counts import Counts, count
from hfft.scoring import points

NAMES = rooms.names("metrics")
COUNTED = [name for name in NAMES if not scoring.is_graded(rooms.find("metrics", name))]
CASES = int(os.environ.get("HFFT_CASES", "300"))


def cases(total=CASES):
    """(labels, predicted, classes): half of them plain, half with absent classes, constant models and single rows."""
    rng = np.random.default_rng(20)
    for index in range(total):
        classes = int(rng.integers(1, 9))
        rows = int(rng.choice([1, 2, 5, 40, 300]))
        labels, predicted = rng.integers(0, classes, (2, rows))
        twist = index % 6
        if twist == 1:  # only some classes occur
            labels = labels % max(1, classes // 2)
        elif twist == 2:  # one class predicted only
            predicted = np.full(rows, rng.integers(0, classes))
        elif twist == 3:  # nothing wrong
            predicted = labels
        elif twist == 4:  # one class occurs, and others are predicted
            labels = np.full(rows, rng.integers(0, classes))
        yield labels, predicted, classes


def test_scikit_learn_agrees_to_the_last_digits():
    for labels, predicted, classes in cases():
        names = tuple(f"c{k}" for k in range(classes))
        ours = points(count(labels, predicted, classes), ["accuracy", "precision", "recall", "f1"], names)
        assert ours["accuracy"] == pytest.approx(accuracy_score(labels, predicted), abs=1e-12)
        everything, occurring = list(range(classes)), sorted(set(labels.tolist()))
        for average, among in (
            ("macro", occurring),
            ("weighted", everything),
            ("micro", everything),
            (None, everything),
        ):
            triple = precision_recall_fscore_support(labels, predicted, labels=among, average=average, zero_division=0)
            for metric, theirs in zip(("precision", "recall", "f1"), triple, strict=False):
                keys = [f"{metric}_{average}"] if average else [f"{metric}[{name}]" for name in names]
                assert [ours[key] for key in keys] == pytest.approx(np.ravel(theirs).tolist(), abs=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@pytest.mark.filterwarnings("ignore:.*kappa.*", "ignore:invalid value:RuntimeWarning")
def test_scikit_learn_agrees_on_correlations_too():
    for labels, predicted, classes in cases():
        names = tuple(f"c{k}" for k in range(classes))
        ours = points(count(labels, predicted, classes), ["mcc", "kappa", "balanced_accuracy"], names)
        assert ours["mcc"] == pytest.approx(matthews_corrcoef(labels, predicted), abs=1e-12)
        assert ours["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted), abs=1e-12)
        if set(labels) == set(predicted) and len(set(labels)) == 1:
            assert ours["kappa"] == 0, "scikit-learn gives NaN: there is nothing to agree on"
        else:
            assert ours["kappa"] == pytest.approx(cohen_kappa_score(labels, predicted), abs=1e-12)


def test_scikit_learn_agrees_on_several_labels_per_row():
    rng = np.random.default_rng(8)
    for _ in range(CASES):
        rows, classes = int(rng.choice([1, 3, 40, 200])), int(rng.integers(1, 7))
        labels, predicted = rng.random((2, rows, classes)) < rng.random((2, 1, classes))
        names = tuple(f"c{k}" for k in range(classes))
        ours = points(count(labels, predicted, classes), ["accuracy", "precision", "recall", "f1"], names)
        assert ours["accuracy"] == pytest.approx((labels == predicted).all(axis=1).mean(), abs=1e-12)
        occurring = np.flatnonzero(labels.any(axis=0)) if labels.any() else np.arange(classes)
        for average in ("macro", "micro", "weighted", None):
            among = (labels[:, occurring], predicted[:, occurring]) if average == "macro" else (labels, predicted)
            pair = [array.astype(int) for array in among]
            if pair[0].shape[1] == 1:  # one column reads as a binary problem
                pair = [np.column_stack([array, np.zeros(rows, int)]) for array in pair]
            theirs = precision_recall_fscore_support(*pair, average=average, zero_division=0)
            for metric, found in zip(("precision", "recall", "f1"), theirs, strict=False):
                value = np.ravel(found)[:classes] * (2 if average == "macro" and among[0].shape[1] == 1 else 1)
                keys = [f"{metric}_{average}"] if average else [f"{metric}[{name}]" for name in names]
                assert [ours[key] for key in keys] == pytest.approx(value.tolist(), abs=1e-12)


def test_predicting_an_absent_class_does_not_change_the_divisor():
    """scikit-learn's default averages over 3 classes here, because the model named a third; the split holds 2."""
    ours = points(count([0, 0, 1, 1], [0, 0, 1, 2], 3), ["recall"], ("a", "b", "c"))
    assert ours["recall_macro"] == pytest.approx((1 + 0.5) / 2)


@pytest.mark.parametrize("name", COUNTED)
def test_leading_axes_are_kept(name):
    """One call on stacked counts equals a call on each: what the bootstrap relies on."""
    module = rooms.find("metrics", name)
    rng = np.random.default_rng(1)
    each = [count(*rng.integers(0, 4, (2, 25)), 4) for _ in range(6)]
    stacked = Counts(*(np.stack([getattr(c, part) for c in each]) for part in ("hits", "support", "predicted")))
    for function in (module.score, module.per_class):
        for key, values in function(stacked).items():
            assert values.tolist() == [np.asarray(function(one)[key]).tolist() for one in each]


@pytest.mark.parametrize("name", COUNTED)
def test_zero_over_zero_is_zero(name):
    module = rooms.find("metrics", name)
    none = np.zeros(3, dtype=np.int64)
    for function in (module.score, module.per_class):
        for values in function(Counts(none, none, none)).values():
            assert np.all(values == 0)


@pytest.mark.parametrize("name", COUNTED)
def test_proportions_are_the_values(name):
    """What is claimed to rest on successes / trials must be computable from them."""
    module = rooms.find("metrics", name)
    rng = np.random.default_rng(2)
    counts = count(*rng.integers(0, 5, (2, 60)), 5)
    values = module.score(counts) | module.per_class(counts)
    for key, share in module.proportions(counts).items():
        linked = [share.link(ratio) for ratio in np.ravel(share.successes / share.trials)]
        assert linked == pytest.approx(np.ravel(values[key]).tolist(), abs=1e-12)
        assert (share.link(0.0), share.link(1.0)) == (0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_carries_a_worked_example(name):
    module = rooms.find("metrics", name)
    assert name in module.__doc__.lower()
    results = doctest.testmod(module)
    assert results.attempted >= 2 and results.failed == 0


def test_shares_of_labels_say_what_they_are_shares_of():
    rng = np.random.default_rng(9)
    labels, guess = rng.random((2, 50, 3)) < 0.4
    several = count(labels, guess, 3)
    hits, either = int((labels & guess).sum()), int((labels | guess).sum())
    made = rooms.find("metrics", "f1").proportions(several)["f1_micro"]
    assert (made.successes, made.trials, made.undefined) == (hits, either, "no labels, true or predicted")
    assert made.method == "Wilson on labels true or predicted" and made.link(0.5) == pytest.approx(2 / 3)
    made = rooms.find("metrics", "precision").proportions(several)["precision_micro"]
    assert (made.successes, made.trials, made.undefined) == (hits, guess.sum(), "nothing predicted")
    made = rooms.find("metrics", "recall").proportions(several)["recall_micro"]
    assert (made.successes, made.trials, made.undefined) == (hits, labels.sum(), "no labels")
    made = rooms.find("metrics", "accuracy").proportions(several)["accuracy"]
    assert (made.successes, made.trials, made.undefined) == ((labels == guess).all(axis=1).sum(), 50, "no rows")


@pytest.mark.parametrize("multi_label", [False, True])
def test_shares_have_the_leading_axes_of_their_counts(multi_label):
    rng = np.random.default_rng(10)
    pairs = [rng.random((2, 30, 4)) < 0.5 if multi_label else rng.integers(0, 4, (2, 30)) for _ in range(5)]
    each = [count(*pair, 4) for pair in pairs]
    extra = ("right", "rows") if multi_label else ()
    names = ("hits", "support", "predicted", *extra)
    stacked = Counts(**{name: np.stack([getattr(one, name) for one in each]) for name in names})
    for metric in ("accuracy", "precision", "recall", "f1"):
        module = rooms.find("metrics", metric)
        for key, whole in module.proportions(stacked).items():
            parts = [module.proportions(one)[key] for one in each]
            assert np.array_equal(whole.successes, np.stack([part.successes for part in parts]))
            assert np.array_equal(whole.trials, np.stack([part.trials for part in parts]))
            value = (module.score(stacked) | module.per_class(stacked))[key]
            shares = np.divide(whole.successes, whole.trials, out=np.zeros(np.shape(value)), where=whole.trials > 0)
            assert np.vectorize(whole.link)(shares) == pytest.approx(value), "the share is the value"
