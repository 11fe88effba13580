"""May this model pass? Rules such as f1_macro ">= 0.70", judged on the interval and not on the point.

In: rules and scores. Out: one verdict per rule. A rule passes when the whole interval obeys it and fails when the whole
interval breaks it; in between the rows are too few to tell, and the verdict says so instead of guessing.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hfft.errors import InputError, listed, meant
from hfft.records import Score

PASS, FAIL, UNCLEAR = "pass", "fail", "cannot tell"
SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
RULE = re.compile(r"\s*(>=|<=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
EXAMPLE = "'>= 0.70'"
# Beyond this factor "how many rows would settle it" is a way of saying "no number of rows".
MOST_ROWS = 1000


@dataclass(frozen=True)
class Verdict:
    """One rule's outcome. verdict: "pass", "fail" or "cannot tell"; why: one sentence."""

    metric: str
    rule: str
    verdict: str
    score: Score
    why: str


def parse(rule: str) -> tuple[str, float]:
    """(sign, threshold) of a rule; raises InputError for one that is malformed or could never be broken or kept.

    >>> parse(">= 0.70")
    ('>=', 0.7)
    """
    found = RULE.fullmatch(str(rule))
    if not found:
        raise InputError(f"{rule!r} is not a rule: expected one of {listed(SIGNS)} and a share, such as {EXAMPLE}")
    sign, threshold = found[1], float(found[2])
    if 1 < threshold <= 100:
        raise InputError(f"{rule!r}: metrics run from 0 to 1; for {threshold:g} % type '{sign} {threshold / 100:g}'")
    if not 0 <= threshold <= 1:
        raise InputError(f"{rule!r}: metrics run from 0 to 1, so the threshold must too, such as {EXAMPLE}")
    if (sign, threshold) in ((">", 1.0), ("<", 0.0)):
        raise InputError(f"{rule!r} can never be met: metrics run from 0 to 1; type a threshold such as {EXAMPLE}")
    return sign, threshold


def check(gates: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise one InputError that names every bad rule and every metric that is not among the `known` keys."""
    keys, mistakes = list(known), []
    for metric, rule in gates.items():
        if metric not in keys:
            mistakes.append(f"gates: no metric {metric!r}{meant(metric, keys)}; known: {listed(keys)}")
        try:
            parse(rule)
        except InputError as error:
            mistakes.append(f"gates.{metric}: {error}")
    if mistakes:
        raise InputError("\n".join(mistakes))


def judge(gates: Mapping[str, str], scores: Mapping[str, Score]) -> list[Verdict]:
    """One verdict per gate, in the gates' order. Raises InputError (see `check`)."""
    check(gates, scores)
    return [_judged(metric, rule, scores[metric]) for metric, rule in gates.items()]


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 when all gates pass, 1 when any fails, else 3: cannot be decided with this many rows."""
    outcomes = {verdict.verdict for verdict in verdicts}
    return 1 if FAIL in outcomes else 3 if UNCLEAR in outcomes else 0


def _judged(metric: str, rule: str, score: Score) -> Verdict:
    sign, threshold = parse(rule)
    if score.value is None or score.low is None or score.high is None:
        return Verdict(metric, rule, UNCLEAR, score, f"{metric} has no value here ({score.method}).")
    holds = SIGNS[sign]
    worst, best = (score.low, score.high) if ">" in sign else (score.high, score.low)
    outcome = PASS if holds(worst, threshold) else UNCLEAR if holds(best, threshold) else FAIL
    rows = "1 row" if score.n == 1 else f"{score.n:,} rows"
    fact = f"{metric} is {score.value:.4f}, interval {score.low:.4f} to {score.high:.4f} on {rows}"
    ending = {
        PASS: f"all of it is {sign} {threshold:g}.",
        FAIL: f"none of it is {sign} {threshold:g}.",
        UNCLEAR: f"{threshold:g} lies inside{_rows_needed(score, threshold)}.",
    }
    return Verdict(metric, rule, outcome, score, f"{fact}: {ending[outcome]}")


def _rows_needed(score: Score, threshold: float) -> str:
    """How many rows would settle it if the value stayed: the half-width shrinks with the root of the rows."""
    assert score.value is not None and score.low is not None and score.high is not None
    gap = abs(score.value - threshold)
    half = score.value - score.low if threshold < score.value else score.high - score.value
    if gap == 0 or (half / gap) ** 2 > MOST_ROWS:
        return ", too close to the value for any test set to tell"
    rows = score.n * (half / gap) ** 2
    magnitude = 10 ** max(int(math.log10(max(rows, 1))) - 1, 0)
    return f"; about {math.ceil(rows / magnitude) * magnitude:,} rows would be needed to tell"
