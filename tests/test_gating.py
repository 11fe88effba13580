"""Gates: judged on the interval, with three outcomes, and errors that say what to type."""

import dataclasses
import re
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hfft import gating, pairing, scoring
from hfft.errors import InputError
from hfft.gating import Evidence, Verdict, check, exit_code
from hfft.gating import judge as judge_evidence
from hfft.intervals import wilson
from hfft.pairing import Difference
from hfft.records import Score
from hfft.rules import Rival, at_most, mistakes, parse, rivals

SCORES = {"accuracy": Score(0.80, 0.75, 0.85, 250, "Wilson"), "f1[a]": Score(None, None, None, 0, "undefined: no rows")}


def judge(gates: dict, scores: dict[str, Score]) -> list[Verdict]:
    return judge_evidence(gates, Evidence(scores))


def verdict(rule: str, score: Score = SCORES["accuracy"]) -> str:
    return judge({"accuracy": rule}, {"accuracy": score})[0].verdict


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (">= 0.70", "pass"),
        (">= 0.75", "pass"),
        ("> 0.75", "cannot tell"),
        (">= 0.80", "cannot tell"),
        (">= 0.85", "cannot tell"),
        ("> 0.85", "fail"),
        (">= .9", "fail"),
        ("<= 0.85", "pass"),
        ("< 0.85", "cannot tell"),
        ("<=0.75", "cannot tell"),
        ("< 0.75", "fail"),
        ("<= 7e-1", "fail"),
    ],
)
def test_the_whole_interval_decides(rule, expected):
    assert verdict(rule) == expected


@given(st.lists(st.integers(0, 100), min_size=3, max_size=3).map(sorted), st.integers(0, 100))
def test_a_rule_and_its_opposite_never_both_pass(ends, threshold):
    low, value, high = (end / 100 for end in ends)
    score = Score(value, low, high, 10, "Wilson")
    pairs = [(">=", "<")] * (threshold > 0) + [("<=", ">")] * (threshold < 100)
    for one, other in pairs:
        outcomes = verdict(f"{one} {threshold / 100}", score), verdict(f"{other} {threshold / 100}", score)
        assert outcomes in {("pass", "fail"), ("fail", "pass"), ("cannot tell", "cannot tell")}


def test_why_is_a_sentence():
    gates = {"accuracy": ">= 0.70"}
    assert judge(gates, SCORES)[0].why == "accuracy is 0.8000, interval 0.7500 to 0.8500, n = 250: all of it is >= 0.7."
    assert judge({"accuracy": ">= 0.9"}, SCORES)[0].why.endswith("none of it is >= 0.9.")
    unclear = judge({"accuracy": ">= 0.78"}, SCORES)[0]
    assert unclear.why.endswith("0.78 lies inside; about n = 3,200 would be needed to tell.")
    hopeless = judge({"accuracy": ">= 0.80"}, SCORES)[0]
    assert hopeless.why.endswith("0.8 lies inside, too close to the value for any test set to tell.")
    undefined = judge({"f1[a]": ">= 0.5"}, SCORES)[0]
    assert (undefined.verdict, undefined.why) == ("cannot tell", "f1[a] has no value here (undefined: no rows).")
    assert undefined.rule == ">= 0.5" and undefined.score is SCORES["f1[a]"]


def test_exit_codes():
    rules = {"pass": ">= 0.7", "fail": ">= 0.9", "cannot tell": ">= 0.8"}

    def code(*outcomes: str) -> int:
        return exit_code([judge({"accuracy": rules[outcome]}, SCORES)[0] for outcome in outcomes])

    assert (code(), code("pass", "pass"), code("pass", "cannot tell")) == (0, 0, 3)
    assert code("pass", "fail") == code("cannot tell", "fail") == 1


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("0.70", "'0.70' is not a rule: expected one of >=, >, <=, < and a share, such as '>= 0.70'"),
        ("== 0.70", "'== 0.70' is not a rule: expected one of >=, >, <=, < and a share, such as '>= 0.70'"),
        (">= high", "'>= high' is not a rule: expected one of >=, >, <=, < and a share, such as '>= 0.70'"),
        (">= nan", "'>= nan' is not a rule: expected one of >=, >, <=, < and a share, such as '>= 0.70'"),
        (">= 70", "'>= 70': metrics run from 0 to 1; for 70 % type '>= 0.7'"),
        (">= -0.1", "'>= -0.1': metrics run from 0 to 1, so the threshold must too, such as '>= 0.70'"),
        ("> 1", "'> 1' can never be met: metrics run from 0 to 1; type a threshold such as '>= 0.70'"),
    ],
)
def test_malformed_rules_say_what_to_type(rule, sentence):
    with pytest.raises(InputError) as caught:
        parse(rule)
    assert str(caught.value) == sentence


RIVALS = "{run: runs/base, margin: 0.01}"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("runs/base", f"expected {RIVALS}, or a list of such, got 'runs/base'"),
        ({"run": "a", "margn": 0.01}, "unknown key margn (did you mean 'margin'?); known here: run, margin, metric"),
        ({"run": "a"}, f"margin is missing: expected {RIVALS}"),
        ({"margin": 0.01}, f"run is missing: expected {RIVALS}"),
        ({"run": 3, "margin": 0.01}, "run: expected the folder of a run, such as runs/base, got 3"),
        ({"run": "", "margin": 0.01}, "run: expected the folder of a run, such as runs/base, got ''"),
        ({"run": "a", "margin": True}, "margin: expected a number, such as 0.01 for one point, got True"),
        ({"run": "a", "margin": "1 %"}, "margin: expected a number, such as 0.01 for one point, got '1 %'"),
        (
            {"run": "a", "margin": 1},
            "margin: expected 0 to below 1, such as 0.01 for one point, got 1; for 1 points type 0.01",
        ),
        (
            {"run": "a", "margin": 100.0},
            "margin: expected 0 to below 1, such as 0.01 for one point, got 100; for 100 points type 1",
        ),
        ({"run": "a", "margin": 101}, "margin: expected 0 to below 1, such as 0.01 for one point, got 101"),
        ({"run": "a", "margin": -0.01}, "margin: expected 0 to below 1, such as 0.01 for one point, got -0.01"),
        ({"run": "a", "margin": 0, "metric": 1}, "metric: expected a metric's name, such as f1_macro, got 1"),
    ],
)
def test_malformed_rivals_say_what_to_type(rule, sentence):
    for asked in (rule, [{"run": "b", "margin": 0}, rule]):
        with pytest.raises(InputError) as caught:
            rivals({"no_worse_than": asked})
        assert str(caught.value) == sentence
        assert mistakes({"no_worse_than": asked}) == [f"gates.no_worse_than: {sentence}"]


def test_rivals_as_they_are_read():
    assert rivals({}) == []
    assert rivals({"no_worse_than": {"run": "a", "margin": 0}}) == [Rival("a", 0.0)]
    both = rivals({"no_worse_than": [{"run": "a", "margin": 0.99}, {"run": "b", "margin": 0, "metric": "mcc"}]})
    assert both == [Rival("a", 0.99, None), Rival("b", 0.0, "mcc")]
    assert [str(rival) for rival in both] == ["a by more than 0.99", "b by more than 0 of mcc"]


def test_mistakes_name_their_keys():
    assert mistakes(["f1_macro"]) == mistakes({}) == []
    assert mistakes({"no_worse_than": []}) == [f"gates.no_worse_than: names no run; type {RIVALS}"]
    whole = "expected a whole number from 0 on, the most that is allowed, got"
    for odd, shown in ((True, "True"), (-1, "-1"), (0.5, "0.5"), ("3", "'3'")):
        assert mistakes({"looks": odd, "leaks": 0}) == [f"gates.looks: {whole} {shown}"]
    assert at_most(0) == 0 and at_most(7) == 7
    assert mistakes({"log_loss_per_class": "<= 1.5", "log_loss[a]": "<= 7", "recall[a]": ">= 0.5"}) == []
    assert len(mistakes({"recall[a]": ">= 7", "f1_per_class": "x"})) == 2


@pytest.mark.parametrize(
    ("metric", "rule", "sentence"),
    [
        ("f1_macro", 0.7, "0.7 does not say in which direction; type '>= 0.7', in quotes"),
        ("ece", 0.05, "0.05 does not say in which direction; type '<= 0.05', in quotes"),
        ("f1_macro", True, "True is not a rule: expected one of >=, >, <=, < and a share, such as '>= 0.70'"),
        ("ece", "> 0.05", "'> 0.05': of ece, less is better; type '< 0.05'"),
        ("mcc", "<= -2", "'<= -2': it runs from -1 to 1, so the threshold must too, such as '>= 0.70'"),
        ("mcc", ">= 100", "'>= 100': it runs from -1 to 1; for 100 % type '>= 1'"),
        ("mcc", ">= 101", "'>= 101': it runs from -1 to 1, so the threshold must too, such as '>= 0.70'"),
        ("kappa", "< -1", "'< -1' can never be met: it runs from -1 to 1; type a threshold such as '>= 0.70'"),
        ("brier", "<= 2.5", "'<= 2.5': it runs from 0 to 2, so the threshold must too, such as '>= 0.70'"),
        ("log_loss", "< 0", "'< 0' can never be met: it runs from 0 to inf; type a threshold such as '>= 0.70'"),
    ],
)
def test_rules_know_the_range_and_the_direction_of_their_metric(metric, rule, sentence):
    with pytest.raises(InputError) as caught:
        parse(rule, metric)
    assert str(caught.value) == sentence


def test_rules_at_the_ends_of_the_range():
    assert parse(">= 1") == (">=", 1.0) and parse("<= 0") == ("<=", 0.0) and parse("> 0") == (">", 0.0)
    assert parse("<= 150", "log_loss") == ("<=", 150.0) and parse("<= 2", "brier") == ("<=", 2.0)
    assert parse(" >=.5e-1 ", "mcc") == (">=", 0.05) and parse("> -1", "mcc") == (">", -1.0)


def test_all_mistakes_come_at_once():
    with pytest.raises(InputError) as caught:
        check({"acuracy": ">= 0.7", "accuracy": "good"}, SCORES)
    first, second = str(caught.value).splitlines()
    assert first == "gates: no metric 'acuracy' (did you mean 'accuracy'?); known: accuracy, f1_per_class, f1[a]"
    assert second.startswith("gates.accuracy: 'good' is not a rule")
    known = ["probe.negation.failure_rate", "probe.negation.1.failure_rate", "probe.truncation.flip_rate"]
    with pytest.raises(InputError, match=r"\(did you mean 'probe.negation.failure_rate'\?\)"):
        check({"probe.negation.flip_rate": "<= 0.1"}, known)
    with pytest.raises(InputError, match="no metric 'f1_macro'"):
        judge({"f1_macro": ">= 0.7"}, SCORES)


def score(value: float, low: float, high: float, n: int = 100) -> Score:
    return Score(value, low, high, n, "made up")


def one(gates: dict, evidence: Evidence) -> Verdict:
    (found,) = judge_evidence(gates, evidence)
    return found


def test_less_is_better_works_by_its_sign():
    scores = {"ece": score(0.03, 0.02, 0.06), "log_loss": score(1.4, 1.2, 1.7)}
    outcomes = [one({"ece": rule}, Evidence(scores)).verdict for rule in ("<= 0.06", "<= 0.05", "< 0.02")]
    assert outcomes == ["pass", "cannot tell", "fail"]
    assert one({"log_loss": "<= 1.8"}, Evidence(scores)).verdict == "pass"
    assert one({"ece": "<= 0.05"}, Evidence(SCORES)).why == "ece has no value here (not measured)."


CLASSES = {
    "recall[a]": score(0.9, 0.85, 0.94), "recall[b]": score(0.6, 0.50, 0.69), "recall[c]": score(0.7, 0.4, 0.9, 9),
    "precision[a]": score(0.9, 0.8, 0.95), "accuracy": score(0.8, 0.7, 0.9),
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "outcome", "why"),
    [
        (">= 0.40", "pass", "Every class passes; the nearest: recall[c] is 0.7000, interval 0.4000 to 0.9000, n = 9"),
        (">= 0.45", "cannot tell", "c cannot be told: recall[c] is 0.7000, interval 0.4000 to 0.9000, n = 9: 0.45"),
        (">= 0.70", "fail", "b fails: recall[b] is 0.6000, interval 0.5000 to 0.6900, n = 100: none of it"),
        (">= 0.95", "fail", "b fails: recall[b] is 0.6000"),
        ("<= 0.96", "pass", "Every class passes; the nearest: recall[a] is 0.9000"),
    ],
)
def test_every_class_by_its_own_interval(rule, outcome, why):
    found = one({"recall_per_class": rule}, Evidence(CLASSES))
    assert (found.verdict, found.metric, found.rule) == (outcome, "recall_per_class", rule)
    assert found.why.startswith(why)
    assert found.score in CLASSES.values()


def test_every_class_that_decides_is_named():
    found = one({"recall_per_class": ">= 0.95"}, Evidence(CLASSES))
    assert found.why.endswith("The same goes for 2 classes: a, c.")
    empty = CLASSES | {"recall[d]": Score(None, None, None, 0, "undefined: no rows")}
    assert one({"recall_per_class": ">= 0.4"}, Evidence(empty)).why == (
        "d cannot be told: recall[d] has no value here (undefined: no rows)."
    )
    assert one({"recall_per_class": ">= 0.7"}, Evidence(empty)).verdict == "fail", "a class that fails outweighs it"
    with pytest.raises(InputError, match=r"no metric 'f1_per_class'.*; known: accuracy, precision_per_class, rec"):
        judge(dict.fromkeys(["f1_per_class"], ">= 0.5"), CLASSES)


@pytest.mark.parametrize(("count", "most", "outcome"), [(0, 0, "pass"), (3, 3, "pass"), (4, 3, "fail"), (1, 0, "fail")])
def test_counts_need_no_interval(count, most, outcome):
    for key in ("leaks", "looks"):
        found = one({key: most}, Evidence({}, leaks=count, looks=count))
        assert (found.verdict, found.rule) == (outcome, f"<= {most}")
        assert (found.score.value, found.score.low, found.score.method) == (count, None, "count")
    assert one({"looks": 3}, Evidence({}, looks=1)).why == ("The test split has been opened 1 time; at most 3 allowed.")


def test_so_many_as_are_said_to_be_needed_tell_four_times_in_five():
    """A model truly at 80 % and the threshold 0.77, on as many rows as a first test set says; not every other time."""
    first = Score(0.80, *wilson(200, 250), 250, "Wilson")
    needed = int(
        judge({"accuracy": ">= 0.77"}, {"accuracy": first})[0].why.split("n = ")[-1].split()[0].replace(",", "")
    )
    hits = np.random.default_rng(0).binomial(needed, 0.80, 2000)
    passed = [verdict(">= 0.77", Score(hit / needed, *wilson(int(hit), needed), needed, "Wilson")) for hit in hits]
    assert 0.76 <= passed.count("pass") / 2000 <= 0.90


def test_of_classes_that_pass_the_nearest_is_nearest_by_its_interval():
    classes = {"recall[a]": score(0.80, 0.78, 0.82, 2000), "recall[b]": score(0.85, 0.701, 0.93, 40)}
    found = one({"recall_per_class": ">= 0.70"}, Evidence(classes))
    assert found.verdict == "pass" and "the nearest: recall[b] is 0.8500" in found.why
    classes = {"recall[a]": score(0.20, 0.18, 0.22, 2000), "recall[b]": score(0.15, 0.07, 0.299, 40)}
    assert "the nearest: recall[b]" in one({"recall_per_class": "<= 0.30"}, Evidence(classes)).why


def test_what_is_not_vouched_for_can_break_a_count_and_cannot_keep_it():
    doubt, note = "The ledger is broken: line 2 is gone", "A stream is searched for equal inputs only"
    for count, outcome in ((1, "cannot tell"), (3, "cannot tell"), (4, "fail"), (10, "fail")):
        looks = one({"looks": 3}, Evidence({}, looks=count, unsure=doubt))
        assert looks.verdict == outcome and looks.why.endswith(f" at least; at most 3 allowed. {doubt}.")
        leaks = one({"leaks": 3}, Evidence({}, leaks=count, unsearched=note))
        assert leaks.verdict == outcome and leaks.why.endswith(f"as far as was searched; at most 3 allowed. {note}.")


def test_what_was_not_counted_cannot_be_told():
    assert one({"leaks": 0}, Evidence({})).verdict == one({"looks": 0}, Evidence({})).verdict == "cannot tell"


def apart(value: float, low: float, high: float, metric: str = "f1_macro"):
    return lambda run, wanted: (wanted or metric, Difference(value, low, high, 0.5, 1000, "paired"))


@pytest.mark.parametrize(
    ("value", "low", "high", "outcome"),
    [
        (0.0, -0.009, 0.009, "pass"),
        (0.02, -0.011, 0.05, "cannot tell"),
        (0.0, -0.01, 0.01, "cannot tell"),
        (-0.02, -0.03, -0.01, "cannot tell"),
        (-0.02, -0.03, -0.0101, "fail"),
    ],
)
def test_no_worse_than_another_run(value, low, high, outcome):
    gates = {"no_worse_than": {"run": "runs/base", "margin": 0.01}}
    found = one(gates, Evidence({}, against=apart(value, low, high)))
    assert (found.verdict, found.score.value, found.score.n) == (outcome, value, 1000)
    assert found.rule == "runs/base by more than 0.01"
    # With less-is-better metrics a plus of the metric is a loss, and the whole picture turns round.
    gates["no_worse_than"]["metric"] = "log_loss"
    turned = one(gates, Evidence({"log_loss": SCORES["accuracy"]}, against=apart(-value, -high, -low)))
    assert (turned.verdict, turned.score.low, turned.score.high) == (outcome, low, high)
    assert "less is better" in turned.why and turned.rule == "runs/base by more than 0.01 of log_loss"


def test_several_runs_and_those_that_cannot_be_compared():
    def against(run, metric):
        if run == "b":
            raise InputError("b was scored on different test rows")
        return apart(0.0, -0.005, 0.005)(run, metric)

    gates = {"no_worse_than": [{"run": "a", "margin": 0.01}, {"run": "b", "margin": 0.01}]}
    found = judge_evidence(gates, Evidence({}, against=against))
    assert [verdict.verdict for verdict in found] == ["pass", "cannot tell"]
    assert found[1].why == "b cannot be compared: b was scored on different test rows."
    assert judge(gates, {})[0].why == "a was not compared here."
    with pytest.raises(InputError, match=r"gates.no_worse_than: no metric 'f1_macr' \(did you mean 'f1_macro'\?\)"):
        check({"no_worse_than": {"run": "a", "margin": 0, "metric": "f1_macr"}}, ["f1_macro", "recall[a]"])


def paired(rng, n: int, right: float, drop: float, discordance: float) -> tuple[np.ndarray, np.ndarray]:
    """(base right, new right), bool (n,): the new model loses `drop` more than it wins of `discordance`."""
    won, lost = (discordance - drop) / 2, (discordance + drop) / 2
    kind = rng.choice(4, n, p=[right - lost, lost, won, 1 - right - won])
    return np.isin(kind, (0, 1)), np.isin(kind, (0, 2))


def share(trials: int, drop: float, gates: dict, discordance: float = 0.10) -> dict[str, float]:
    """Share of each verdict over simulated pairs of models at 90 % on 1,000 rows of two classes."""
    rng, found = np.random.default_rng(7), Counter()
    for _ in range(trials):
        base, new = paired(rng, 1000, 0.90, drop, discordance)
        labels = rng.integers(0, 2, 1000)
        runs = [np.where(right, labels, 1 - labels) for right in (base, new)]

        def against(run, metric, labels=labels, runs=runs):
            statistic = scoring.statistic(["accuracy"])
            return "accuracy", pairing.differences(labels, *runs, 2, statistic, resamples=500)["accuracy"]

        hits = int(new.sum())
        scores = {"accuracy": Score(hits / 1000, *wilson(hits, 1000), 1000, "Wilson")}
        found[one(gates, Evidence(scores, against=against)).verdict] += 1
    return {verdict: found[verdict] / trials for verdict in ("pass", "fail", "cannot tell")}


def test_a_drop_of_five_points_is_caught_and_equal_models_are_left_alone():
    """Caught: not "pass". Crying wolf: "fail" although the model is as good as it must be. n = 1,000."""
    rival = {"no_worse_than": {"run": "base", "margin": 0.01}}
    dropped = share(400, 0.05, rival)
    assert dropped["pass"] == 0 and dropped["fail"] >= 0.95
    assert share(400, 0.0, rival)["fail"] <= 0.01
    on_the_edge = share(400, 0.01, rival)
    assert on_the_edge["fail"] <= 0.05 and on_the_edge["pass"] <= 0.05
    threshold = {"accuracy": ">= 0.90"}
    dropped = share(400, 0.05, threshold)
    assert dropped["pass"] == 0 and dropped["fail"] >= 0.95
    equal = share(1000, 0.0, threshold)
    assert equal["fail"] <= 0.05 and equal["pass"] <= 0.05, "exactly at the threshold"


def test_a_margin_of_three_points_lets_equal_models_pass():
    assert share(300, 0.0, {"no_worse_than": {"run": "base", "margin": 0.03}})["pass"] >= 0.80


# --- verdicts as a whole, field by field


def test_verdicts_on_counts_to_the_letter():
    nobody = Score(None, None, None, 0, "not counted")
    for key in ("leaks", "looks"):
        expected = Verdict(key, "<= 2", "cannot tell", nobody, f"{key} were not counted here.")
        assert one({key: 2}, Evidence({})) == expected
    for count, outcome, fact in (
        (0, "pass", "0 rows of test have a copy in train"),
        (1, "pass", "1 row of test has a copy in train"),
        (1200, "fail", "1,200 rows of test have a copy in train"),
    ):
        score = Score(float(count), None, None, count, "count")
        expected = Verdict("leaks", "<= 1", outcome, score, f"{fact}; at most 1 allowed.")
        assert one({"leaks": 1}, Evidence({}, leaks=count, looks=9)) == expected
    score = Score(1500.0, None, None, 1500, "count")
    expected = Verdict(
        "looks", "<= 1000", "fail", score, "The test split has been opened 1,500 times; at most 1,000 allowed."
    )
    assert one({"looks": 1000}, Evidence({}, leaks=0, looks=1500)) == expected
    torn = one({"looks": 1000}, Evidence({}, looks=1500, unsure="It is torn"))
    assert (torn.verdict, torn.score) == ("fail", score), "at least 1,500 are too many, whatever is gone"
    torn = one({"looks": 1000}, Evidence({}, looks=900, unsure="It is torn"))
    assert torn.verdict == "cannot tell" and "It is torn" in torn.why
    assert one({"leaks": 0}, Evidence({}, leaks=0, looks=1, unsure="It is torn")).verdict == "pass", "of looks alone"


def test_verdicts_on_metrics_to_the_letter():
    for part in ("value", "low", "high"):
        hole = dataclasses.replace(score(0.8, 0.7, 0.9), **{part: None})
        expected = Verdict("accuracy", ">= 0.5", "cannot tell", hole, "accuracy has no value here (made up).")
        assert judge({"accuracy": ">= 0.5"}, {"accuracy": hole}) == [expected]
    made = score(0.8, 0.7, 0.9, 1)
    fact = "accuracy is 0.8000, interval 0.7000 to 0.9000, n = 1"
    for rule, outcome, ending in (
        (">= 0.5", "pass", "all of it is >= 0.5."),
        ("< 0.25", "fail", "none of it is < 0.25."),
        (">= 0.75", "cannot tell", "0.75 lies inside; about n = 9 would be needed to tell."),
    ):
        assert judge({"accuracy": rule}, {"accuracy": made}) == [
            Verdict("accuracy", rule, outcome, made, f"{fact}: {ending}")
        ]


@pytest.mark.parametrize(
    ("threshold", "times"),
    [(0.75, (0.10 / 0.05) ** 2), (0.86, (0.20 / 0.06) ** 2), (0.79, (0.10 / 0.01) ** 2), (0.794, (0.10 / 0.006) ** 2)],
)
def test_rows_needed_go_with_the_square_of_the_half_width_and_with_the_power(threshold, times):
    rows = 100 * times * ((scipy.stats.norm.ppf(0.975) + scipy.stats.norm.ppf(0.8)) / scipy.stats.norm.ppf(0.975)) ** 2
    told = gating._rows_needed(score(0.8, 0.7, 1.0), threshold)
    shown = int(re.search(r"about n = ([\d,]+) would be needed", told)[1].replace(",", ""))
    assert rows <= shown <= 1.11 * rows + 1


@pytest.mark.parametrize("threshold", [0.797, 0.804, 0.8])
def test_what_no_test_set_could_tell_is_said(threshold):
    told = gating._rows_needed(score(0.8, 0.7, 1.0), threshold)
    assert told == ", too close to the value for any test set to tell"


def test_verdicts_on_other_runs_to_the_letter():
    gates = {"no_worse_than": {"run": "base", "margin": 0.01}}
    nothing = Score(None, None, None, 0, "not compared")
    rule = "base by more than 0.01"
    assert judge(gates, {}) == [Verdict("no_worse_than", rule, "cannot tell", nothing, "base was not compared here.")]

    def against(run, metric):
        raise InputError("other rows")

    expected = Verdict("no_worse_than", rule, "cannot tell", nothing, "base cannot be compared: other rows.")
    assert one(gates, Evidence({}, against=against)) == expected
    fact = "f1_macro is {} from that of base, interval {} to {} on the same 1,000 rows: {}"
    for ends, outcome, why in (
        ((0.02, -0.005, 0.03), "pass", fact.format("+0.0200", "-0.0050", "+0.0300", "all of it is above -0.01.")),
        ((-0.03, -0.05, -0.02), "fail", fact.format("-0.0300", "-0.0500", "-0.0200", "all of it is below -0.01.")),
        (
            (0.0, -0.02, 0.02),
            "cannot tell",
            fact.format("+0.0000", "-0.0200", "+0.0200", "-0.01 lies inside; about n = 8,200 would be needed to tell."),
        ),
    ):
        expected = Verdict("no_worse_than", rule, outcome, Score(*ends, 1000, "paired"), why)
        assert one(gates, Evidence({}, against=apart(*ends))) == expected
    loss = one(gates, Evidence({}, against=apart(0.02, 0.015, 0.03, "log_loss")))
    assert loss.score == Score(-0.02, -0.03, -0.015, 1000, "paired")
    assert loss.why == (
        "log_loss is -0.0200 from that of base (less is better, so a plus is a gain), interval -0.0300 to -0.0150 "
        "on the same 1,000 rows: all of it is below -0.01."
    )


def test_what_is_known_is_listed_whole_metrics_first():
    keys = ["f1_macro", "recall[a]", "accuracy"]
    with pytest.raises(InputError) as caught:
        check({"recall[b]": ">= 0.5", "no_worse_than": [{"run": "a", "margin": 0, "metric": "recall[a]"}]}, keys)
    first, second = str(caught.value).splitlines()
    assert first.endswith("; known: f1_macro, accuracy, recall_per_class, recall[a]")
    assert second == "gates.no_worse_than: no metric 'recall[a]'; known here: f1_macro, accuracy"
    check({"ece": "<= 0.1", "leaks": 0, "looks": 1, "recall_per_class": ">= 0.5", "recall[a]": ">= 0.5"}, keys)
    with pytest.raises(InputError) as caught:
        check({"no_worse_than": {"run": "a"}}, keys)
    assert str(caught.value) == f"gates.no_worse_than: margin is missing: expected {RIVALS}"


def test_ece_is_no_gate_where_several_classes_apply_to_a_row():
    check({"ece": "<= 0.1"}, ["f1_macro"])
    with pytest.raises(InputError, match="no metric 'ece'"):
        check({"ece": "<= 0.1"}, ["f1_macro"], several=True)
