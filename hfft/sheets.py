"""CSV files for people: what a spreadsheet opens as it stands, and runs nothing of.

In: columns and rows. Out: a file, UTF-8 with a byte order mark, which spreadsheets need to read it as such.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hfft.records import write_whole

# What spreadsheets take for the beginning of a formula, the wide forms included, which some of them narrow.
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """One line per row; a column that a row has not is left empty. Lone surrogates, which UTF-8 has not, are spelt."""

    def save(target: Path) -> None:
        with target.open("w", encoding="utf-8-sig", newline="", errors="backslashreplace") as file:
            lines = csv.writer(file)
            lines.writerow(columns)
            lines.writerows([harmless(row.get(column)) for column in columns] for row in rows)

    write_whole(path, save)


def harmless(cell: Any) -> Any:
    """A text that no spreadsheet takes for a formula: one apostrophe goes before what might be one.

    A text that begins with an apostrophe gets one, too. So taking one leading apostrophe away, where there is one,
    always gives the text back.

    >>> [harmless(cell) for cell in ("=1+1", " @you", "'tis", "plain", 0.5, None)]
    ["'=1+1", "' @you", "''tis", 'plain', 0.5, '']
    """
    if not isinstance(cell, str):
        return "" if cell is None else cell
    return "'" + cell if cell.startswith("'") or cell.lstrip().startswith(FORMULA) else cell
