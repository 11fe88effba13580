"""Draws of rows and of groups: that they add up, and that clustered intervals keep the promise plain ones break."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from hfft import cautioning, comparing, intervals, pairing, resamples, scoring
from hfft.counts import count
from hfft.intervals import Moments, effective, moments, wilson
from hfft.records import Predictions
from hfft.resamples import of_matrix

PARTS = ("hits", "support", "predicted")


def made(rng, n: int, groups: int, multi_label: bool = False):
    """(labels, predicted, groups) with answers that a group shares."""
    group = rng.integers(0, groups, n)
    if multi_label:
        labels, predicted = rng.random((2, n, 3)) < 0.4
        return labels, predicted, group
    labels, luck = rng.integers(0, 3, n), rng.random(groups)
    predicted = np.where(luck[group] < 0.75, labels, (labels + 1) % 3)
    return labels, predicted, group


@given(st.integers(1, 60), st.integers(1, 12), st.booleans(), st.booleans(), st.integers(0, 10_000))
def test_the_kinds_add_up_to_the_counts(n, groups, grouped, multi_label, seed):
    labels, predicted, group = made(np.random.default_rng(seed), n, groups, multi_label)
    sample = resamples.sample(labels, [predicted, labels], 3, group if grouped else None)
    assert sample.draws == (len(set(group)) if grouped else n)
    for model, guess in enumerate((predicted, labels)):
        ours, plain = sample.counts(sample.times, model), count(labels, guess, 3)
        for part in PARTS:
            assert getattr(ours, part).tolist() == getattr(plain, part).tolist()
        assert (int(ours.n), int(ours.exact), int(ours.wrong)) == (n, int(plain.exact), int(plain.wrong))
    assert sum(int(sample.times[some] @ one.n) for some, one in sample.each()) == n


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_deletion_takes_a_whole_group(multi_label):
    rng = np.random.default_rng(0)
    labels, predicted, group = made(rng, 40, 8, multi_label)
    sample = resamples.sample(labels, [predicted], 3, group)
    ours = np.concatenate([np.column_stack([c.hits, c.support, c.predicted]) for c in sample.jackknifed()])
    every = [count(labels[group != g], predicted[group != g], 3) for g in np.unique(group)]
    expected = [np.concatenate([c.hits, c.support, c.predicted]) for c in every]
    assert {tuple(row) for row in ours.tolist()} == {tuple(row.tolist()) for row in expected}


def test_resamples_draw_groups_whole():
    labels, predicted, group = np.repeat([0, 1], 10), np.repeat([0, 1], 10), np.repeat([0, 1], 10)
    sample = resamples.sample(labels, [predicted], 2, group)
    drawn = np.concatenate([sample.counts(part).support for part in sample.resampled(200, 0)])
    assert set(drawn.ravel().tolist()) == {0, 10, 20}


def test_draws_that_are_rows_change_nothing():
    """Every row its own group: the same numbers as no groups, but for Student's t instead of the normal."""
    labels, predicted, _ = made(np.random.default_rng(1), 400, 400)
    args = (np.arange(400), labels, predicted, np.zeros((400, 3)), ("a", "b", "c"))
    metrics = ["accuracy", "recall", "f1", "mcc"]
    plain = scoring.score(Predictions(*args), metrics)
    own = scoring.score(Predictions(*args, np.arange(400).astype(str)), metrics)
    for key, score in plain.items():
        ends = (own[key].value, own[key].low, own[key].high, own[key].n)
        assert ends == pytest.approx((score.value, score.low, score.high, score.n), abs=0.004)


def test_effective_trials():
    """Groups of m equal answers are worth one trial each; single trials are worth themselves, less Student's t."""
    rng = np.random.default_rng(2)
    answers = rng.random(200) < 0.7
    copied = effective(Moments(*moments(np.ones(200), 5 * answers, np.full(200, 5))))
    single = effective(Moments(*moments(np.ones(200), answers, np.ones(200))))
    assert copied == pytest.approx(single) and single == pytest.approx(200, rel=0.02) and single < 200
    assert effective(Moments(*moments(np.ones(7), np.full(7, 5), np.full(7, 5)))) == 7, "all right: a draw is one"
    # Sums over draws of the same trials: the design-based variance of statsmodels' plain interval.
    low, high = wilson(200 * answers.mean(), 200)
    assert (low, high) == pytest.approx(proportion_confint(answers.sum(), 200, method="wilson"))


def held(groups: int, size: int, clustered: bool, trials: int = 300) -> dict[str, float]:
    """Share of intervals that hold the truth when all rows of a group are right or wrong together, 80 % of groups."""
    rng, found = np.random.default_rng(3), {"accuracy": 0, "f1_macro": 0, "auroc": 0, "log_loss": 0}
    n, truth = groups * size, {}
    for trial in range(trials + 1):
        count_ = groups if trial else 20_000  # the first is the truth
        label, right = rng.integers(0, 2, count_), rng.random(count_) < 0.8
        score = np.where(right, 0.7 + 0.3 * rng.random(count_), 0.3 * rng.random(count_))
        of_true = np.repeat(np.where(right, score, score), size)
        labels = np.repeat(label, size)
        scores = np.where(np.arange(2) == labels[:, None], of_true[:, None], 1 - of_true[:, None])
        group = np.repeat(np.arange(count_), size).astype(str) if clustered and trial else None
        n = count_ * size
        found_now = scoring.score(
            Predictions(np.arange(n), labels, scores.argmax(1), scores, ("a", "b"), group),
            ["accuracy", "f1", "auroc", "log_loss"],
        )
        if not trial:
            truth = {key: found_now[key].value for key in found}
        else:
            for key in found:
                found[key] += found_now[key].low <= truth[key] <= found_now[key].high
    return {key: hits / trials for key, hits in found.items()}


def test_clustered_intervals_keep_their_promise_where_plain_ones_do_not():
    """60 groups of 8 rows; 300 test sets, one standard error is 1.3 points."""
    clustered, plain = held(60, 8, True), held(60, 8, False)
    assert min(clustered.values()) >= 0.91, clustered
    assert max(plain.values()) < 0.65, plain


def test_pairs_of_groups_are_exchanged_together():
    """Two equal models that err by whole groups: row by row they are called different far too often."""
    rng, called = np.random.default_rng(4), {"rows": 0, "groups": 0}
    for _ in range(100):
        labels, group = np.repeat(rng.integers(0, 2, 40), 10), np.repeat(np.arange(40), 10)
        guesses = [np.where((rng.random(40) < 0.8)[group], labels, 1 - labels) for _ in range(2)]
        for kind, groups in (("rows", None), ("groups", group)):
            statistic = scoring.statistic(["accuracy"])
            found = pairing.differences(labels, *guesses, 2, statistic, groups, resamples=300)["accuracy"]
            called[kind] += found.p < 0.05
    assert called["groups"] <= 11 and called["rows"] > 30, called


def test_groups_are_said_and_travel_through_a_comparison():
    rng = np.random.default_rng(5)
    labels, predicted, group = made(rng, 200, 20)
    ids = np.array([f"r{i}" for i in range(200)], dtype=object)
    first = Predictions(ids, labels, predicted, np.zeros((200, 3)), ("a", "b", "c"), group.astype(str).astype(object))
    second = Predictions(ids, labels, labels, np.zeros((200, 3)), ("a", "b", "c"), first.groups)
    assert (
        cautioning.notes(first)[0].startswith("The 200 rows belong to 20 groups")
        and "fewer than 30" in (cautioning.notes(first)[0])
    )
    found = comparing.compare([("x", first), ("y", second)], ["accuracy", "auroc"])[0]
    assert "drawn by group" in found.differences["accuracy"].method
    assert found.p == found.differences["accuracy"].p, "McNemar takes rows as independent"
    score = scoring.score(first, ["accuracy", "f1"])
    assert score["accuracy"].method == "Wilson, clustered by group" and score["f1_macro"].method.endswith("by group")
    assert score["accuracy"].high - score["accuracy"].low > 2 * np.subtract(*wilson(150, 200)[::-1])


def test_no_errors_in_few_groups_is_no_certainty():
    labels, group = np.tile([0, 1], 50), np.repeat(np.arange(10), 10)
    sample = resamples.sample(labels, [labels], 2, group)
    spread = intervals.bca(sample, scoring.statistic(["f1"]))["f1_macro"]
    assert spread.low == pytest.approx(wilson(10, 10)[0]) and spread.high == 1


def test_groups_are_taken_from_whichever_run_kept_them():
    rng = np.random.default_rng(6)
    labels, predicted, group = made(rng, 200, 20)
    ids, scores = np.array([f"r{i}" for i in range(200)], dtype=object), np.zeros((200, 3))
    old = Predictions(ids, labels, predicted, scores, ("a", "b", "c"))
    new = Predictions(ids, labels, predicted, scores, ("a", "b", "c"), group.astype(str).astype(object))
    order = rng.permutation(200)
    for pair in ((old, new.where(order)), (new, old.where(order))):
        found = comparing.compare(list(zip("xy", pair, strict=True)), ["accuracy"])[0]
        assert "drawn by group" in found.differences["accuracy"].method


def test_the_metric_that_was_asked_for_first_leads():
    rng = np.random.default_rng(7)
    labels, predicted, _ = made(rng, 60, 60)
    rows = Predictions(np.arange(60).astype(str), labels, predicted, rng.dirichlet((1, 1, 1), 60), ("a", "b", "c"))
    assert comparing.compare([("x", rows), ("y", rows)], ["auroc", "mcc"])[0].headline == "auroc_macro"


def test_rows_that_no_class_applies_to():
    labels, predicted = np.zeros((6, 3), dtype=bool), np.eye(6, 3, dtype=bool)
    rows = Predictions(np.arange(6).astype(str), labels, predicted, np.full((6, 3), 0.2), ("a", "b", "c"))
    found = scoring.score(rows, ["accuracy", "f1", "auroc"])
    assert found["accuracy"].value == 0.5 and found["f1_macro"].value == 0 and found["auroc_macro"].value is None


@pytest.mark.parametrize("often", [(1, 1, 1, 1), (1, 1, 1, 7), (5, 1, 6, 7)])
def test_a_fair_coin_halves_every_kind(often):
    """Few kinds that occur several times, or many: two ways of drawing, one distribution."""
    drawn = dataclasses.replace(of_matrix(np.array([[1, 1], [1, 1]])), times=np.array(often))
    kept = np.concatenate(list(drawn.halved(4000, 1)))
    assert kept.shape == (4000, 4) and kept.min() == 0 and (kept <= often).all()
    for column, n in zip(kept.T, often, strict=True):
        assert column.mean() == pytest.approx(n / 2, abs=0.06) and column.var() == pytest.approx(n / 4, rel=0.1)
