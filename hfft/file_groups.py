"""What a picture belongs to, read from the name of its file: the frames of one video, the slides of one patient.

In: rows with an `image`, and `Data`. Out: the same rows with `group`. It must not know how groups are dealt.
"""

from __future__ import annotations

import re
from pathlib import Path

import datasets

from hfft.errors import InputError, listed
from hfft.recipe import Data
from hfft.sources import shown


def added(rows: datasets.Dataset, data: Data) -> datasets.Dataset:
    """The rows with the column `group`, as `data.group_pattern` finds it in file names; unchanged without one.

    Raises InputError where there are no names, or the pattern is not in one of them.
    """
    if data.group_pattern is None:
        return rows
    if "image" not in rows.column_names:
        raise InputError("data.group_pattern is for the names of picture files, and the rows are texts; leave it out")
    if "group" in rows.column_names:
        raise InputError("data.columns.group and data.group_pattern both say what rows belong to; leave one out")
    names = [Path(image["path"] or "").name for image in rows["image"][:]]
    if not all(names):
        raise InputError(
            f"{shown(data)}: data.group_pattern: a picture within a table has no file name; name the column that says "
            "what it belongs to: data.columns.group=NAME"
        )
    found = [re.search(data.group_pattern, name) for name in names]
    groups = [match and match.group(1) for match in found]
    if strange := [name for name, group in zip(names, groups, strict=True) if not group]:
        raise InputError(
            f"{shown(data)}: data.group_pattern {data.group_pattern!r} finds no group in {len(strange):,} of "
            f"{len(names):,} file names, such as {listed(strange, 3)}"
        )
    return rows.add_column("group", groups, feature=datasets.Value("string"))
