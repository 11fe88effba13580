"""Gates: judged on the interval, with three outcomes, and errors that say what to type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft.errors import InputError
from hfft.gating import check, exit_code, judge, parse
from hfft.records import Score

SCORES = {"accuracy": Score(0.80, 0.75, 0.85, 250, "Wilson"), "f1[a]": Score(None, None, None, 0, "undefined: no rows")}


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
    assert (
        judge(gates, SCORES)[0].why == "accuracy is 0.8000, interval 0.7500 to 0.8500 on 250 rows: all of it is >= 0.7."
    )
    assert judge({"accuracy": ">= 0.9"}, SCORES)[0].why.endswith("none of it is >= 0.9.")
    unclear = judge({"accuracy": ">= 0.78"}, SCORES)[0]
    assert unclear.why.endswith("0.78 lies inside; about 1,600 rows would be needed to tell.")
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


def test_all_mistakes_come_at_once():
    with pytest.raises(InputError) as caught:
        check({"acuracy": ">= 0.7", "accuracy": "good"}, SCORES)
    first, second = str(caught.value).splitlines()
    assert first == "gates: no metric 'acuracy' (did you mean 'accuracy'?); known: accuracy, f1[a]"
    assert second.startswith("gates.accuracy: 'good' is not a rule")
    with pytest.raises(InputError, match="no metric 'f1_macro'"):
        judge({"f1_macro": ">= 0.7"}, SCORES)
