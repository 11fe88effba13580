"""Labels have one identity, their name: names that a slip has doubled are found, and renamed where the recipe says so.

In: class names as read, and the recipe's `data.labels`. Out: nothing, or a refusal. It must not know of splits or
models.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from hfft.errors import InputError, counted, listed, meant

WHOLE = re.compile(r"^([+-]?\d+)\.0+$")


def folded(name: str) -> str:
    """What slips of the keyboard and of file formats leave alone: case, white space, Unicode form, "1.0" for 1.

    Leading zeros are kept: "01" and "1" are two codes.

    >>> folded(" Credit  CARD"), folded("1.0"), folded("01")
    ('credit card', '1', '01')
    """
    plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return WHOLE.sub(r"\1", plain)


def in_order_of(known: Sequence[str], labels: Sequence[str]) -> tuple[str, ...] | None:
    """Our names in the order of a checkpoint's, which may spell them otherwise; None when they are others.

    >>> in_order_of(["POSITIVE", "NEGATIVE"], ["negative", "positive"]), in_order_of(["cat"], ["dog"])
    (('positive', 'negative'), None)
    """
    if set(known) == set(labels):
        return tuple(known)
    spelt = {folded(label): label for label in labels}
    theirs = [folded(name) for name in known]
    return tuple(spelt[name] for name in theirs) if sorted(theirs) == sorted(spelt) else None


def check(before: Mapping[Any, int], mapping: Mapping[str, str | None], shown: str) -> None:
    """Raise InputError when the mapping renames a class that no row has, or when, after renaming, two classes differ
    by case, white space or the form of a number only. Names that the mapping writes are no slips.

    before: class → rows, as read; None for rows without one.
    """
    have = sorted(label for label in before if label is not None)
    for old in mapping:
        if old not in have:
            raise InputError(f"data.labels: {shown} has no class {old!r}{meant(old, have)}; it has {listed(have)}")
    count: Counter[str] = Counter()
    for label, n in before.items():
        name = None if label is None else mapping.get(label, label)
        if name is not None:
            count[name] += n
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(count):
        alike[folded(name)].append(name)
    written = set(mapping.values())
    doubled = [names for names in alike.values() if len(names) > 1 and not set(names) <= written]
    if not doubled:
        return
    found = "; ".join(
        " and ".join(f"{name!r} ({counted(count[name], 'row')})" for name in names) for names in doubled[:5]
    )
    more = f"; and {len(doubled) - 5} more" if len(doubled) > 5 else ""
    most = {name: max(names, key=lambda name: count[name]) for names in doubled for name in names}
    merge = ", ".join(f"{name!r}: {kept!r}" for name, kept in most.items() if name != kept)
    apart = ", ".join(f"{name!r}: {name!r}" for name in doubled[0])
    raise InputError(
        f"{shown}: classes differ by case, white space or the form of a number only: {found}{more}. "
        f"Merge them with data.labels: {{{merge}}}, or keep them apart with data.labels: {{{apart}}}"
    )
