"""The bake-off's statistics: pulls by leaving rows out, the level under no difference, and the rule's choices."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from hfft import arms, crossed, recommending
from hfft.answering import value_of
from hfft.errors import InputError
from hfft.recommending import Arm
from hfft.records import Predictions

NAMES = ("a", "b", "c")


def rule():
    """benchmarks/imbalance_rule.py, which is no package."""
    path = Path(__file__).parent.parent / "benchmarks" / "imbalance_rule.py"
    spec = importlib.util.spec_from_file_location("imbalance_rule", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["imbalance_rule"] = module
    spec.loader.exec_module(module)
    return module


def test_macro_f1_and_its_pulls():
    """The value is scikit-learn's; n times what leaving a row out changes is its pull, up to 1 / n."""
    random = np.random.default_rng(0)
    labels, answers = random.integers(0, 3, 400), random.integers(0, 4, 400)
    value, pull = crossed.macro_f1(labels, answers, 5)
    assert value == pytest.approx(f1_score(labels, answers, labels=[0, 1, 2], average="macro"))
    assert pull.sum() == pytest.approx(0, abs=1e-9)
    for row in range(0, 400, 37):
        rest = np.arange(400) != row
        without = crossed.macro_f1(labels[rest], answers[rest], 5)[0]
        assert 399 * (value - without) == pytest.approx(pull[row], abs=0.02)
    recall, pulls = crossed.recall(labels, answers, 1)
    assert recall == (answers[labels == 1] == 1).mean() and pulls.sum() == pytest.approx(0, abs=1e-9)


def test_pooled_noise_is_that_of_a_difference():
    """Two ways: the variance of their differences over the seeds. Many ways: twice that of one way's own noise."""
    random = np.random.default_rng(0)
    two = random.normal(size=(2, 6))
    assert crossed.pooled(two).variance == pytest.approx((two[1] - two[0]).var(ddof=1))
    assert crossed.pooled(two).freedom == 5
    many = random.normal(size=(60, 40)) + random.normal(size=(60, 1)) * 9 + random.normal(size=40) * 9
    assert crossed.pooled(many).variance == pytest.approx(2.0, rel=0.1)


def test_rows_of_a_group_are_one_witness():
    random = np.random.default_rng(0)
    pulls = np.repeat(random.normal(size=(3, 50)), 8, axis=1)
    noise = crossed.Noise(1e-4, 8.0)
    alone = crossed.apart(np.array([0.1, 0.11, 0.09]), pulls, noise)
    together = crossed.apart(np.array([0.1, 0.11, 0.09]), pulls, noise, np.repeat(np.arange(50), 8))
    assert together.error > 2 * alone.error and together.p > alone.p


def test_a_way_with_a_spread_of_its_own_stands_by_it():
    pulls = np.zeros((3, 10))
    calm = crossed.Noise(1e-6, 16.0)
    wild = crossed.apart(np.array([0.0, 0.3, -0.2]), pulls, calm)
    assert wild.freedom == pytest.approx(2) and wild.error == pytest.approx(np.std([0, 0.3, -0.2], ddof=1) / 3**0.5)
    assert crossed.apart(np.zeros(3), pulls, crossed.Noise(0.0, 4.0)).p == 1.0


def test_where_no_arm_differs_nothing_is_recommended():
    """A short version of benchmarks/imbalance_rule.py: of 150 bake-offs with 8 or 10 equal remedies, few err."""
    module, wrong = rule(), 0
    for noise in module.NOISES.values():
        for shares in (module.EVEN, module.UNEVEN):
            found, _, _ = module.recommended(15, 300, shares, noise, 3, 0.0, shares == module.EVEN and not noise.lean)
            wrong += round(15 * found)
    assert wrong <= 7, "5 % of 150"


def test_a_remedy_worth_three_points_is_found():
    module = rule()
    quiet = module.Noise(0.1, 0.1, 0.0)
    for shares, n in ((module.EVEN, 2000), (module.UNEVEN, 4000)):
        better = module.advantage(shares, quiet, 0.03)
        _, found, shown = module.recommended(8, n, shares, quiet, 3, better, False)
        assert found >= 0.8 and 0.005 < shown < 0.03, "and it is told that it would be"


def bake(gains: dict[str, float], seconds: dict[str, float] | None = None, n: int = 4000, harm: float = 0.0) -> dict:
    """Facts of arms that answer so many more rows right than plain, by the same rows for all."""
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, n)
    order, out = random.permutation(n), []
    for name, gain in {"plain": 0.0, **gains}.items():
        right = np.empty((3, n), dtype=bool)
        for seed in range(3):
            own = random.permutation(n)[: n // 200]
            right[seed] = np.isin(np.arange(n), order[: int((0.7 + gain) * n)])
            right[seed, own] = ~right[seed, own]
        losses = np.full((3, n), 0.5) + random.normal(size=(3, n)) * 0.01 + harm * (name == "focal")
        answers = np.where(right, labels, (labels + 1) % 3)
        out.append(Arm(name, answers, losses, (seconds or {}).get(name, 60.0)))
    return recommending.judged(labels, out, NAMES)


def test_the_cheapest_of_those_that_are_not_told_apart():
    facts = bake({"focal": 0.05, "over_sampling": 0.049, "logit_bias": 0.0485}, {"logit_bias": 0.0})
    assert facts["recommended"] == "logit_bias" and facts["type"] == "decide.by=logit_bias"
    assert "it costs no training. Type: decide.by=logit_bias" in facts["sentences"][0]
    assert "the two are not told apart, and logit_bias is cheaper" in facts["sentences"][1]
    facts = bake({"focal": 0.10, "logit_bias": 0.05}, {"logit_bias": 0.0})
    assert facts["recommended"] == "focal", "told apart from the free one, which is not enough then"
    facts = bake({"focal": 0.05, "under_sampling": 0.0495}, {"focal": 60.0, "under_sampling": 20.0})
    assert facts["recommended"] == "under_sampling" and facts["type"] == "sampler=under_sampling"
    facts = bake({"focal": 0.05, "under_sampling": 0.0495}, {"focal": 60.0, "under_sampling": 57.0})
    assert facts["recommended"] == "focal", "seconds vary that much by themselves"


def test_a_recommendation_tells_what_it_costs():
    facts = bake({"focal": 0.05}, harm=0.2)
    assert facts["level"] == 0.95 and facts["recommended"] == "focal"
    assert (
        "focal beats plain training: +" in facts["sentences"][0] and "adjusted for one remedy" in facts["sentences"][0]
    )
    assert facts["sentences"][-1].startswith("It costs calibration: +0.2")
    row = facts["arms"][1]
    assert row["f1_macro"]["difference"]["low"] > 0 and row["log_loss"]["difference"]["low"] > 0.19


def test_none_says_what_could_have_been_shown():
    facts = bake({"focal": 0.0, "over_sampling": -0.05})
    assert facts["recommended"] is None and facts["verdict"] == "none"
    assert facts["sentences"][0] == "No remedy beats plain training here."
    assert "4,000 validation rows and 3 seeds would show a gain of" in facts["sentences"][1]
    worse = facts["arms"][2]["f1_macro"]
    assert worse["adjusted_p"] < 0.05 and worse["difference"]["high"] < 0, "a remedy that is worse is never recommended"


def test_the_worst_class_is_named():
    facts = bake({"focal": 0.05})
    labels = np.random.default_rng(1).integers(0, 3, 4000)
    assert {row["worst"]["class"] for row in facts["arms"]} <= set(NAMES) and len(labels) == facts["n"]
    for row in facts["arms"]:
        assert 0.6 < row["worst"]["mean"] <= row["f1_macro"]["mean"] + 0.05


def made(n: int = 200, groups: np.ndarray | None = None) -> Predictions:
    random = np.random.default_rng(0)
    labels = random.choice(3, n, p=[0.7, 0.2, 0.1])
    scores = random.dirichlet(np.ones(3), n).astype(np.float32)
    ids = np.array([f"{row:06x}-{NAMES[label]}" for row, label in enumerate(labels)], dtype=object)
    return Predictions(ids, labels, scores.argmax(axis=1), scores, NAMES, groups)


def test_halves_are_stratified_and_do_not_depend_on_the_order():
    rows = made()
    half = arms.halves(rows)
    for k in range(3):
        own = half[rows.labels == k]
        assert abs(own.sum() - (~own).sum()) <= 1
    shuffled = np.random.default_rng(1).permutation(rows.n)
    assert (arms.halves(rows.where(shuffled)) == half[shuffled]).all()
    groups = np.array([f"g{row // 5}" for row in range(200)], dtype=object)
    half = arms.halves(made(groups=groups))
    assert all(len(set(half[groups == group])) == 1 for group in set(groups)) and 60 < half.sum() < 140


def test_the_free_answers_of_a_half_know_nothing_of_its_labels():
    rows, value = made(), value_of("f1_macro", NAMES)
    counts = {"a": 700, "b": 200, "c": 100}
    found = arms.free(rows, counts, value)
    half = arms.halves(rows)
    other = rows.labels.copy()
    other[half] = np.random.default_rng(2).permutation(other[half])  # the halves themselves go by class: keep the ids
    moved = Predictions(rows.ids, other, rows.predicted, rows.scores, NAMES)
    kept = arms.halves
    try:
        arms.halves = lambda _: half
        again = arms.free(moved, counts, value)
    finally:
        arms.halves = kept
    assert (again["logit_bias"][half] == found["logit_bias"][half]).all(), "answered by the other half's bias"
    assert (again["logit_bias"][~half] != found["logit_bias"][~half]).any()
    shares = np.array([0.7, 0.2, 0.1])
    assert (found["logit_adjustment"] == (np.log(rows.scores.astype(float)) - np.log(shares)).argmax(axis=1)).all()


def test_arms_by_name():
    assert arms.chosen(None) == ["plain", *arms.TRAINED]
    assert arms.chosen(["over_sampling", "focal", "logit_bias"]) == ["plain", "focal", "over_sampling"]
    with pytest.raises(InputError, match=r"--arms: no 'focl' \(did you mean 'focal'\?\)"):
        arms.chosen(["focl"])
    with pytest.raises(InputError, match="expected names between commas"):
        arms.chosen([])
    assert arms.typed("balanced") == "'loss={name: cross_entropy, weights: balanced}'"
