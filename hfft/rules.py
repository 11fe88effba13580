"""The grammar of gates: what a recipe may ask of a model, before anything is known about metrics or classes.

In: the plain mapping under `gates:`. Out: rules, or sentences on what is wrong with them. Nothing here judges.

    f1_macro: ">= 0.70"              a metric, judged on its interval; "recall[spam]" of one class, ece: "<= 0.05"
    recall_per_class: ">= 0.50"      every class
    leaks: 0                         rows of test with a copy in train, at most
    looks: 3                         openings of the test split, at most
    no_worse_than: {run: runs/base, margin: 0.01, metric: f1_macro}        or a list of such
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hfft.errors import InputError, brief, listed, meant
from hfft.records import less_is_better

SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
RULE = re.compile(r"\s*(>=|<=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
EXAMPLE = "'>= 0.70'"
EACH = "_per_class"
COUNTS = ("leaks", "looks")
RIVAL = "no_worse_than"
RIVALS = "{run: runs/base, margin: 0.01}"
# Where a metric does not run from 0 to 1.
RANGES = {"log_loss": (0.0, math.inf), "brier": (0.0, 2.0), "mcc": (-1.0, 1.0), "kappa": (-1.0, 1.0)}


@dataclass(frozen=True)
class Rival:
    """A run that this one must not fall behind by more than `margin`. metric: None for the leading one."""

    run: str
    margin: float
    metric: str | None = None

    def __str__(self) -> str:
        return f"{self.run} by more than {self.margin:g}{f' of {self.metric}' if self.metric else ''}"


def parse(rule: object, metric: str = "") -> tuple[str, float]:
    """(sign, threshold) of a rule; raises InputError for one that is malformed or could never be broken or kept.

    metric: its name, where it may have another range than 0 to 1.

    >>> parse(">= 0.70")
    ('>=', 0.7)
    """
    if isinstance(rule, (int, float)) and not isinstance(rule, bool):
        sign = "<=" if less_is_better(metric) else ">="
        raise InputError(f"{rule!r} does not say in which direction; type '{sign} {rule:g}', in quotes")
    found = RULE.fullmatch(rule) if isinstance(rule, str) else None
    if not found:
        raise InputError(f"{rule!r} is not a rule: expected one of {listed(SIGNS)} and a share, such as {EXAMPLE}")
    sign, threshold = found[1], float(found[2])
    least, most = RANGES.get(metric, (0.0, 1.0))
    runs = f"metrics run from {least:g} to {most:g}" if metric not in RANGES else f"it runs from {least:g} to {most:g}"
    if most == 1 < threshold <= 100:
        raise InputError(f"{rule!r}: {runs}; for {threshold:g} % type '{sign} {threshold / 100:g}'")
    if not least <= threshold <= most:
        raise InputError(f"{rule!r}: {runs}, so the threshold must too, such as {EXAMPLE}")
    if (sign, threshold) in ((">", most), ("<", least)):
        raise InputError(f"{rule!r} can never be met: {runs}; type a threshold such as {EXAMPLE}")
    if less_is_better(metric) and ">" in sign:
        raise InputError(f"{rule!r}: of {metric}, less is better; type '{sign.replace('>', '<')} {threshold:g}'")
    return sign, threshold


def rivals(gates: Mapping[str, Any]) -> list[Rival]:
    """The runs of no_worse_than; raises InputError for the first that is malformed."""
    rules = gates.get(RIVAL, [])
    return [_rival(rule) for rule in (rules if isinstance(rules, list) else [rules])]


def at_most(rule: object) -> int:
    """The number of `leaks:` or `looks:`; raises InputError for anything else."""
    if isinstance(rule, bool) or not isinstance(rule, int) or rule < 0:
        raise InputError(f"expected a whole number from 0 on, the most that is allowed, got {brief(rule)}")
    return rule


def mistakes(gates: object) -> list[str]:
    """Every mistake that shows without knowing metrics and classes, one sentence each that names its key."""
    if not isinstance(gates, Mapping):
        return []  # the schema says so
    found = []
    for key, rule in gates.items():
        try:
            if key == RIVAL:
                if rule == []:
                    raise InputError(f"names no run; type {RIVALS}")
                rivals(gates)
            elif key in COUNTS:
                at_most(rule)
            else:
                parse(rule, str(key).removesuffix(EACH).partition("[")[0])
        except InputError as error:
            found.append(f"gates.{key}: {error}")
    return found


def _rival(rule: object) -> Rival:
    if not isinstance(rule, Mapping):
        raise InputError(f"expected {RIVALS}, or a list of such, got {brief(rule)}")
    known = ("run", "margin", "metric")
    if unknown := [key for key in rule if key not in known]:
        raise InputError(f"unknown key {unknown[0]}{meant(unknown[0], known)}; known here: {listed(known)}")
    if missing := [key for key in ("run", "margin") if key not in rule]:
        raise InputError(f"{missing[0]} is missing: expected {RIVALS}")
    run, margin, metric = rule["run"], rule["margin"], rule.get("metric")
    if not isinstance(run, str) or not run:
        raise InputError(f"run: expected the folder of a run, such as runs/base, got {brief(run)}")
    if isinstance(margin, bool) or not isinstance(margin, (int, float)):
        raise InputError(f"margin: expected a number, such as 0.01 for one point, got {brief(margin)}")
    if not 0 <= margin < 1:
        hint = f"; for {margin:g} points type {margin / 100:g}" if 1 <= margin <= 100 else ""
        raise InputError(f"margin: expected 0 to below 1, such as 0.01 for one point, got {margin:g}{hint}")
    if metric is not None and not isinstance(metric, str):
        raise InputError(f"metric: expected a metric's name, such as f1_macro, got {brief(metric)}")
    return Rival(run, float(margin), metric)
