"""Malformed tables of text: encodings, cells, columns, files. One case a line or two."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from tests.malformed.case import BASE, Case, Content, read, refused

Rows = list[tuple[str, ...]]


def csv(*extra: str | bytes, rows: Rows = BASE, head: str = "text,label", sep: str = ",", end: str = "\n") -> bytes:
    """A table of sound rows, and lines after them as they stand."""
    lines = [head] * bool(head) + [sep.join(row) for row in rows]
    text = "".join(line + end for line in lines).encode()
    return text + b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in extra)


SOUND = csv()
NO_LABEL = "row 13: the label is missing…data.on_bad_rows=drop"
NO_TEXT = "row 13: the text is empty…data.on_bad_rows=drop"
NAMED = {"path": "csv", "data_files": "rows.csv"}

ENCODINGS = [
    read("utf-8 with BOM", {"rows.csv": b"\xef\xbb\xbf" + SOUND}),
    read("BOM and quoted header", {"rows.csv": b"\xef\xbb\xbf" + csv(head='"text",label')}),
    refused("two BOMs", {"rows.csv": b"\xef\xbb\xbf" * 2 + SOUND}, "rows.csv: no column 'text' (did you mean '\\ufefftext'?)"),
    refused("utf-16 LE", {"rows.csv": b"\xff\xfe" + SOUND.decode().encode("utf-16-le")}, "rows.csv: line 1 is not UTF-8…encoding=utf-16"),
    refused("utf-16 BE", {"rows.csv": b"\xfe\xff" + SOUND.decode().encode("utf-16-be")}, "rows.csv: line 1 is not UTF-8…encoding=utf-16"),
    read("utf-16, said so", {"rows.csv": SOUND.decode().encode("utf-16")}, data={"options": {"encoding": "utf-16"}}),
    refused("utf-32", {"rows.csv": SOUND.decode().encode("utf-32")}, "rows.csv: line 1 is not UTF-8…encoding=utf-32"),
    refused("latin-1", {"rows.csv": csv("naïve,good".encode("latin-1"))}, "rows.csv: line 14 is not UTF-8 (at byte 3)"),
    read("latin-1, said so", {"rows.csv": csv("naïve,good".encode("latin-1"))}, ("naïve", "good"), data={"options": {"encoding": "latin-1"}}),
    refused("cp1252", {"rows.csv": csv("“q”,good".encode("cp1252"))}, "rows.csv: line 14 is not UTF-8 (at byte 1); type data.options.encoding=cp1252"),
    refused("mixed bytes", {"rows.csv": csv("naïve,good", b"na\xefve,bad")}, "rows.csv: line 15 is not UTF-8 (at byte 3), but 1 other line is: the file mixes encodings"),
    refused("bad byte far down", {"rows.csv": csv(*["filler,good"] * 30_000, b"\xff,bad")}, "rows.csv: line 30,014 is not UTF-8"),
    refused("unknown encoding", {"rows.csv": SOUND}, "rows.csv: …unknown encoding: klingon", data={"options": {"encoding": "klingon"}}),
    read("NUL inside a cell", {"rows.csv": csv("a\0b,good")}, ("a\0b", "good")),
    refused("NULs at the end", {"rows.csv": SOUND + b"\0\0\0"}, "rows.csv: …row 13: "),
]  # fmt: skip

CELLS = [
    refused("a cell too many", {"rows.csv": csv("a,good,extra")}, "rows.csv: …Expected 2 fields in line 14, saw 3"),
    refused("a cell too many in the first row", {"rows.csv": csv(rows=[("x", "good", "y"), *BASE])}, "rows.csv: line 2 has 3 cells, the header 2"),
    refused("a row name without header", {"rows.csv": csv(rows=[(str(i), *row) for i, row in enumerate(BASE)])}, "rows.csv: line 2 has 3 cells, the header 2…data.options.index_col=null"),
    read("a row name, said so", {"rows.csv": csv(rows=[(str(i), *row) for i, row in enumerate(BASE)])}, data={"options": {"index_col": None}}),
    refused("a cell too few", {"rows.csv": csv("only text")}, "rows.csv: …" + NO_LABEL),
    read("separator at the end of rows", {"rows.csv": csv(rows=[(*row, "") for row in BASE])}),
    read("separator at the end of all lines", {"rows.csv": SOUND.replace(b"\n", b",\n")}),
    read("quoted line end", {"rows.csv": csv('"two\nlines",good')}, ("two\nlines", "good")),
    read("quotes inside a cell", {"rows.csv": csv('he said "x" twice,good')}, ('he said "x" twice', "good")),
    refused("quote that is not closed", {"rows.csv": csv('"open,good', "x,bad")}, "rows.csv: …EOF inside string starting at row 13"),
    refused("quote closed far below", {"rows.csv": csv('and "close",bad', head='text,label\n"open,good')}, "rows.csv: expected at least two classes, got 'bad'"),
    read("CRLF", {"rows.csv": csv(end="\r\n")}),
    read("CR", {"rows.csv": csv(end="\r")}),
    read("mixed line ends", {"rows.csv": SOUND.replace(b"\n", b"\r\n", 3)}),
    read("blank lines", {"rows.csv": csv(end="\n\n")}),
    read("a line of spaces", {"rows.csv": csv("   ")}),
    read("no line end at the end", {"rows.csv": SOUND.rstrip()}),
]  # fmt: skip

COLUMNS = [
    refused("header only", {"rows.csv": csv(rows=[])}, "rows.csv: there are no rows in it"),
    refused("header without line end", {"rows.csv": b"text,label"}, "rows.csv: there are no rows in it"),
    refused("no header", {"rows.csv": csv(head="")}, "rows.csv: no column 'text' for text…it has row number 0, bad"),
    refused("line ends only", {"rows.csv": b"\n\n\n"}, "rows.csv: …No columns to parse"),
    refused("zero bytes", {"rows.csv": b""}, "rows.csv: the file is empty (0 bytes)"),
    refused("semicolons", {"rows.csv": csv(head="text;label", sep=";")}, "rows.csv: no column 'text' for text…it has text;label; type data.options.sep=';'"),
    read("semicolons, said so", {"rows.csv": csv(head="text;label", sep=";")}, data={"options": {"sep": ";"}}),
    refused("tabs in a csv", {"rows.csv": csv(head="text\tlabel", sep="\t")}, "rows.csv: no column 'text'…type data.options.sep='\\t'"),
    refused("commas in a tsv", {"rows.tsv": SOUND}, "rows.tsv: no column 'text' for text…it has text,label"),
    refused("missing column", {"rows.csv": csv(head="text,class")}, "rows.csv: no column 'label' for label; it has text, class; type data.columns.label=NAME"),
    refused("column with spaces", {"rows.csv": csv(head="text, label ")}, "rows.csv: no column 'label' (did you mean ' label '?)"),
    refused("column in capitals", {"rows.csv": csv(head="Text,Label")}, "rows.csv: no column 'text' (did you mean 'Text'?)"),
    refused("column without a name", {"rows.csv": csv(head=",label")}, "rows.csv: no column 'text' for text…it has Unnamed: 0, label"),
    refused("two equal columns", {"rows.csv": csv(rows=[(*row, "z") for row in BASE], head="text,label,label")}, "rows.csv: there are two columns 'label', …label.1"),
    read("two equal columns, said so", {"rows.csv": csv(rows=[(*row, "z") for row in BASE], head="text,label,label")}, data={"columns": {"label": "label"}}),
    refused("one column for two roles", {"rows.csv": SOUND}, "data.columns: column 'text' is given to text, label", data={"columns": {"label": "text"}}),
    refused("column with no name asked for", {"rows.csv": SOUND}, "rows.csv: no column ''", data={"columns": {"text": ""}}),
    refused("unknown option", {"rows.csv": SOUND}, "data.options: csv has no option 'sepp'", data={"options": {"sepp": ";"}}),
    refused("pixels of a text", {"rows.csv": SOUND}, "rows.csv: data.pixels [2, 2] needs 4 columns", data={"pixels": [2, 2]}),
]  # fmt: skip

TEXTS = [
    refused("empty text", {"rows.csv": csv(",good")}, "rows.csv: …" + NO_TEXT),
    refused("white space", {"rows.csv": csv("  \t ,good")}, "rows.csv: …" + NO_TEXT),
    refused("no-break spaces", {"rows.csv": csv("\u00a0\u3000,good")}, "rows.csv: …" + NO_TEXT),
    refused("zero-width signs", {"rows.csv": csv("\u200b\ufeff\u2060\u200d,good")}, "rows.csv: …" + NO_TEXT),
    refused("control characters only", {"rows.csv": csv("\x01\x02,good")}, "rows.csv: …" + NO_TEXT),
    read("control characters", {"rows.csv": csv("x\x07y,bad")}, ("x\x07y", "bad")),
    read("a megabyte", {"rows.csv": csv("a" * 2**20 + ",good")}, ("a" * 2**20, "good")),
    read("right to left", {"rows.csv": csv("\u202eשלום,good", "مرحبا,סיווג")}, ("\u202eשלום", "good"), ("مرحبا", "סיווג")),
    read("emoji", {"rows.csv": csv("👩‍👩‍👧,🎉")}, ("👩‍👩‍👧", "🎉")),
    read("numbers for texts", {"rows.csv": csv("007,good", "1e5,bad", "nan,bad")}, ("007", "good"), ("1e5", "bad"), ("nan", "bad")),
    read("equal input, other label", {"rows.csv": csv("row number 0,good")}, ("row number 0", "good")),
    refused("one row", {"rows.csv": csv(rows=BASE[:1])}, "rows.csv: expected at least two classes, got 'bad'"),
    refused("two rows", {"rows.csv": csv(rows=BASE[:2])}, "rows.csv: 2 rows are too few"),
    refused("one class", {"rows.csv": csv(rows=BASE[::2])}, "rows.csv: expected at least two classes, got 'bad'"),
    refused("all rows equal", {"rows.csv": csv(rows=[("same", "good"), ("same", "bad")] * 6)}, "rows.csv: 12 rows with 1 different input are too few"),
    read("a class with one row", {"rows.csv": csv("x,rare")}, ("x", "rare")),
    refused("10,000 classes of one row", {"rows.csv": csv(rows=[(f"text {i}", f"c{i}") for i in range(10_000)])}, "rows.csv: 10,000 rows are too few"),
    read("4,000 classes of three rows", {"rows.csv": csv(rows=[(f"text {i}", f"c{i % 4_000}") for i in range(12_000)])}, base=[(f"text {i}", f"c{i % 4_000}") for i in range(12_000)]),
]  # fmt: skip


def at(path: str, content: Content, name: str, sentence: str = "") -> Case:
    """A file by another name, or something that is no file."""
    return refused(name, {path: content}, sentence) if sentence else read(name, {path: content})


FILES = [
    at("rows.csv", Path.mkdir, "folder called .csv", "rows.csv: no table is in this folder"),
    at("rows.csv", os.mkfifo, "pipe", "rows.csv: expected a file or folder, this is a pipe"),
    at("rows.csv", lambda path: path.symlink_to("rows.csv"), "link to itself", "rows.csv: …a link that leads nowhere"),
    at("rows.csv", lambda path: path.symlink_to("gone.csv"), "link to nothing", "rows.csv: …a link that leads nowhere"),
    at("my rows 1.csv", SOUND, "spaces in a file's name"),
    at("my\nrows.csv", SOUND, "line end in a file's name"),
    at("r🎉.csv", SOUND, "emoji in a file's name"),
    at("r[1]?*.csv", SOUND, "pattern signs in a file's name"),
    at("d[1]/rows.csv", SOUND, "pattern signs in a folder's name"),
    at("rows.csv.gz", SOUND, "unknown ending", "rows.csv.gz: unknown ending; expected one of csv, tsv"),
    at("rows.csv", gzip.compress(SOUND), "gzip called .csv"),
    at("rows.csv", b"PK\x03\x04" + bytes(range(256)), "zip called .csv", "rows.csv: the zip file is damaged (File is not a zip file"),
    at("rows.csv", b"PAR1" + bytes(range(256)) * 4, "parquet called .csv", "rows.csv: not readable as csv"),
    refused("truncated gzip", {"rows.csv.gz": gzip.compress(SOUND * 100)[:60]}, "rows.csv.gz: the gz file is damaged (Compressed file ended before", data={"path": "csv", "data_files": "rows.csv.gz"}),
    refused("folder in brackets", {"d[1]/rows.csv": SOUND}, "d[1]: a folder with [, ], * or ? in its name is not found", data={"path": "d[1]"}),
    refused("empty folder", {"d": Path.mkdir}, "d: no table is in this folder", data={"path": "d"}),
    read("this folder", {"rows.csv": SOUND}, data={"path": "."}),
    refused("folder for a file", {"d": Path.mkdir}, "d: expected a file, this is a folder", data=NAMED | {"data_files": "d"}),
    refused("path of 5,000 letters", {"rows.csv": SOUND}, "xxx…: no such file", data=NAMED | {"data_files": "x" * 5000}),
    refused("folder of 5,000 letters", {"rows.csv": SOUND}, "'xxx…File name too long", data={"path": "x" * 5000}),
    refused("path with a zero byte", {"rows.csv": SOUND}, "rows⟨U+0000⟩.csv: no such file", data={"path": "rows\0.csv"}),
    refused("path with half a character", {"rows.csv": SOUND}, "data.path: …unicode", words=("data.path=\udcff.csv",)),
    refused("empty path", {"rows.csv": SOUND}, "data.path: string should have at least 1 character", data={"path": ""}),
    *(refused(f"data_files {files}", {"rows.csv": SOUND}, said, data={"path": "csv", "data_files": files})
      for files, said in (([], "data.data_files names no file"), ({}, "data.data_files names no file"), ({"train": []}, "data.data_files names no file"),
                          ("", "data.data_files names no file"), ([5], "data.data_files: expected a file, a list of files"), ({"train": {"a": "b"}}, "data.data_files: expected a file"))),
]  # fmt: skip


def several(name: str, sentence: str, **files: bytes) -> Case:
    """A predefined split of several files."""
    data = {"path": "csv", "split": {"by": "predefined"}, "data_files": {split: f"{split}.csv" for split in files}}
    return refused(name, {f"{split}.csv": content for split, content in files.items()}, sentence, data=data)


OTHER = csv(rows=[("other x", "good"), ("other y", "bad")])
SPLITS = [
    refused("files with other columns", {"a.csv": SOUND, "b.csv": csv(head="txt,label")}, "a.csv, b.csv: the files do not have the same columns, but text, label, and txt, label", data={"path": "csv", "data_files": ["a.csv", "b.csv"]}),
    read("files with columns in another order", {"a.csv": SOUND, "b.csv": csv(rows=[("good", "x")], head="label,text")}, ("x", "good"), data={"path": "csv", "data_files": ["a.csv", "b.csv"]}),
    several("split with other columns", "test.csv: no column 'text'", train=SOUND, test=csv(head="txt,label")),
    several("class that train has not", "the validation split has classes that train has not: ugly", train=SOUND, validation=csv(rows=[("x", "ugly"), ("y", "good")]), test=OTHER),
    several("test with a header only", "test.csv: there are no rows in it", train=SOUND, validation=OTHER, test=csv(rows=[])),
    several("test of zero bytes", "test.csv: the file is empty", train=SOUND, validation=OTHER, test=b""),
    several("every row of train is in test, too", "the train split would be empty", train=SOUND, test=SOUND),
    several("no train", "expected a train split, got validation, test", validation=SOUND, test=SOUND),
    several("train with one class", "the train split has one class only, 'good'", train=csv(rows=[("x", "good"), ("y", "good")]), validation=csv(rows=[("v", "good"), ("w", "bad")]), test=OTHER),
    several("split that is none", "there is a split 'tset'", train=SOUND, tset=SOUND),
]  # fmt: skip

CASES = [*ENCODINGS, *CELLS, *COLUMNS, *TEXTS, *FILES, *SPLITS]
