"""Why `datasets` could not read what a recipe names, as one sentence.

In: its error, and what was to be read. Out: the file and the line where they are known, and what to type. It reads
nothing but a few lines of a file that is at fault.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
from datasets.table import CastError

from hfft import faults, reaching, references
from hfft.errors import brief, listed
from hfft.recipe import Data

BUILDERS = {"csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "parquet": "parquet"}
FILES = (*BUILDERS.values(), "imagefolder", "text")
Files = dict[str, list[str]]  # split → files
NAME_MOST = 300  # characters that a data set of the Hub could have


def shown(data: Data) -> str:
    """The data as the recipe names it."""
    files = data.data_files.values() if isinstance(data.data_files, dict) else [data.data_files or data.path]
    return ", ".join(name for names in files for name in ([names] if isinstance(names, str) else names))


def local(files: Files | None) -> list[str]:
    """The files that are on this machine."""
    return [name for names in (files or {}).values() for name in names if references.is_file(name)]


def sentence(error: Exception, data: Data, builder: str, files: Files | None, options: dict[str, Any]) -> str:
    """The root cause of a loading failure in one line, with what to type where that is known."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    for name in local(files):
        if fault := _fault(Path(name), cause, builder, options):
            return f"{name}: {fault}"
    text = " ".join(str(cause).split())[:300] or type(cause).__name__
    what = ", ".join(local(files)) or shown(data)
    if isinstance(cause, UnicodeDecodeError):
        return f"{what}: not UTF-8; type data.options.encoding=latin-1, or what it is"
    if isinstance(cause, CastError):
        columns = f"{listed(cause.requested_column_names)}, and {listed(cause.table_column_names)}"
        return f"{what}: the files do not have the same columns, but {columns}"
    if "corresponds to no data" in text or "BatchSize must be greater than 0" in text:
        return f"{what}: there are no rows in it"
    if option := re.search(r"unexpected keyword argument '(.*)'", text):
        return f"data.options: {builder} has no option {option[1]!r}"
    return _folder_sentence(error, data, builder) or _builder_sentence(error, text, builder, what)


def _fault(path: Path, cause: BaseException, builder: str, options: dict[str, Any]) -> str | None:
    if isinstance(cause, UnicodeDecodeError):
        return faults.encoding(path)
    if isinstance(cause, pd.errors.ParserWarning):
        found = faults.cells(path, str(options.get("sep", ",")))
        return found and f"{found}; where the first cell is a row's name, type data.options.index_col=null"
    if builder == "json" and "field" not in options:
        return faults.json_lines(path)
    return None


def _folder_sentence(error: Exception, data: Data, builder: str) -> str | None:
    if not (Path(builder).is_absolute() and isinstance(error, FileNotFoundError)):
        return None
    if any(sign in builder for sign in "[]*?"):
        return (
            f"{shown(data)}: a folder with [, ], * or ? in its name is not found; name its files: data.data_files=FILE"
        )
    return f"{shown(data)}: no table is in this folder; expected {listed(BUILDERS)} files"


def _builder_sentence(error: Exception, text: str, builder: str, what: str) -> str:
    if builder in FILES:
        if "://" in what:
            return (
                f"{what}: cannot be fetched ({text}); fetch the file where there is a network, bring it here and type "
                "data.data_files=FILE (docs/offline.md)"
            )
        return f"{what}: not readable as {builder}: {text}"
    if len(builder) > NAME_MOST:
        return f"{brief(builder)} is neither a local file nor folder: File name too long"
    if why := reaching.why():
        return (
            f"{brief(builder)} is neither a local file nor folder, and the Hugging Face Hub cannot be reached: {why}; "
            f"{references.brought(builder, 'dataset')}"
        )
    return f"{brief(builder)}: the data set cannot be loaded: {text}"
