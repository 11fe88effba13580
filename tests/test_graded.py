"""Metrics of probabilities against scikit-learn, their pulls against brute force, their intervals against the truth.

HFFT_CASES is how many sets are held against scikit-learn (see test_metrics.py).
"""

import os

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score, top_k_accuracy_score

from hfft import estimates, rooms, scoring
from hfft.errors import InputError
from hfft.estimates import Estimate
from hfft.intervals import wilson
from hfft.records import Predictions

CASES = int(os.environ.get("HFFT_CASES", "300"))
GRADED = ["auroc", "average_precision", "brier", "log_loss", "top_k"]


def find(name: str):
    return rooms.find("metrics", name)


def cases(total: int, seed: int = 0):
    """(labels, scores): 2 to 6 classes, 2 to 200 rows, every third case with many ties, some classes without rows."""
    rng = np.random.default_rng(seed)
    for index in range(total):
        classes, rows = int(rng.integers(2, 7)), int(rng.choice([2, 5, 30, 200]))
        scores = rng.dirichlet(np.ones(classes), rows)
        if index % 3 == 0:
            scores = np.round(scores * 4) + 0.25
            scores /= scores.sum(axis=1, keepdims=True)
        labels = rng.integers(0, max(2, classes - index % 2), rows)
        yield labels, scores


def test_scikit_learn_agrees():
    checked = 0
    for labels, scores in cases(CASES):
        classes = scores.shape[1]
        every = list(range(classes))
        loss = find("log_loss").estimates(labels, scores)[0]["log_loss"].value
        assert loss == pytest.approx(log_loss(labels, scores, labels=every), abs=1e-12)
        brier = find("brier").estimates(labels, scores)[0]["brier"].value
        pair = (labels == 1, scores[:, 1]) if classes == 2 else (labels, scores)
        named = {} if classes == 2 else {"labels": every}
        if classes > 2 or len(set(labels)) == 2:
            assert brier == pytest.approx(brier_score_loss(*pair, **named), abs=1e-12)
        whole, each = find("auroc").estimates(labels, scores)
        _, precisions = find("average_precision").estimates(labels, scores)
        parts = each.get("auroc", [whole.get("auroc")] * 2)
        for k in every:
            inside = labels == k
            if 0 < inside.sum() < len(labels):
                checked += 1
                assert parts[k].value == pytest.approx(roc_auc_score(inside, scores[:, k]), abs=1e-12)
            if inside.any():
                theirs = average_precision_score(inside, scores[:, k])
                assert precisions["average_precision"][k].value == pytest.approx(theirs, abs=1e-12)
            else:
                assert precisions["average_precision"][k].value is None
    assert checked > 2 * CASES


def test_top_k_equals_scikit_learn_without_ties_and_gives_nothing_for_them():
    rng = np.random.default_rng(1)
    for _ in range(300):
        classes, rows = int(rng.integers(3, 8)), int(rng.integers(1, 60))
        labels, scores = rng.integers(0, classes, rows), rng.dirichlet(np.ones(classes), rows)
        whole = find("top_k").estimates(labels, scores)[0]
        assert list(whole) == [f"top_{k}" for k in (2, 3, 5) if k < classes]
        for key, part in whole.items():
            theirs = top_k_accuracy_score(labels, scores, k=int(key[4:]), labels=range(classes))
            assert part.value == pytest.approx(theirs, abs=1e-12)
    assert find("top_k").estimates(labels, np.full((rows, 6), 1 / 6))[0]["top_5"].value == 0


def test_the_macro_is_the_mean_over_the_classes_that_have_a_value():
    labels, scores = np.array([0, 0, 1, 1]), np.random.default_rng(0).dirichlet((1, 1, 1), 4)
    for name in ("auroc", "average_precision"):
        whole, each = find(name).estimates(labels, scores)
        values = [part.value for part in each[name]]
        assert values[2] is None and whole[f"{name}_macro"].value == pytest.approx(np.mean(values[:2]))


def weighted(name: str, labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """The metric with a weight per row, by scikit-learn."""
    if name == "auroc":
        return roc_auc_score(labels == 1, scores[:, 1], sample_weight=weights)
    if name == "average_precision":
        return average_precision_score(labels == 1, scores[:, 1], sample_weight=weights)
    loss = {"log_loss": lambda y, p, sample_weight: log_loss(y, p, sample_weight=sample_weight),
            "brier": lambda y, p, sample_weight: brier_score_loss(y, p[:, 1], sample_weight=sample_weight)}  # fmt: skip
    return loss[name](labels, scores, sample_weight=weights)


@pytest.mark.parametrize("name", ["auroc", "average_precision", "brier", "log_loss"])
@pytest.mark.parametrize("ties", [False, True])
def test_a_pull_is_the_change_that_a_little_more_weight_brings(name, ties):
    rng = np.random.default_rng(2)
    scores = rng.dirichlet((1, 1), 40)
    scores = np.clip(np.round(scores, 1), 0.05, 0.95) if ties else scores
    labels = (rng.random(40) < scores[:, 1]).astype(int)
    whole, each = find(name).estimates(labels, scores)
    part: Estimate = each[name][1] if each else whole[name]
    step = 1e-6
    for row in range(40):
        up, down = (weighted(name, labels, scores, np.ones(40) + side * step * np.eye(40)[row]) for side in (1, -1))
        scale = 1.0
        if name == "auroc":  # DeLong's divisors are one less
            same = (labels == labels[row]).sum()
            scale = (same / (same - 1)) ** 0.5
        assert part.pull[row] == pytest.approx(40 * scale * (up - down) / (2 * step), abs=1e-4)
    assert part.pull.mean() == pytest.approx(0, abs=1e-9)


def test_auroc_has_the_standard_error_of_delong():
    rng = np.random.default_rng(3)
    labels, score = rng.random(80) < 0.3, rng.normal(size=80)
    score = score + labels
    part = find("auroc").estimates(labels.astype(int), np.column_stack([-score, score]))[0]["auroc"]
    placed = (score[labels][:, None] > score[~labels][None]).astype(float)
    by_positive, by_negative = placed.mean(axis=1), placed.mean(axis=0)
    variance = by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative)
    error, _, draws = estimates.spread(part.pull, None)
    assert part.value == pytest.approx(placed.mean())
    assert error**2 * (draws - 1) / draws == pytest.approx(variance, rel=1e-9)


def test_the_interval_of_a_mean_is_scipys_bca():
    rng = np.random.default_rng(4)
    losses = rng.exponential(size=300) ** 1.5
    ours = estimates.interval(estimates.mean(losses))
    theirs = scipy.stats.bootstrap((losses,), np.mean, n_resamples=20_000, method="BCa", rng=0).confidence_interval
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)
    assert ours.high - losses.mean() > 1.1 * (losses.mean() - ours.low), "skewed upwards"


def drawn(rng, n: int, positives: float, gap: float):
    labels = (rng.random(n) < positives).astype(int)
    logit = rng.normal(size=n) + gap * labels - gap / 2 + np.log(positives / (1 - positives))
    share = 1 / (1 + np.exp(-gap * logit))
    return labels, np.column_stack([1 - share, share])


@pytest.mark.parametrize(
    ("name", "n", "positives", "least"),
    [
        ("auroc", 200, 0.5, 0.93),
        ("auroc", 300, 0.1, 0.93),
        ("average_precision", 300, 0.5, 0.93),
        ("average_precision", 600, 0.1, 0.93),
        ("log_loss", 200, 0.3, 0.93),
        ("brier", 200, 0.3, 0.93),
    ],
)
def test_intervals_hold_the_truth(name, n, positives, least):
    """500 test sets each; one standard error is 1 point. Truth from 400,000 rows."""
    rng = np.random.default_rng(5)

    def value(labels, scores):
        whole, each = find(name).estimates(labels, scores)
        return each[name][1] if each else whole[name]

    truth = value(*drawn(rng, 400_000, positives, 1.5)).value
    held = 0
    for _ in range(500):
        spread = estimates.interval(value(*drawn(rng, n, positives, 1.5)))
        held += spread.low <= truth <= spread.high
    assert least <= held / 500 <= 0.985


def test_a_perfect_ranking_is_not_certain():
    labels = np.repeat([0, 1], [50, 10])
    scores = np.column_stack([1 - 0.9 * labels, 0.9 * labels]) + 0.05
    for name in ("auroc", "average_precision"):
        whole, each = find(name).estimates(labels, scores)
        part = each[name][1] if each else whole[name]
        spread = estimates.interval(part)
        assert part.value == 1 == spread.high and 0.70 < spread.low < 0.73 and "10 rows" in spread.method


def test_shuffled_labels_score_at_chance():
    """50 shuffles: about 95 % of the intervals hold what guessing gives."""
    rng = np.random.default_rng(6)
    labels, scores = drawn(rng, 400, 0.4, 2.0)
    held = {"auroc": 0, "mcc": 0, "balanced_accuracy": 0}
    for _ in range(50):
        mixed = rng.permutation(labels)
        found = scoring.score(Predictions(np.arange(400), mixed, scores.argmax(1), scores, ("a", "b")), list(held))
        for key, chance in (("auroc", 0.5), ("mcc", 0.0), ("balanced_accuracy", 0.5)):
            held[key] += found[key].low <= chance <= found[key].high
    assert min(held.values()) >= 43, held


def test_scores_carry_value_interval_rows_and_method():
    rng = np.random.default_rng(7)
    labels, scores = rng.integers(0, 3, 150), rng.dirichlet((1, 1, 1), 150).astype(np.float32)
    predictions = Predictions(np.arange(150), labels, scores.argmax(1), scores, ("a", "b", "c"))
    found = scoring.score(predictions, [*GRADED, "mcc"])
    assert list(found) == scoring.keys([*GRADED, "mcc"], ("a", "b", "c"))
    assert {"auroc_macro", "auroc[a]", "average_precision[c]", "brier", "log_loss", "top_2", "mcc"} <= set(found)
    for score in found.values():
        assert score.low < score.value < score.high and score.n == 150 and score.method


@pytest.mark.parametrize("name", GRADED)
def test_renaming_classes_changes_no_value(name):
    rng = np.random.default_rng(8)
    labels, scores = rng.integers(0, 4, 100), rng.dirichlet(np.ones(4), 100)
    turn = np.array([2, 0, 3, 1])
    moved = np.empty_like(scores)
    moved[:, turn] = scores
    here, there = (find(name).estimates(*pair)[0] for pair in ((labels, scores), (turn[labels], moved)))
    assert {key: part.value for key, part in there.items()} == pytest.approx({k: p.value for k, p in here.items()})


def model(rng, labels, shift=0.0):
    logits = rng.normal(size=(len(labels), 2))
    logits[np.arange(len(labels)), labels] += 1 + shift
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("groups", "most"), [(3, 0.09), (10, 0.08), (200, 0.08)])
def test_equal_models_are_seldom_called_different(groups, most):
    """400 pairs; with few groups the normal distribution would call 18 and 8 % of them different."""
    rng, called = np.random.default_rng(9), 0
    for _ in range(400):
        labels, group = rng.integers(0, 2, 200), np.arange(200) % groups
        pair = [find("log_loss").estimates(labels, model(rng, labels))[0]["log_loss"] for _ in range(2)]
        called += estimates.apart(*pair, group)[3] < 0.05
    assert called / 400 <= most


def test_one_draw_alone_tells_no_difference():
    rng, labels = np.random.default_rng(10), np.zeros(50, dtype=int)
    pair = [find("log_loss").estimates(labels, model(rng, labels, shift))[0]["log_loss"] for shift in (0, 5)]
    value, low, high, p = estimates.apart(*pair, np.zeros(50, dtype=int))
    assert p == 1 and low < 0 < high and value < 0
    same = [estimates.mean(np.full(50, loss)) for loss in (0.5, 0.7)]
    assert estimates.apart(*same)[3] < 1e-9 and estimates.apart(*(estimates.mean([x]) for x in (0.5, 0.7)))[3] == 1


def test_a_metric_that_gives_nothing_is_refused_before_anything_is_opened():
    with pytest.raises(InputError, match="top_k gives no number for a, b"):
        scoring.keys(["top_k"], ("a", "b"))


# --- the parts of an interval, one by one


def errors(pull: np.ndarray) -> float:
    return float(np.std(pull, ddof=1) / len(pull) ** 0.5)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_ranking_is_bounded_on_the_logit_scale(confidence):
    rng = np.random.default_rng(9)
    pull = rng.normal(size=60)
    pull -= pull.mean()
    for trials in (12, 200, 1):
        few = max(min(trials, 60) - 1, 1)
        reach = scipy.stats.t.ppf(0.5 + confidence / 2, few) * errors(pull) / (0.8 * 0.2)
        middle = np.log(0.8 / 0.2)
        spread = estimates.interval(Estimate(0.8, pull, estimates.RANKING, trials), confidence=confidence)
        expected = [1 / (1 + np.exp(-(middle + side * reach))) for side in (-1, 1)]
        assert spread[:2] == pytest.approx(expected, abs=1e-12)
        assert spread.method == "infinitesimal jackknife, logit scale"


def test_a_ranking_without_spread_may_claim_its_trials():
    for value in (0.0, 0.5, 1.0):
        spread = estimates.interval(Estimate(value, np.zeros(40), estimates.RANKING, 10))
        low, high = wilson(10 * value, 10)
        assert spread[:2] == (min(low, value), max(high, value))
        assert spread.method == "infinitesimal jackknife, logit scale, widened to Wilson on 10 rows"
    groups = np.arange(40) // 10
    assert "on 4 rows" in estimates.interval(Estimate(1.0, np.zeros(40), estimates.RANKING, 10), groups).method
    at_the_end = estimates.interval(Estimate(1.0, np.linspace(-1, 1, 40), estimates.RANKING, 10))
    assert at_the_end[:2] == wilson(10, 10), "the logit of 1 is no number"
    at_the_start = estimates.interval(Estimate(0.0, np.linspace(-1, 1, 40), estimates.RANKING, 10))
    assert at_the_start[:2] == wilson(0, 10)


def test_a_share_is_wilsons_and_in_groups_of_fewer_trials():
    hits = np.random.default_rng(10).random(120) < 0.7
    share = estimates.mean(hits, estimates.SHARE)
    for confidence in (0.8, 0.95):
        spread = estimates.interval(share, confidence=confidence)
        assert spread[:2] == pytest.approx(wilson(hits.sum(), 120, confidence)) and spread.method == "Wilson"
    copies = estimates.mean(np.repeat(hits, 5), estimates.SHARE)
    groups = np.repeat(np.arange(120), 5)
    clustered = estimates.interval(copies, groups)
    trials = 120 * 119 / 120 * (estimates.Z / scipy.stats.t.ppf(0.975, 119)) ** 2  # ddof 1, Student's t
    assert clustered[:2] == pytest.approx(wilson(share.value * trials, trials), abs=1e-9)
    assert clustered.method == "Wilson, clustered by group"
    right = estimates.mean(np.ones(40), estimates.SHARE)
    assert estimates.interval(right, np.arange(40) // 8)[:2] == wilson(5, 5), "all right: a group is one trial"


def test_a_mean_without_skew_is_students_interval_but_for_the_second_order():
    pull = np.linspace(-1, 1, 101)
    spread = estimates.interval(estimates.mean(5 + pull), confidence=0.8)
    reach = scipy.stats.t.ppf(0.9, 100) * errors(pull)
    assert spread[:2] == pytest.approx((5 - reach, 5 + reach), abs=1e-12)
    assert spread.method == "infinitesimal jackknife, corrected for skewness"
    assert estimates.interval(estimates.mean(0.01 + pull)).low == 0.0, "no loss is below 0"
    assert estimates._abc(0.05, 1.96) == pytest.approx(2.01 / (1 - 0.05 * 2.01) ** 2)


def test_the_spread_of_pulls_by_rows_and_by_groups():
    pull = np.random.default_rng(11).exponential(size=50)
    pull -= pull.mean()
    error, skewness, draws = estimates.spread(pull, None)
    assert (error, draws) == (pytest.approx(errors(pull)), 50)
    assert skewness == pytest.approx((pull**3).sum() / (pull**2).sum() ** 1.5)
    groups = np.arange(50) // 5
    sums = pull.reshape(10, 5).sum(axis=1)
    error, skewness, draws = estimates.spread(pull, groups)
    assert (error, draws) == (pytest.approx(np.sqrt(10 / 9 * (sums**2).sum()) / 50), 10)
    assert skewness == pytest.approx((sums**3).sum() / (sums**2).sum() ** 1.5)
    assert estimates.spread(np.array([0.3]), None) == (0.0, 0.0, 1)
    assert estimates.spread(np.zeros(5), None) == (0.0, 0.0, 5)
    assert (
        estimates.spread(np.array([-1.0, 1.0]), None)[2] == 2 and estimates.spread(np.array([-1.0, 1.0]), None)[0] == 1
    )


def test_two_estimates_are_held_apart_by_the_spread_of_their_difference():
    rng = np.random.default_rng(12)
    one, two = rng.random((2, 200))
    first, second = estimates.mean(one), estimates.mean(two + 0.03)
    value, low, high, p = estimates.apart(first, second)
    assert value == pytest.approx((two + 0.03 - one).mean())
    error = errors(two - one)
    t = scipy.stats.t.ppf(0.975, 199)
    assert (low, high) == pytest.approx((value - t * error, value + t * error))
    assert p == pytest.approx(2 * scipy.stats.t.sf(abs(value) / error, 199))
    assert estimates.apart(first, first) == (0, 0, 0, 1.0)
    moved = Estimate(first.value + 0.1, first.pull, first.kind)
    assert estimates.apart(first, moved)[1:] == (pytest.approx(0.1), pytest.approx(0.1), 2.0**-199)
    wider = estimates.apart(first, second, np.arange(200) // 2)
    assert wider[0] == value and wider[1] != low


def test_means_and_averages():
    empty = estimates.mean(np.array([]))
    assert (empty.value, empty.kind, empty.trials, empty.undefined) == (None, "mean", 0, "no rows")
    one = estimates.mean(np.array([1.0, 3.0]))
    assert (one.value, one.pull.tolist(), one.kind, one.trials, one.undefined) == (2.0, [-1.0, 1.0], "mean", 2, "")
    parts = [Estimate(0.5, np.array([1.0, -1.0]), "ranking", 7), Estimate(0.9, np.array([0.0, 0.0]), "ranking", 3)]
    nothing = Estimate(None, np.zeros(2), "ranking", 0, "no rows")
    both = estimates.average([nothing, *parts], "none")
    assert (both.value, both.pull.tolist(), both.kind, both.trials) == (pytest.approx(0.7), [0.5, -0.5], "ranking", 3)
    none = estimates.average([nothing, nothing], "none")
    assert (none.value, none.pull.tolist(), none.kind, none.trials, none.undefined) == (
        None,
        [0, 0],
        "ranking",
        0,
        "none",
    )
    assert estimates.numbered(None) is None
    assert estimates.numbered(np.array(["b", "a", "b"], dtype=object)).tolist() == [1, 0, 1]
    assert estimates.summed(np.array([1.0, 2.0, 4.0]), np.array([5, 3, 5])).tolist() == [2.0, 5.0]


def test_what_no_class_can_show_says_why():
    scores = np.random.default_rng(0).dirichlet((1, 1, 1), 4)
    whole, each = find("auroc").estimates(np.array([1, 1, 1, 1]), scores)
    assert [part.undefined for part in each["auroc"]] == ["no rows", "no rows of other classes", "no rows"]
    assert whole["auroc_macro"].undefined == "no class has rows inside and outside"
    for part in (*each["auroc"], whole["auroc_macro"]):
        assert part.value is None and part.pull.tolist() == [0] * 4 and part.trials == 0 and part.kind == "ranking"
    whole, each = find("average_precision").estimates(np.zeros((4, 3), dtype=bool), scores)
    assert whole["average_precision_macro"].undefined == "no class has rows"
    for part in each["average_precision"]:
        assert (part.value, part.undefined, part.trials, part.pull.tolist()) == (None, "no rows", 0, [0] * 4)
    two = find("auroc").estimates(np.array([0, 0, 0, 1, 1]), np.random.default_rng(1).dirichlet((1, 1), 5))[0]["auroc"]
    assert two.trials == 2 and two.kind == "ranking", "the rarer of both kinds of row"


def test_several_classes_per_row_are_each_a_question_of_its_own():
    rng = np.random.default_rng(13)
    labels, scores = rng.random((60, 2)) < 0.4, rng.random((60, 2))
    whole, each = find("auroc").estimates(labels, scores)
    theirs = [roc_auc_score(labels[:, k], scores[:, k]) for k in range(2)]
    assert [part.value for part in each["auroc"]] == pytest.approx(theirs) and list(whole) == ["auroc_macro"]
    each = find("average_precision").estimates(labels, scores)[1]["average_precision"]
    assert [part.value for part in each] == pytest.approx(
        [average_precision_score(labels[:, k], scores[:, k]) for k in range(2)]
    )
    loss = find("log_loss").estimates(labels, scores)[0]["log_loss"].value
    assert loss == pytest.approx(np.mean([log_loss(labels[:, k], scores[:, k]) for k in range(2)]), abs=1e-12)
    for name in ("auroc", "average_precision"):
        with pytest.raises(ValueError, match="shorter"):
            find(name).estimates(labels, scores[:, :1])
    sure = find("log_loss").estimates(np.array([[True, False]]), np.array([[0.0, 1.0]]))[0]["log_loss"].value
    assert sure == pytest.approx(-np.log(np.finfo(float).eps))


def test_probabilities_in_float32_are_kept_off_0_and_1_as_those_in_float64():
    labels, scores = np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])
    loss = [find("log_loss").estimates(labels, scores.astype(kind))[0]["log_loss"].value for kind in ("f4", "f8")]
    assert loss[0] == loss[1] == pytest.approx(log_loss(labels, scores), abs=1e-12)
