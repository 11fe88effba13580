"""Calibration errors: by hand, against what noise shows, and with intervals that hold the truth."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import binning, nulls
from hfft.reliability import measured, one_hot
from tests.probabilities import drawn, drawn_several, softmax


def naive(confidence, hits, edges):
    """Bins (low, high], one after the other."""
    total = 0.0
    for b, (low, high) in enumerate(pairwise(edges)):
        inside = [i for i, c in enumerate(confidence) if low < c <= high or (b == 0 and c <= low)]
        if inside:
            total += abs(np.mean([hits[i] for i in inside]) - np.mean([confidence[i] for i in inside])) * len(inside)
    return total / len(confidence)


def test_ece_is_the_naive_loop_on_1000_random_cases():
    rng = np.random.default_rng(0)
    for case in range(1000):
        n, bins = int(rng.integers(1, 60)), int(rng.integers(1, 20))
        confidence = rng.random(n) if case % 3 else rng.choice([0.0, 0.2, 1 / 3, 0.5, 0.6, 0.8, 1.0], n)
        hits = (rng.random(n) < 0.6).astype(float)
        place = binning.equal_width(confidence, bins)
        found = np.abs(binning.gaps(confidence, hits, place, bins)).sum()
        assert found == pytest.approx(naive(confidence, hits, np.linspace(0, 1, bins + 1)), abs=1e-12)


@given(st.integers(0, 10**6), st.integers(1, 80), st.integers(1, 15))
def test_bins_of_equal_mass(seed, n, bins):
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    rows = np.bincount(binning.equal_mass(confidence, bins))
    assert rows.max() - rows.min() <= 1 and len(rows) == min(n, bins)
    tied = rng.choice([0.2, 0.7, 0.9], n)
    place = binning.equal_mass(tied, bins)
    assert all(len(set(place[tied == value])) == 1 for value in set(tied))
    order = np.argsort(tied, kind="stable")
    assert (np.diff(place[order]) >= 0).all()


def test_seen_and_measured_say_the_same_as_each_class_alone():
    rows = drawn(400, 4, 1, 1.5)
    found = measured(rows.scores, rows.labels, rows.predicted, rows.names, None)
    edges, p = np.linspace(0, 1, 16), rows.scores.astype(float)
    hits, answer = rows.labels == rows.predicted, p.max(axis=1)
    assert found["ece"]["value"] == pytest.approx(naive(answer, hits, edges), abs=1e-12)
    each = [naive(p[:, k], rows.labels == k, edges) for k in range(4)]
    assert [part["value"] for part in found["classwise_ece"]["classes"]] == pytest.approx(each, abs=1e-12)
    assert found["classwise_ece"]["value"] == pytest.approx(np.mean(each), abs=1e-12)
    assert found["lean"]["value"] == pytest.approx((answer - hits).mean())
    assert sum(part["n"] for part in found["bins"]) == 400
    share = sum(part["n"] * abs(part["accuracy"]["value"] - part["confidence"]) for part in found["bins"]) / 400
    assert share == pytest.approx(found["ece"]["value"])


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_order_of_rows_and_names_of_classes_change_nothing(seed):
    rows = drawn(60, 3, seed, 1.5)
    moved = rows.where(np.random.default_rng(seed).permutation(60))
    turned = (rows.scores[:, [2, 0, 1]], np.array([1, 2, 0])[rows.labels], np.array([1, 2, 0])[rows.predicted])
    plain = measured(rows.scores, rows.labels, rows.predicted, rows.names, None)
    for other in (
        measured(moved.scores, moved.labels, moved.predicted, moved.names, None),
        measured(*turned, rows.names, None),
    ):
        for key in ("ece", "adaptive_ece", "classwise_ece", "nll", "brier"):
            assert other[key]["value"] == pytest.approx(plain[key]["value"], abs=1e-9)


@pytest.mark.parametrize(("n", "classes"), [(100, 3), (500, 2), (300, 10)])
def test_perfect_models_are_called_miscalibrated_in_one_of_twenty(n, classes):
    worlds = 250
    called = dict.fromkeys(("ece", "adaptive_ece", "classwise_ece"), 0)
    first = 0
    for seed in range(worlds):
        rows = drawn(n, classes, seed)
        p, answer = rows.scores.astype(float), rows.scores.max(axis=1).astype(float)
        tops = {"ece": binning.equal_width(answer), "adaptive_ece": binning.equal_mass(answer)}
        cells = nulls.Cells(p, rows.predicted, binning.equal_width(p), 15, tops)
        seen, shown = nulls.seen(cells, one_hot(rows.labels, classes)), nulls.shown(cells, None, seed=seed, most=199)
        for kind in tops:
            called[kind] += seen[kind] > nulls.threshold(shown[kind])
        called["classwise_ece"] += seen["classes"].mean() > nulls.threshold(shown["classes"].mean(axis=1))
        first += seen["classes"][0] > nulls.threshold(shown["classes"])[0]
    # 5 %, give or take two standard errors of 250 worlds
    assert all(0.02 <= count / worlds <= 0.078 for count in called.values()), called
    assert 0.02 <= first / worlds <= 0.078


def test_groups_are_no_independent_witnesses():
    """50 groups of 8 rows that stand and fall together: independent draws cry wolf, draws by group do not."""
    wolf = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows, units = drawn(50, 3, seed).where(np.repeat(np.arange(50), 8)), np.repeat(np.arange(50), 8)
        p = softmax(np.log(rows.scores) + rng.normal(0, 0.02, rows.scores.shape))
        answer = p[np.arange(400), rows.predicted]
        cells = nulls.Cells(p, rows.predicted, binning.equal_width(p), 15, {"ece": binning.equal_width(answer)})
        truth = one_hot(rows.labels, 3)
        seen = nulls.seen(cells, truth)["ece"]
        wolf += [seen > nulls.threshold(nulls.shown(cells, truth, by, most=199)["ece"]) for by in (units, None)]
    assert wolf[0] / 200 <= 0.08 and wolf[1] / 200 > 0.5


def test_a_miscalibrated_model_is_found():
    for sureness, way in ((2.0, 1), (0.5, -1)):
        rows = drawn(1000, 4, 1, sureness)
        found = measured(rows.scores, rows.labels, rows.predicted, rows.names, None)
        assert all(found[key]["miscalibrated"] for key in ("ece", "adaptive_ece", "classwise_ece"))
        assert way * found["lean"]["low"] > 0 and way * found["lean"]["high"] > 0
        assert found["ece"]["low"] > 0.5 * found["ece"]["value"]


def overconfident(confidence):
    odds = np.log(confidence / (1 - confidence))
    return 1 / (1 + np.exp(-odds / 1.5))


WORLDS = {
    "perfect": lambda c: c,
    "overconfident": overconfident,
    "one bin": lambda c: np.where((c > 0.8) & (c < 13 / 15), c - 0.2, c),
    "to and fro": lambda c: np.clip(c + 0.04 * np.where((c * 15).astype(int) % 2, 1, -1), 0, 1),
}


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("n", [100, 1000])
def test_the_interval_holds_the_true_ece(kind, n):
    held = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        confidence = np.clip(rng.beta(4, 1, n), 0.02, 0.999)
        truth = WORLDS[kind](confidence)
        place = binning.equal_width(confidence)
        error = np.abs(binning.gaps(confidence, truth, place, 15)).sum()
        low, high, _ = binning.interval(confidence, (rng.random(n) < truth).astype(float), place)
        held += low - 1e-12 <= error <= high + 1e-12
    assert held / 150 >= (0.89 if n == 100 else 0.91)


def test_a_test_set_copied_fifty_times_is_a_narrower_interval_unless_the_copies_are_groups():
    rng = np.random.default_rng(0)
    confidence = rng.beta(4, 1, 300)
    hits, place = (rng.random(300) < overconfident(confidence)).astype(float), binning.equal_width(confidence)
    once = binning.interval(confidence, hits, place)
    copies = [np.repeat(part, 50) for part in (confidence, hits, place, np.arange(300))]
    assert _width(binning.interval(*copies[:3])) < 0.4 * _width(once)
    assert _width(binning.interval(*copies)) == pytest.approx(_width(once), rel=0.25)


def _width(interval):
    return interval.high - interval.low


def test_degenerate_models():
    sure = np.ones(20)
    assert binning.interval(sure, sure, binning.equal_width(sure))[:2] == (0.0, 0.0)
    wrong = binning.interval(sure, 0 * sure, binning.equal_width(sure))
    assert wrong.low > 0.6 and wrong.high == 1
    one = measured(np.ones((5, 1)), np.zeros(5, dtype=int), np.zeros(5, dtype=int), ("only",), None)
    assert one["ece"]["value"] == 0 and not one["ece"]["miscalibrated"]
    single = measured(np.array([[0.3, 0.7]]), np.array([0]), np.array([1]), ("a", "b"), None)
    assert single["ece"]["value"] == pytest.approx(0.7) and single["nll"]["low"] is None


def test_several_classes_per_row_are_judged_class_by_class():
    called = np.zeros(4)
    for seed in range(200):
        rows = drawn_several(200, 4, seed)
        cells = nulls.Cells(rows.scores.astype(float), None, binning.equal_width(rows.scores), 15, {})
        called += nulls.seen(cells, rows.labels)["classes"] > nulls.threshold(
            nulls.shown(cells, rows.labels, seed=seed, most=199)["classes"]
        )
    assert (called / 200 <= 0.095).all() and 20 <= called.sum() <= 60, "5 % of 800 is 40"
    bad = drawn_several(500, 4, 1, 3.0)
    found = measured(bad.scores, bad.labels, bad.predicted, bad.names, None)
    assert all(part["miscalibrated"] for part in found["classwise_ece"]["classes"])
    assert "ece" not in found and "bins" not in found
