"""Malformed JSON and Parquet files, and labels of every type: what a CSV file cannot hold."""

from __future__ import annotations

import datetime
import decimal
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.malformed.case import BASE, Case, read, refused

ROWS = [{"text": text, "label": label} for text, label in BASE]
NO_LABEL = "row 13: the label is missing"
NO_TEXT = "row 13: the text is empty"


def lines(*extra: str | bytes, rows: list[Any] = ROWS) -> bytes:
    """One JSON object per line, and lines after them as they stand."""
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return text + b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in extra)


def array(*extra: Any) -> bytes:
    return json.dumps([*ROWS, *extra]).encode()


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def line(name: str, odd: str | bytes, sentence: str) -> Case:
    """A thirteenth line that must be refused."""
    return refused(name, {"rows.jsonl": lines(odd)}, f"rows.jsonl: …{sentence}")


LINES = [
    line("line cut off", '{"text": "x", "label":', "line 13, column 23: expecting value"),
    line("comma at the end of an object", '{"text": "x", "label": "good",}', "line 13, column 31: "),
    line("single quotes", "{'text': 'x'}", "line 13, column 2: "),
    line("array for an object", '["x", "good"]', "line 13: expected an object"),
    line("text for an object", '"x"', "line 13: expected an object"),
    line("number for an object", "5", "line 13: expected an object"),
    line("null for an object", "null", NO_TEXT),
    line("key twice", '{"text": "x", "text": "y", "label": "good"}', "line 13: the key 'text' is there twice"),
    line("half a character", '{"text": "a\\ud800b", "label": "good"}', "line 13: \\ud800 is half a character"),
    line("half a character as a label", '{"text": "ab", "label": "\\udfff"}', "line 13: \\udfff is half a character"),
    line("half a character in bytes", b'{"text": "a\xed\xa0\x80b", "label": "good"}', "row 13: column 'text' is not UTF-8"),
    line("latin-1", b'{"text": "na\xefve", "label": "good"}', "row 13: column 'text' is not UTF-8"),
    line("NUL", '{"text": "a\0b", "label": "good"}', "line 13, column 12: invalid control character"),
    line("BOM in the middle", '\ufeff{"text": "x", "label": "good"}', "line 13, column 1: unexpected UTF-8 BOM"),
    line("3,000 brackets", '{"text": "x", "label": "good", "n": ' + "[" * 3000 + "]" * 3000 + "}", "line 13: nested too deeply"),
    line("missing text", '{"label": "good"}', NO_TEXT),
    line("missing label", '{"text": "x"}', NO_LABEL),
    line("text is null", '{"text": null, "label": "good"}', NO_TEXT),
    line("text is a number", '{"text": 5, "label": "good"}', "column for 'text' holds 5 in row 13: expected text"),
    line("text is a list", '{"text": ["a"], "label": "good"}', "column for 'text' holds ['a'] in row 13: expected text"),
    line("label is null", '{"text": "x", "label": null}', NO_LABEL),
    line("label is NaN", '{"text": "x", "label": NaN}', NO_LABEL),
    line("label is a list", '{"text": "x", "label": ["a"]}', "column 'label' holds list in row 13"),
    line("label is an object", '{"text": "x", "label": {"a": 1}}', "column 'label' holds dict in row 13"),
    line("label of 31 digits among texts", '{"text": "x", "label": 1' + "0" * 30 + "}", "changed from string to number"),
    read("number among text labels", {"rows.jsonl": lines('{"text": "x", "label": 1}')}, ("x", "1")),
    refused("numbers written in two ways", {"rows.jsonl": lines('{"text": "x", "label": "1.0"}', '{"text": "y", "label": "1"}')}, "'1' (1 row) and '1.0' (1 row)"),
    read("true among text labels", {"rows.jsonl": lines('{"text": "x", "label": true}')}, ("x", "True")),
    read("emoji as two halves", {"rows.jsonl": lines('{"text": "\\ud83d\\ude00", "label": "good"}')}, ("😀", "good")),
    read("NUL, escaped", {"rows.jsonl": lines('{"text": "a\\u0000b", "label": "good"}')}, ("a\0b", "good")),
    read("another key", {"rows.jsonl": lines('{"text": "x", "label": "good", "more": 1}')}, ("x", "good")),
    read("blank lines between", {"rows.jsonl": lines().replace(b"\n", b"\n\n")}),
    read("CRLF in json lines", {"rows.jsonl": lines().replace(b"\n", b"\r\n")}),
    read("BOM before json lines", {"rows.jsonl": b"\xef\xbb\xbf" + lines()}),
    refused("utf-16 json lines", {"rows.jsonl": lines().decode().encode("utf-16")}, "rows.jsonl: line 1 is not UTF-8…encoding=utf-16"),
]  # fmt: skip

DOCUMENTS = [
    read("array over many lines", {"rows.json": json.dumps(ROWS, indent=1).encode()}),
    read("json lines called .json", {"rows.json": lines()}),
    read("array called .jsonl", {"rows.jsonl": array()}),
    read("BOM before an array", {"rows.json": b"\xef\xbb\xbf" + array()}),
    read("number after text labels", {"rows.json": array({"text": "x", "label": 1})}, ("x", "1")),
    read("rows under a key, said so", {"rows.json": json.dumps({"data": ROWS}).encode()}, data={"options": {"field": "data"}}),
    refused("rows under a key", {"rows.json": json.dumps({"data": ROWS}).encode()}, "rows.json: no column 'text' for text…it has data"),
    refused("rows under another key", {"rows.json": json.dumps({"data": ROWS}).encode()}, "rows.json: not readable as json: 'rows'", data={"options": {"field": "rows"}}),
    refused("columns, not rows", {"rows.json": json.dumps({"text": ["a", "b"], "label": ["x", "y"]}).encode()}, "rows.json: column 'label' holds list in row 1"),
    refused("array cut off", {"rows.json": array()[:200]}, "rows.json: line 1, column 1…: unterminated string"),
    refused("comma at the end of an array", {"rows.json": array()[:-1] + b",]"}, "rows.json: line 1, column "),
    refused("array of arrays", {"rows.json": json.dumps([list(row) for row in BASE]).encode()}, "rows.json: no column 'label'"),
    refused("array of texts", {"rows.json": json.dumps([text for text, _ in BASE]).encode()}, "rows.json: no column 'label'"),
    refused("rows inside rows", {"rows.json": json.dumps([{"row": row} for row in ROWS]).encode()}, "rows.json: no column 'text' for text…it has row"),
    refused("a web page", {"rows.json": b"<html>404</html>"}, "rows.json: line 1, column 1: expecting value"),
    refused("empty array", {"rows.json": b"[]"}, "rows.json: there are no rows in it"),
    refused("empty object", {"rows.json": b"{}"}, "rows.json: there are no rows in it"),
    refused("white space", {"rows.json": b"  \n\n "}, "rows.json: "),
    refused("a number", {"rows.json": b"5"}, "rows.json: expected an object"),
    refused("a text", {"rows.json": b'"hello"'}, "rows.json: expected an object"),
    refused("null", {"rows.json": b"null"}, "rows.json: line 1 is null: expected an object"),
    refused("null, then rows", {"rows.jsonl": b"null\n" + lines()}, "rows.jsonl: line 1 is null: expected an object"),
    refused("null in a folder", {"d/rows.jsonl": b" null\n" + lines()}, "d/rows.jsonl: line 1 is null: expected an object", data={"path": "d"}),
    refused("json called .csv", {"rows.csv": lines()}, "rows.csv: no column 'text'"),
]  # fmt: skip

SOUND = parquet(text=[text for text, _ in BASE], label=[label for _, label in BASE])
BROKEN = [
    read("parquet", {"rows.parquet": SOUND}),
    refused("parquet with damaged pages", {"rows.parquet": SOUND[:60] + b"\xff" * 40 + SOUND[100:]}, "rows.parquet is damaged: no page of column 'text'"),
    *(refused(name, {"rows.parquet": content}, f"rows.parquet: {said}") for name, content, said in (
        ("parquet cut off", SOUND[:-20], "not readable as parquet: Parquet magic bytes not found"),
        ("parquet of 100 bytes", SOUND[:100], "not readable as parquet: "),
        ("parquet of one byte", b"P", "not readable as parquet: Parquet file size is 1 bytes"),
        ("parquet with another magic", SOUND[:-4] + b"XXXX", "not readable as parquet: "),
        ("parquet without rows", parquet(text=pa.array([], pa.string()), label=pa.array([], pa.string())), "there are no rows in it"),
        ("parquet of zero bytes", b"", "the file is empty (0 bytes)"),
        ("csv called .parquet", b"text,label\nx,y\n", "not readable as parquet: "),
    )),
]  # fmt: skip


def labels(name: str, values: list[Any], expected: list[str] | str) -> Case:
    """Twelve rows whose labels go through `values`; expected: the names they must get, or the sentence."""
    texts = [f"text {i}" for i in range(12)]
    files = {"rows.parquet": parquet(text=texts, label=[values[i % len(values)] for i in range(12)])}
    if isinstance(expected, str):
        return refused(name, files, f"rows.parquet: …{expected}")
    named = [(text, expected[i % len(expected)]) for i, text in enumerate(texts)]
    return read(name, files, *named, base=[])


LABELS = [
    labels("whole floats", [1.0, 2.0], ["1", "2"]),
    labels("negative numbers", [-1, 1], ["-1", "1"]),
    labels("booleans", [True, False], ["True", "False"]),
    labels("dates", [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)], ["2020-01-01", "2020-01-02"]),
    labels("times of day", [datetime.time(1), datetime.time(2)], ["01:00:00", "02:00:00"]),
    labels("decimals", [decimal.Decimal("1.50"), decimal.Decimal("2.50")], ["1.50", "2.50"]),
    labels("words for nothing", ["None", "nan", "NA", "null"], ["None", "nan", "NA", "null"]),
    labels("white space around", [" cat ", "cat", "dog"], ["cat", "cat", "dog"]),
    labels("capitals", ["Cat", "cat", "dog"], "'Cat' (4 rows) and 'cat' (4 rows)"),
    labels("accents in two forms", ["café", "cafe\u0301"], "classes differ by case"),
    labels("line end in a label", ["a\nb", "c"], ["a\nb", "c"]),
    labels("label that steers a terminal", ["a\x1b[31m", "b"], ["a\x1b[31m", "b"]),
    labels("label like a path", ["../a", "b/c"], ["../a", "b/c"]),
    labels("label of 5,000 letters", ["x" * 5000, "y"], ["x" * 5000, "y"]),
    labels("fractions", [0.5, 1.5], "column 'label' holds 0.5 in row 1: expected classes, not measurements"),
    labels("NaN among numbers", [1.0, 2.0, float("nan")], "row 3: the label is missing"),
    labels("infinity", [1.0, float("inf")], "column 'label' holds inf in row 2: expected classes"),
    labels("numbers too large to tell apart", [1e300, 2.0], "column 'label' holds 1e+300 in row 1"),
    labels("no label anywhere", [None], "row 1: the label is missing"),
    labels("no label in some rows", [True, False, None], "row 3: the label is missing"),
    labels("empty labels", ["a", "b", " "], "row 3: the label is missing"),
    labels("bytes", [b"good", b"bad"], "column 'label' holds bytes in row 1"),
    labels("lists", [["a"], ["b"]], "column 'label' holds list in row 1"),
    labels("objects", [{"a": 1}, {"a": 2}], "column 'label' holds dict in row 1"),
]  # fmt: skip


def texts(name: str, column: Any, sentence: str = "") -> Case:
    """Twelve texts of another type."""
    files = {"rows.parquet": parquet(text=column, label=["bad", "good"] * 6)}
    return refused(name, files, f"rows.parquet: {sentence}") if sentence else read(name, files)


PLAIN = pa.array([text for text, _ in BASE])
BAD = pa.array([b"\xff%d" % i for i in range(12)])
TEXTS = [
    texts("texts as a dictionary", PLAIN.dictionary_encode()),
    texts("large texts", PLAIN.cast(pa.large_string())),
    texts("bytes for texts", BAD, "column for 'text' holds binary: expected text"),
    texts("numbers for texts", list(range(12)), "column for 'text' holds int64: expected text"),
    texts("lists for texts", [["a"]] * 12, "column for 'text' holds List(Value('string')): expected text"),
    texts("no text anywhere", [None] * 12, "12 rows cannot be used (row 1: the text is empty"),
    texts("bytes that are no text, called text", pa.Array.from_buffers(pa.string(), 12, BAD.buffers()), "row 1: column 'text' is not UTF-8"),
]  # fmt: skip


def split(name: str, expected: list[tuple[str, str]] | str, train: list[Any], test: list[Any]) -> Case:
    """Labels of train and test that do not have one type."""
    parts = {"train": train, "validation": train[:2], "test": test}
    made = {
        name: [{"text": f"{name} {i}", "label": label} for i, label in enumerate(part)] for name, part in parts.items()
    }
    data = {
        "path": "json",
        "split": {"by": "predefined"},
        "data_files": {name: f"{name}.jsonl" for name in reversed(made)},
    }
    files = {f"{name}.jsonl": lines(rows=rows) for name, rows in made.items()}
    if isinstance(expected, str):
        return refused(name, files, expected, data=data)
    rest = [(row["text"], str(row["label"])) for part in ("train", "validation") for row in made[part]]
    return read(name, files, *expected, data=data, base=rest)


SPLITS = [
    split("numbers in train, texts in test", [("test 0", "0"), ("test 1", "1")], [0, 1] * 6, ["0", "1"]),
    split("texts in train, numbers in test", [("test 0", "0"), ("test 1", "1")], ["0", "1"] * 6, [0, 1]),
    split("numbers in train, fractions in test", [("test 0", "0"), ("test 1", "1")], [0, 1] * 6, [0.0, 1.0]),
    split("numbers in train, names in test", "the test split has classes that train has not: one, zero", [0, 1] * 6, ["zero", "one"]),
    split("no labels in test", "test row 1: the label is missing", [0, 1] * 6, [None, None]),
    split("-1 for no label in test", "the test split has classes that train has not: -1", [0, 1] * 6, [-1, -1]),
]  # fmt: skip

CASES = [*LINES, *DOCUMENTS, *BROKEN, *LABELS, *TEXTS, *SPLITS]
