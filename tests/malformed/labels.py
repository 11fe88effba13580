"""Malformed labels where several classes may apply: lists, cells with a separator, one column per class."""

from __future__ import annotations

import json
from typing import Any

from tests.malformed.case import Case, refused
from tests.malformed.case import read as whole
from tests.malformed.tables import csv

SETS = [["a", "b"], ["b"], [], ["a"]]
SEVERAL = {"multi_label": True}
CELLS = {"multi_label": True, "label_separator": "|"}
COLUMNS = {"multi_label": True, "label_columns": ["a", "b"]}
ROWS = [(f"row number {i}", SETS[i % 4]) for i in range(16)]
BASE = [(text, json.dumps(tags)) for text, tags in ROWS]
TABLE = [(text, "|".join(tags)) for text, tags in ROWS]
FLAGS = [(text, *(str(int(name in tags)) for name in "ab")) for text, tags in ROWS]


def lines(*labels: Any) -> dict[str, bytes]:
    """Sound rows of lists, and one more row for each label."""
    rows = [{"text": text, "label": tags} for text, tags in ROWS]
    rows += [{"text": f"odd {i}", "label": label} for i, label in enumerate(labels)]
    return {"rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()}


def only(*labels: Any) -> dict[str, bytes]:
    """Rows with these labels and no others, in turn."""
    rows = [{"text": f"row number {i}", "label": labels[i % len(labels)]} for i in range(16)]
    return {"rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()}


def cells(*extra: str) -> dict[str, bytes]:
    return {"rows.csv": csv(*extra, rows=TABLE)}


def flags(*extra: str, head: str = "text,a,b") -> dict[str, bytes]:
    return {"rows.csv": csv(*extra, rows=FLAGS, head=head)}


def read(name: str, files: dict[str, bytes], *odd: tuple[str, list[str]], data: dict[str, Any]) -> Case:
    return whole(
        name, files, *((text, json.dumps(tags, ensure_ascii=False)) for text, tags in odd), data=data, base=BASE
    )


LISTS = [
    read("lists", lines(), data=SEVERAL),
    read("a class twice in a list", lines(["b", "a", "b"]), ("odd 0", ["a", "b"]), data=SEVERAL),
    read("white space around a class in a list", lines([" a "]), ("odd 0", ["a"]), data=SEVERAL),
    read("a class with the signs of a list", lines(['["a", "b"]', "c"]), ("odd 0", ['["a", "b"]', "c"]), data=SEVERAL),
    read("a class with a comma", lines(["a, b", "a"]), ("odd 0", ["a", "a, b"]), data=SEVERAL),
    read("emoji in a list", lines(["🎉", "a"]), ("odd 0", ["a", "🎉"]), data=SEVERAL),
    refused("lists without multi_label", lines(), "column 'label' holds list in row 1: …type data.multi_label=true"),
    refused("null for a list", lines(None), "row 17: the label is missing", SEVERAL),
    refused("null in a list", lines(["a", None]), "holds ['a', None] in row 17: expected class names", SEVERAL),
    refused("empty text in a list", lines(["a", ""]), "holds ['a', ''] in row 17: expected class names", SEVERAL),
    refused("spaces for a class", lines(["  "]), "holds ['  '] in row 17: expected class names", SEVERAL),
    refused("lists in a list", only([["a"], ["b"]]), "holds [['a'], ['b']] in row 1: expected class names", SEVERAL),
    refused("objects in a list", only([{"name": "a"}]), "in row 1: expected class names", SEVERAL),
    refused("an object for a list", only({"a": 1, "b": 0}), "in row 1: expected a list of classes", SEVERAL),
    refused("vectors of 0 and 1", only([0, 1, 1], [1, 0, 0]), "lists of 0 and 1, 3 long…data.label_columns", SEVERAL),
    refused("vectors of true and false", only([True, False], [False, True]), "lists of 0 and 1, 2 long", SEVERAL),
    refused("vectors of shares", only([0.2, 0.8], [1.0, 0.0]), "holds 0.2 in row 1: expected classes, not", SEVERAL),
    refused("one class for a list", only("a", "b"), "holds 'a' in row 1: expected a list of classes", SEVERAL),
    refused("a number for a list", only(1, 2), "holds 1 in row 1: expected a list of classes", SEVERAL),
    refused("a list as text", only("['a', 'b']", "['a']"), "a list written as text; save the data as JSON", SEVERAL),
    refused("classes as one text", only("a;b", "a"), "holds 'a;b' in row 1: …data.label_separator=';'", SEVERAL),
    refused("empty lists only", only([]), "expected at least two classes, got no usable row", SEVERAL),
    refused("one class only in lists", only(["a"], []), "expected at least two classes, got 'a'", SEVERAL),
    refused("classes that differ by case", lines(["A"]), "'A' (1 row) and 'a' (8 rows)", SEVERAL),
]

SEPARATED = [
    read("cells with a separator", cells(), data=CELLS),
    read("spaces around the separator", cells("odd, b | a "), ("odd", ["a", "b"]), data=CELLS),
    read("separators at both ends", cells("odd,|b||"), ("odd", ["b"]), data=CELLS),
    read("a cell of separators", cells("odd,||"), ("odd", []), data=CELLS),
    read("a cell too few", cells("odd"), ("odd", []), data=CELLS),
    refused("a list as text in a cell", cells("odd,[a|b]"), "holds '[a|b]' in row 17, a list written as text", CELLS),
    refused("another separator", cells(), "';' stands in no label", CELLS | {"label_separator": ";"}),
    refused("no separator said", cells(), "holds 'a|b' in row 1: …type data.label_separator='|'", SEVERAL),
    refused("a separator without multi_label", cells(), "type data.multi_label=true", {"label_separator": "|"}),
    refused("an empty separator", cells(), "data.label_separator: …at least 1", CELLS | {"label_separator": ""}),
]

PER_CLASS = [
    read("one column per class", flags(), data=COLUMNS),
    read("true and false", flags("odd,true,FALSE"), ("odd", ["a"]), data=COLUMNS),
    read("spaces around 0 and 1", flags("odd, 1 , 0 "), ("odd", ["a"]), data=COLUMNS),
    read("1.0 for 1", flags("odd,1.0,0.0"), ("odd", ["a"]), data=COLUMNS),
    refused("2 in a column of 0 and 1", flags("odd,2,0"), "column 'a' holds 2 in row 17: expected 0 or 1", COLUMNS),
    refused("-1 in a column of 0 and 1", flags("odd,-1,0"), "column 'a' holds -1 in row 17: expected 0 or 1", COLUMNS),
    refused("a share in a column of 0 and 1", flags("odd,0.5,0"), "column 'a' holds 0.5 in row 17", COLUMNS),
    refused("a word in a column of 0 and 1", flags("odd,yes,0"), "column 'a' holds 'yes' in row 17", COLUMNS),
    refused("an empty cell of 0 and 1", flags("odd,,0"), "row 17: the label is missing", COLUMNS),
    refused("a column of a class is missing", flags(head="text,a,c"), "no column 'b'…data.label_columns", COLUMNS),
    refused("a column of a class twice", flags(), "names a column twice", COLUMNS | {"label_columns": ["a", "a"]}),
    refused("a single column of a class", flags(), "at least 2", COLUMNS | {"label_columns": ["a"]}),
    refused("columns without multi_label", flags(), "type data.multi_label=true", {"label_columns": ["a", "b"]}),
    refused("columns and a label", flags(), "leave one out", COLUMNS | {"columns": {"label": "a"}}),
    refused("columns of text for columns", flags(), "data.label_columns", COLUMNS | {"label_columns": "a,b"}),
]

CASES = LISTS + SEPARATED + PER_CLASS
