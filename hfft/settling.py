"""Can anything be learnt from these splits, and measured on them? What is refused, and what is only said.

In: rows per class and split. Out: the class names, and the report that goes into split.json. It must not know tables.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

from hfft.errors import InputError, counted, listed
from hfft.loading import class_names
from hfft.recipe import Data
from hfft.records import SplitReport
from hfft.sources import shown


def settled(
    counts: Mapping[str, Counter[str]],
    sizes: Mapping[str, int],
    report: SplitReport,
    declared: tuple[str, ...],
    data: Data,
    distinct: int | None = None,
    fixed: bool = False,
) -> tuple[tuple[str, ...], SplitReport]:
    """(class names, the report with counts per class); InputError where nothing can be learnt or measured.

    counts: split → class → rows, every split there. sizes: split → rows. distinct: how many different inputs there are,
    if known. fixed: the classes are those declared, whether or not train has them.
    """
    left = report.leaks["left_out"]
    why = f" ({counted(sum(left.values()), 'row')} left out as copies, see data.on_leak)" if any(left.values()) else ""
    for name, size in sizes.items():
        if not size:
            read = report.method["rows_read"]
            equal = f" with {counted(distinct, 'different input')}" if distinct and distinct < read else ""
            taken = "; a class that few groups have takes these into train" if data.split.by == "group" else ""
            raise InputError(
                f"{shown(data)}: {read:,} rows{equal} are too few: the {name} split would be empty{why}{taken}"
            )
    learnt = class_names(list(counts["train"]), declared)
    if len(learnt) < 2:
        only = f"one class only, {learnt[0]!r}" if learnt else "no class at all"
        raise InputError(f"{shown(data)}: the train split has {only}; expected at least two{why}")
    labels = declared if fixed else learnt
    findings = list(report.findings) + [
        f"no image of train has {label!r}: it cannot be learnt" for label in labels if label not in learnt
    ]
    for name in [name for name in counts if name != "train"]:
        if unknown := sorted(set(counts[name]) - set(labels)):
            leave = "leave these rows out" if not data.multi_label else "take the class from its rows"
            raise InputError(
                f"the {name} split has classes that train has not: {listed(unknown)}. Train has {listed(labels)}; "
                f"{name} has {listed(sorted(counts[name]))}{why}. To {leave}: data.labels: {{{unknown[0]!r}: null}}"
            )
        if absent := [label for label in labels if not counts[name][label]]:
            findings.append(f"no {'image' if fixed else 'row'} of {listed(map(repr, absent))} in {name}")
    full = {name: {label: count[label] for label in labels} for name, count in counts.items()}
    if not data.multi_label:
        return labels, dataclasses.replace(report, counts=full, findings=findings)
    if not fixed and (always := [label for label in labels if counts["train"][label] == sizes["train"]]):
        findings.append(f"every row of train has {listed(map(repr, always))}: nothing can be learnt about it")
    return labels, dataclasses.replace(report, counts=full, findings=findings, rows=dict(sizes))
