"""Where in a file of rows the fault lies, once a library has failed to read it.

In: a file, and how it was to be read. Out: "line 13 …", or None where no fault is found. Libraries count bytes of
blocks or rows of batches; a person needs the line of the file. It must not know where the rows go.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from hfft.errors import counted

PICKLES = (".pkl", ".pickle", ".pck", ".dill", ".joblib", ".pt", ".pth", ".npy", ".npz")  # or what may hold one
NO_PICKLES = (
    "a pickle can run any code when it is opened, so hfft opens none; write it as csv, jsonl or parquet with the "
    "program that made it"
)
MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def encoding(path: Path) -> str | None:
    """Which line is not UTF-8, and what to type; a file that mixes encodings is not read right as any one of them."""
    first, signs, others = "", set[int](), 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
                others += not line.isascii()
            except UnicodeDecodeError as error:
                marks = [name for mark, name in MARKS.items() if number == 1 and line.startswith(mark)]
                if marks:
                    return f"line 1 is not UTF-8; type data.options.encoding={marks[0]}"
                first = first or f"line {number:,} is not UTF-8 (at byte {error.start + 1:,})"
                signs.update(line)
    if not first:
        return None
    if others:
        are = f"{counted(others, 'other line')} {'is' if others == 1 else 'are'}"
        return f"{first}, but {are}: the file mixes encodings; save it again as UTF-8"
    return f"{first}; type data.options.encoding={_single(bytes(signs))}, or what it is"


def _single(signs: bytes) -> str:
    """The likelier of two encodings of one byte a sign: 0x80 to 0x9f are curly quotes and dashes to Windows only."""
    try:
        signs.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252" if any(0x80 <= sign <= 0x9F for sign in signs) else "latin-1"


def cells(path: Path, separator: str) -> str | None:
    """Which line of a CSV file has more cells than the header."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
        width = len(next(reader, []))
        for row in reader:
            if len(row) > width:
                return f"line {reader.line_num:,} has {len(row)} cells, the header {width}"
    return None


def null(path: Path) -> bool:
    """Does a JSON file begin with null? pyarrow 25 ends the whole process on that."""
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"null")


def json_lines(path: Path) -> str | None:
    """Which line of a JSON file is broken, or no object: of an array, or of one object per line."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if lines and not text.lstrip().startswith("[") and isinstance(_value(lines[0][1])[0], dict):
        for number, line in lines:
            value, fault = _value(line)
            if fault := fault or _wrong(value):
                return f"line {number:,}{fault.removeprefix('line 1') if fault.startswith('line 1,') else ': ' + fault}"
        return None
    value, fault = _value(text)
    if fault or not isinstance(value, list):
        return fault or _wrong(value)
    found = ((number, _wrong(item)) for number, item in enumerate(value, 1))
    return next((f"row {number:,}: {fault}" for number, fault in found if fault), None)


def _value(text: str) -> tuple[Any, str | None]:
    """(the value of a JSON text, what is wrong with it)"""
    try:
        return json.loads(text, object_pairs_hook=_unique), None
    except json.JSONDecodeError as error:
        return None, f"line {error.lineno:,}, column {error.colno:,}: {error.msg[:1].lower()}{error.msg[1:]}"
    except RecursionError:
        return None, "nested too deeply"
    except ValueError as error:
        return None, str(error)


def _wrong(value: Any) -> str | None:
    """What keeps a value from being a row."""
    if not isinstance(value, dict):
        return 'expected an object such as {"text": …, "label": …}'
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        return f"\\u{ord(error.object[error.start]):x} is half a character"
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} is there twice")
    return made
