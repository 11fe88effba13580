"""May this model pass? Rules such as f1_macro ">= 0.70", judged on the interval and not on the point.

In: rules and evidence: scores, leaks, looks, and a way to the difference from other runs. Out: one verdict per rule. A
rule passes when the whole interval obeys it and fails when the whole interval breaks it; in between the rows are too
few to tell, and the verdict says so instead of guessing. This stage reads no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hfft.errors import InputError, counted, listed, meant
from hfft.pairing import Difference, noun, rounded, rows_for
from hfft.records import PROBE, Score, less_is_better
from hfft.rules import COUNTS, EACH, RIVAL, SIGNS, Rival, at_most, mistakes, parse, rivals

PASS, FAIL, UNCLEAR = "pass", "fail", "cannot tell"
# Beyond this factor "how many rows would settle it" is a way of saying "no number of rows".
MOST_ROWS = 1000
SHOWN = 5  # classes that a sentence names
# Measured beside the recipe's metrics, and so known before there are scores.
BESIDE = ("ece",)


@dataclass(frozen=True)
class Verdict:
    """One rule's outcome. verdict: "pass", "fail" or "cannot tell"; why: one sentence.

    score: what was judged: the metric's; of the class that decides; the difference from another run (more is better);
    a count without an interval.
    """

    metric: str
    rule: str
    verdict: str
    score: Score
    why: str


@dataclass(frozen=True)
class Evidence:
    """What a judge is handed. scores: by key, as of `scoring.score`, more keys welcome.

    leaks: rows of test with a copy in train, None where nothing is known. unsearched: why there may be more of them.
    looks: openings of the test split, this one included. unsure: why there may have been more. against: (run, metric or
    None for the leading one) → (metric, this run minus that one on the same rows); it may raise InputError, whose
    sentence becomes the reason.
    """

    scores: Mapping[str, Score]
    leaks: int | None = None
    unsearched: str = ""
    looks: int | None = None
    unsure: str = ""
    against: Callable[[str, str | None], tuple[str, Difference]] | None = None


def check(gates: Mapping[str, Any], known: Iterable[str], several: bool = False) -> None:
    """Raise one InputError that names every bad rule and every metric that is not among the `known` keys.

    several: classes may apply to one row, or pixels are answered; then nothing is measured beside the metrics.
    """
    keys, misshapen = list(known), mistakes(gates)
    each = sorted({f"{key.partition('[')[0]}{EACH}" for key in keys if "[" in key})
    names = [*keys, *each, *(() if several else BESIDE), *COUNTS, RIVAL]
    whole = [key for key in keys if "[" not in key]
    shown = [*whole, *each, *(key for key in keys if "[" in key)]
    unknown = [metric for metric in gates if metric not in names]
    found = [f"gates: no metric {key!r}{_hint(str(key), names)}; known: {listed(shown)}" for key in unknown]
    if not any(sentence.startswith(f"gates.{RIVAL}:") for sentence in misshapen):
        for rival in rivals(gates):
            if rival.metric is not None and rival.metric not in whole:
                hint = f"no metric {rival.metric!r}{meant(rival.metric, whole)}; known here: {listed(whole)}"
                found.append(f"gates.{RIVAL}: {hint}")
    if found or misshapen:
        raise InputError("\n".join(found + misshapen))


def _hint(key: str, names: list[str]) -> str:
    """Of a probe that there is, what it measures; else the name that is spelt most alike."""
    own = [name for name in names if key.startswith(PROBE) and name.split(".")[:2] == key.split(".")[:2]]
    return f" (did you mean {own[0]!r}?)" if own and not meant(key, own) else meant(key, own or names)


def judge(gates: Mapping[str, Any], evidence: Evidence) -> list[Verdict]:
    """One verdict per rule, in the gates' order, one per run of no_worse_than. Raises InputError (see `check`)."""
    check(gates, evidence.scores)
    found: list[Verdict] = []
    for key, rule in gates.items():
        if key == RIVAL:
            found += [_compared(rival, evidence) for rival in rivals(gates)]
        elif key in COUNTS:
            found.append(_counted(key, at_most(rule), evidence))
        elif key in evidence.scores or not key.endswith(EACH):
            found.append(_judged(key, rule, evidence.scores.get(key, Score(None, None, None, 0, "not measured"))))
        else:
            found.append(_each(key, rule, evidence.scores))
    return found


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 when all gates pass, 1 when any fails, else 3: cannot be decided with this many rows."""
    outcomes = {verdict.verdict for verdict in verdicts}
    return 1 if FAIL in outcomes else 3 if UNCLEAR in outcomes else 0


def _judged(metric: str, rule: str, score: Score) -> Verdict:
    sign, threshold = parse(rule, metric.partition("[")[0])
    if score.value is None or score.low is None or score.high is None:
        return Verdict(metric, rule, UNCLEAR, score, f"{metric} has no value here ({score.method}).")
    outcome = _outcome(score, sign, threshold)
    ending = {
        PASS: f"all of it is {sign} {threshold:g}.",
        FAIL: f"none of it is {sign} {threshold:g}.",
        UNCLEAR: f"{threshold:g} lies inside{_rows_needed(score, threshold)}.",
    }
    return Verdict(metric, rule, outcome, score, f"{metric} is {_fact(score)}: {ending[outcome]}")


def _each(key: str, rule: str, scores: Mapping[str, Score]) -> Verdict:
    """Every class by its own interval: fail when any class fails, pass when all pass."""
    metric = key.removesuffix(EACH)
    sign, _ = parse(rule, metric)
    mine = {name[len(metric) + 1 : -1]: score for name, score in scores.items() if name.startswith(f"{metric}[")}
    found = {name: _judged(f"{metric}[{name}]", rule, score) for name, score in mine.items()}
    outcomes = {verdict.verdict for verdict in found.values()}
    outcome = FAIL if FAIL in outcomes else UNCLEAR if UNCLEAR in outcomes else PASS
    deciding = [name for name, verdict in found.items() if verdict.verdict == outcome]
    first = max(deciding, key=lambda name: _badness(mine[name], sign, outcome))
    if outcome == PASS:
        return Verdict(key, rule, outcome, mine[first], f"Every class passes; the nearest: {found[first].why}")
    says = "fails" if outcome == FAIL else "cannot be told"
    others = [name for name in deciding if name != first]
    more = f" The same goes for {counted(len(others), 'class')}: {listed(others, SHOWN)}." if others else ""
    return Verdict(key, rule, outcome, mine[first], f"{first} {says}: {found[first].why}{more}")


def _badness(score: Score, sign: str, outcome: str) -> float:
    """The worst class speaks for all; one without a value speaks before it.

    Classes that pass do so by the end of their interval, so of them the end nearest to the threshold is the worst.
    """
    high = ">" not in sign
    part = (score.high if high else score.low) if outcome == PASS else score.value
    return math.inf if part is None else part if high else -part


def _counted(key: str, most: int, evidence: Evidence) -> Verdict:
    """At most so many; a count needs no interval, but somebody who vouches for it.

    A count that is not vouched for is a least one: it can break the rule, and cannot keep it.
    """
    count = evidence.leaks if key == "leaks" else evidence.looks
    rule = f"<= {most}"
    if count is None:
        return Verdict(key, rule, UNCLEAR, Score(None, None, None, 0, "not counted"), f"{key} were not counted here.")
    score = Score(float(count), None, None, count, "count")
    fact = f"{counted(count, 'row')} of test {'has' if count == 1 else 'have'} a copy in train"
    doubt, least = evidence.unsearched, ", as far as was searched"
    if key == "looks":
        fact = f"The test split has been opened {counted(count, 'time')}"
        doubt, least = evidence.unsure, " at least"
    outcome = FAIL if count > most else UNCLEAR if doubt else PASS
    said = f"{fact}{least * bool(doubt)}; at most {most:,} allowed."
    return Verdict(key, rule, outcome, score, f"{said} {doubt}." if doubt else said)


def _compared(rival: Rival, evidence: Evidence) -> Verdict:
    """Non-inferiority on the same rows: how far this run may lie behind is judged on the interval of the difference."""
    nothing = Score(None, None, None, 0, "not compared")
    if evidence.against is None:
        return Verdict(RIVAL, str(rival), UNCLEAR, nothing, f"{rival.run} was not compared here.")
    try:
        metric, apart = evidence.against(rival.run, rival.metric)
    except InputError as error:
        return Verdict(RIVAL, str(rival), UNCLEAR, nothing, f"{rival.run} cannot be compared: {error}.")
    value, low, high = apart.value, apart.low, apart.high
    if less_is_better(metric):
        value, low, high = -value, -high, -low
    score = Score(value, low, high, apart.n, apart.method)
    outcome = PASS if low > -rival.margin else FAIL if high < -rival.margin else UNCLEAR
    better = " (less is better, so a plus is a gain)" if less_is_better(metric) else ""
    fact = f"{metric} is {value:+.4f} from that of {rival.run}{better}, interval {low:+.4f} to {high:+.4f} on the same "
    ending = {
        PASS: f"all of it is above {-rival.margin:g}.",
        FAIL: f"all of it is below {-rival.margin:g}.",
        UNCLEAR: f"{-rival.margin:g} lies inside{_rows_needed(score, -rival.margin)}.",
    }
    return Verdict(
        RIVAL, str(rival), outcome, score, f"{fact}{counted(apart.n, noun(apart.method))}: {ending[outcome]}"
    )


def _outcome(score: Score, sign: str, threshold: float) -> str:
    assert score.low is not None and score.high is not None
    holds = SIGNS[sign]
    worst, best = (score.low, score.high) if ">" in sign else (score.high, score.low)
    return PASS if holds(worst, threshold) else UNCLEAR if holds(best, threshold) else FAIL


def _fact(score: Score) -> str:
    return f"{score.value:.4f}, interval {score.low:.4f} to {score.high:.4f}, n = {score.n:,}"


def _rows_needed(score: Score, threshold: float) -> str:
    """How many would settle it four times in five if the value stayed; n is not the number of rows for every metric."""
    assert score.value is not None and score.low is not None and score.high is not None
    gap = abs(score.value - threshold)
    half = score.value - score.low if threshold < score.value else score.high - score.value
    if gap == 0 or (half / gap) ** 2 > MOST_ROWS:
        return ", too close to the value for any test set to tell"
    return f"; about n = {rounded(rows_for(score.n, half, gap))} would be needed to tell"
