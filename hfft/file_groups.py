"""What a picture belongs to, read from the name of its file: the frames of one video, the slides of one patient.

In: rows with an `image`, and `Data`. Out: the same rows with `group`. It must not know how groups are dealt.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import datasets
import regex

from hfft.errors import InputError, brief, listed
from hfft.recipe import Data
from hfft.sources import shown

SECONDS = 20  # for all names together; `re` itself would never give up


def added(rows: datasets.Dataset, data: Data) -> datasets.Dataset:
    """The rows with the column `group`, as `data.group_pattern` finds it in file names, or in their paths below
    the folder that holds all of them; unchanged without one.

    Raises InputError where there are no names, or the pattern is not in one of them.
    """
    if data.group_pattern is None:
        return rows
    if "image" not in rows.column_names:
        raise InputError("data.group_pattern is for the names of picture files, and the rows are texts; leave it out")
    if "group" in rows.column_names:
        raise InputError("data.columns.group and data.group_pattern both say what rows belong to; leave one out")
    paths = [image["path"] or "" for image in rows["image"][:]]
    if not all(paths):
        raise InputError(
            f"{shown(data)}: data.group_pattern: a picture within a table has no file name; name the column that says "
            "what it belongs to: data.columns.group=NAME"
        )
    names = [Path(path).name for path in paths]
    groups = _groups(data.group_pattern, names)
    if not all(groups):  # a folder for each video says it, and not the names of its frames
        names = below(paths)
        groups = _groups(data.group_pattern, names)
    if strange := [name for name, group in zip(names, groups, strict=True) if not group]:
        raise InputError(
            f"{shown(data)}: data.group_pattern {data.group_pattern!r} finds no group in {len(strange):,} of "
            f"{len(names):,} file names, such as {listed(strange, 3)}"
        )
    return rows.add_column("group", groups, feature=datasets.Value("string"))


def below(paths: Sequence[str]) -> list[str]:
    """Paths as seen from the folder that holds all of the files, with "/" on every system."""
    root = os.path.commonpath([str(Path(path).parent) for path in paths])
    return [Path(os.path.relpath(path, root)).as_posix() for path in paths]


def _groups(pattern: str, names: Sequence[str]) -> list[str | None]:
    """The first group of the first match in each name. Raises InputError where looking takes too long."""
    try:
        wanted, ends = regex.compile(pattern, regex.VERSION0), time.monotonic() + SECONDS
        found = (wanted.search(name, timeout=max(ends - time.monotonic(), 0.001)) for name in names)
        return [match and match.group(1) for match in found]
    except TimeoutError as error:
        raise InputError(
            f"data.group_pattern {brief(pattern)} takes more than {SECONDS} s to look for in {len(names):,} file "
            "names: a repeat within a repeat, such as (a+)+, tries every way there is; write it with one"
        ) from error
    except regex.error as error:  # what `re` takes and `regex` does not
        raise InputError(f"data.group_pattern {brief(pattern)} is no regular expression ({error})") from error
