"""Data in: whatever people have becomes the same table, or one sentence that says what to type."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hfft import loading
from hfft.errors import InputError
from hfft.loading import class_names, read
from hfft.modalities import image_classification, text_classification
from hfft.recipe import Data, Split

TEXTS = [("good", "a"), ("bad", "b"), ("fine", "a")]


def texts(path: str, **options) -> loading.Table:
    return read(Data(path, **options), text_classification)


def images(path: str, **options) -> loading.Table:
    return read(Data(path, **options), image_classification)


def refused(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def pairs(table: loading.Table, column: str = "text") -> list[tuple[object, str]]:
    return list(zip(table.rows[column][:], table.rows["label"][:], strict=True))


def png(colour: object, mode: str = "RGB", size: tuple[int, int] = (4, 4), format: str = "PNG") -> bytes:
    import io

    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, format)
    return out.getvalue()


@pytest.fixture
def picture(tmp_path):
    def write(name: str, data: bytes | str = "red") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(data) if isinstance(data, str) else data)
        return str(path)

    return write


# --- the same rows in every format


def as_file(kind: str, write_text, tmp_path) -> str:
    rows = [{"text": text, "label": label} for text, label in TEXTS]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
        return str(tmp_path / "data.parquet")
    separator = "\t" if kind == "tsv" else ","
    lines = {
        "csv": [separator.join(row) for row in [("text", "label"), *TEXTS]],
        "tsv": [separator.join(row) for row in [("text", "label"), *TEXTS]],
        "json": [json.dumps(rows)],
        "jsonl": [json.dumps(row) for row in rows],
    }[kind]
    return write_text(f"data.{kind}", "\n".join(lines) + "\n")


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_every_format_named_directly_or_as_data_files(kind, write_text, tmp_path, snapshot):
    path = as_file(kind, write_text, tmp_path)
    before = snapshot()
    direct, named = texts(path), texts(kind, data_files=path)
    assert pairs(direct) == pairs(named) == TEXTS
    assert direct.rows["id"][:] == named.rows["id"][:]
    assert set(direct.rows.column_names) == {"text", "label", "id", "key"}
    assert (direct.declared, direct.dropped) == ((), ())
    assert snapshot() == before, "no input file is changed, and none is added"


def test_ids_are_the_same_whatever_the_format(write_text, tmp_path):
    ids = [texts(as_file(kind, write_text, tmp_path)).rows["id"][:] for kind in ("csv", "jsonl", "parquet")]
    assert ids[0] == ids[1] == ids[2]


def test_several_files_are_pooled_and_dictionaries_are_splits(tiny_csv):
    one, two = tiny_csv(*TEXTS[:2], name="one.csv"), tiny_csv(*TEXTS[2:], name="two.csv")
    assert pairs(texts("csv", data_files=[one, two])) == TEXTS
    pooled = texts("csv", data_files={"train": one, "anything": two})
    assert pairs(pooled) == TEXTS and "split" not in pooled.rows.column_names
    parted = texts("csv", data_files={"train": one, "val": two}, split=Split(by="predefined"))
    assert parted.rows["split"][:] == ["train", "train", "validation"]
    wrong = refused(texts, "csv", data_files={"train": one, "odd": two}, split=Split(by="predefined"))
    assert "there is a split 'odd'; expected data_files: {train: FILE, validation: FILE, test: FILE}" in wrong


def test_patterns_and_home_folders(tiny_csv, tmp_path, monkeypatch):
    tiny_csv(*TEXTS, name="one.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pairs(texts("csv", data_files=str(tmp_path / "o*.csv"))) == TEXTS
    assert pairs(texts("csv", data_files="~/one.csv")) == pairs(texts("~/one.csv")) == TEXTS


def test_a_folder_of_files_reads_like_the_files(tiny_csv, tmp_path):
    rows = [("x", "NA"), ("y", "01"), ("z", "1")]
    assert pairs(texts(tiny_csv(*rows, name="folder/train.csv"))) == rows
    assert pairs(texts(str(tmp_path / "folder"))) == rows


def test_a_pattern_that_nothing_matches(tiny_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = tiny_csv(*TEXTS, name="one.csv")
    for files in ("none*.csv", [one, "none*.csv"], {"train": one, "test": "none*.csv"}):
        message = refused(texts, "csv", data_files=files)
        assert message == f"none*.csv: no file matches this pattern (current folder: {tmp_path})"


def table_file(path, **columns) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_a_folder_of_parquet_files_with_a_stray_csv(tiny_csv, tmp_path):
    for name, text in (("a", "x"), ("b", "y")):
        table_file(tmp_path / f"folder/{name}.parquet", text=[text], label=[name])
    tiny_csv(("other", "c"), name="folder/notes.csv")
    assert pairs(texts(str(tmp_path / "folder"))) == [("x", "a"), ("y", "b")]


def test_a_folder_of_csv_files_with_a_stray_parquet(tiny_csv, tmp_path):
    tiny_csv(("x", "NA"), name="folder/a.csv")
    tiny_csv(("y", "01"), name="folder/b.csv")
    table_file(tmp_path / "folder/c.parquet", text=["z"], label=["c"])
    assert pairs(texts(str(tmp_path / "folder"))) == [("x", "NA"), ("y", "01")]


def test_tables_without_a_header_keep_their_text(write_text):
    path = write_text("plain.csv", "07,01\nNA,1\n")
    columns = {"text": "0", "label": "1"}
    assert pairs(texts(path, columns=columns, options={"header": None})) == [("07", "01"), ("NA", "1")]
    columns = {"text": "words", "label": "mood"}
    options = {"header": None, "names": ["words", "mood"]}
    assert pairs(texts(path, columns=columns, options=options)) == [("07", "01"), ("NA", "1")]


# --- parts of a data set


def test_what_is_no_table_is_refused(tiny_csv):
    path = tiny_csv(*TEXTS)
    for options in ({"streaming": True}, {"streaming": True, "split": "train"}):
        told = refused(texts, path, options=options)
        assert told == "data.options.streaming: write data.streaming: true instead"
    told = refused(texts, path, options={"split": ["train", "train"]})
    assert told == "data.options.split: expected one text, such as train or train+test, got several"
    assert pairs(texts(path, options={"split": "train[:2]"})) == TEXTS[:2]


def test_predefined_splits_among_others(tmp_path, tiny_csv):
    """As in IMDB, whose third split is `unsupervised`."""
    tiny_csv(*TEXTS, name="set/train.csv")
    tiny_csv(*TEXTS[:2], name="set/test.csv")
    tiny_csv(("x", ""), ("y", ""), ("z", ""), name="set/extra.csv")
    cards = "".join(
        f"  - {{split: {s}, path: {f}.csv}}\n" for s, f in (("train",) * 2, ("test",) * 2, ("more", "extra"))
    )
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{cards}---\n")
    folder, predefined = str(tmp_path / "set"), Split(by="predefined")
    table = texts(folder, split=predefined)
    assert table.rows["split"][:] == ["train"] * 3 + ["test"] * 2
    why = "data.split.by is predefined, which takes train, validation and test"
    assert table.dropped == (f"the split 'more' (3 rows) is not used: {why}",)
    assert pairs(texts(folder, options={"split": "train+test"})) == TEXTS + TEXTS[:2], "any of them can be pooled"
    assert "more row 1: the label is missing" in refused(texts, folder)
    both = refused(texts, folder, split=predefined, options={"split": "train"})
    assert both.startswith("data.options.split picks parts, but data.split.by is predefined")
    (tmp_path / "set" / "README.md").write_text(
        "---\nconfigs:\n- {config_name: default, data_files: [{split: test, path: test.csv}]}\n---\n"
    )
    assert refused(texts, folder, split=predefined).endswith("expected a train split, got test")


def test_tabs_whatever_the_ending(write_text):
    path = write_text("data.txt", "text\tlabel\na, b\tx\nc\ty\n")
    assert pairs(texts("tsv", data_files=path)) == [("a, b", "x"), ("c", "y")]


# --- columns


def test_columns_by_role_and_what_is_left_behind(tiny_csv):
    path = tiny_csv(("1", "hi", "m"), ("2", "ho", "n"), header=("text", "tweet", "mood"))
    table = texts(path, columns={"text": "tweet", "label": "mood"})
    assert pairs(table) == [("hi", "m"), ("ho", "n")]


def test_pairs_of_texts(tiny_csv):
    header = ("text", "text_pair", "label")
    rows = [("a", "b", "x"), ("b", "a", "y"), ("a", "", "x")]
    table = texts(tiny_csv(*rows, header=header))
    assert table.rows["text_pair"][:] == ["b", "a", None]
    assert len(set(table.rows["key"][:])) == 3, "order and presence of the second text matter"
    swapped = texts(
        tiny_csv(*rows, header=header), columns={"text": "text_pair", "text_pair": "text"}, on_bad_rows="drop"
    )
    assert swapped.rows["text"][:] == ["b", "a"] and swapped.rows["text_pair"][:] == ["a", "b"]
    single = texts(tiny_csv(*rows[:2], header=header), columns={"text": "text_pair"})
    assert "text_pair" not in single.rows.column_names, "its column has been given away"


def test_wrong_columns_name_the_nearest(tiny_csv):
    path = tiny_csv(*TEXTS, header=("txet", "label"))
    sentence = (
        f"{path}: no column 'text' (did you mean 'txet'?) for text; it has txet, label; type data.columns.text=NAME"
    )
    assert refused(texts, path) == sentence
    wrong = refused(texts, path, columns={"txt": "txet"})
    assert (
        wrong == "data.columns: no role 'txt' (did you mean 'text'?); this task has text, text_pair, label, group, time"
    )
    twice = refused(texts, path, columns={"text": "label"})
    assert twice == "data.columns: column 'label' is given to text, label"
    assert "no column 'second' for text_pair" in refused(texts, path, columns={"text": "txet", "text_pair": "second"})
    both = refused(texts, path, columns={"text": "comment", "label": "lable"})
    assert (
        "no column 'comment' for text; no column 'lable' (did you mean 'label'?) for label; it has txet, label" in both
    )
    assert both.endswith("type data.columns.text=NAME data.columns.label=NAME")


def test_columns_that_hold_something_else(write_text):
    numbers = write_text("n.jsonl", '{"text": 1, "label": "a"}\n{"text": 2, "label": "b"}\n')
    assert refused(texts, numbers) == f"{numbers}: column for 'text' holds int64: expected text"
    lists = write_text("l.jsonl", '{"text": "x", "label": ["a"]}\n{"text": "y", "label": ["b"]}\n')
    told = f"{lists}: column 'label' holds list in row 1: expected one class per row"
    assert refused(texts, lists) == told + "; where several may apply, type data.multi_label=true"
    measured = write_text("m.jsonl", '{"text": "x", "label": 0.5}\n{"text": "y", "label": 1}\n')
    told = f"{measured}: column 'label' holds 0.5 in row 1: expected classes, not measurements"
    assert refused(texts, measured) == told
    assert refused(images, numbers, columns={"image": "text"}).endswith("expected images or paths")


# --- labels have one identity: their name


@pytest.mark.parametrize("odd", ["NA", "None", "no", "01", "1.0", "nan", "null", "True", "-", "1e5"])
def test_csv_keeps_the_text_of_labels_and_texts(odd, tiny_csv):
    assert pairs(texts(tiny_csv((odd, odd), ("x", "other")))) == [(odd, odd), ("x", "other")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, 10], ["1", "0", "10"]),
        ([1.0, 0.0, 10.0], ["1", "0", "10"]),
        ([True, False, True], ["True", "False", "True"]),
        (["a", " b ", "c"], ["a", "b", "c"]),
    ],
)
def test_labels_become_names(values, expected, tmp_path):
    pq.write_table(pa.table({"text": ["x", "y", "z"], "label": values}), tmp_path / "d.parquet")
    assert texts(str(tmp_path / "d.parquet")).rows["label"][:] == expected


def test_the_order_of_classes(tmp_path):
    import datasets

    assert class_names(["10", "9", "b", "a", "9"], ()) == ("9", "10", "a", "b")
    assert class_names(["b", "a"], ("c", "b", "a")) == ("b", "a"), "declared, and only those that occur"
    assert class_names(["b", "z"], ("c", "b")) == ("b", "z"), "a name outside the declaration: by name"
    feature = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["z", "y", "x"])})
    rows = datasets.Dataset.from_dict({"text": ["1", "2", "3"], "label": [2, 0, -1]}, features=feature)
    rows.to_parquet(tmp_path / "d.parquet")
    table = texts(str(tmp_path / "d.parquet"), on_bad_rows="drop")
    assert (table.declared, table.rows["label"][:]) == (("z", "y", "x"), ["x", "z"])
    assert class_names(table.rows["label"][:], table.declared) == ("z", "x")
    assert table.dropped[0].endswith("1 row cannot be used (row 3: the label is missing)")


# --- rows that cannot be used


def test_bad_rows_are_told_by_number_or_dropped(tiny_csv):
    rows = [("good", "a"), ("", "a"), ("   ", "b"), ("fine", ""), ("ok", " "), ("bad", "b")]
    path = tiny_csv(*rows)
    told = f"{path}: 4 rows cannot be used (row 2: the text is empty; row 3: the text is empty; "
    told += "row 4: the label is missing; row 5: the label is missing)"
    message = refused(texts, path)
    assert message.startswith(told) and message.endswith("leave them out with data.on_bad_rows=drop")
    table = texts(path, on_bad_rows="drop")
    assert pairs(table) == [("good", "a"), ("bad", "b")] and table.dropped == (told,)
    many = refused(texts, tiny_csv(("x", "a"), *[("", "b")] * 9, name="many.csv"))
    assert "9 rows cannot be used" in many and "row 6: the text is empty; and 4 more)" in many


def test_a_bad_row_far_down(tiny_csv):
    """The first thousand rows do not decide what a row may hold."""
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(1300)]
    rows[1200] = ("", "a")
    message = refused(texts, tiny_csv(*rows))
    assert "1 row cannot be used (row 1201: the text is empty). Rows count from 1, a header not counted" in message


def test_bad_rows_are_counted_within_their_split(tiny_csv):
    files = {
        "train": [tiny_csv(*TEXTS, name="1.csv"), tiny_csv(*TEXTS, ("", "a"), name="2.csv")],
        "test": tiny_csv(("x", "a"), ("", "b"), name="3.csv"),
    }
    message = refused(texts, "csv", data_files=files)
    assert "2 rows cannot be used (train row 7: the text is empty; test row 2: the text is empty)" in message
    assert "Rows count from 1 on through the files in their order, a header not counted." in message


def test_nothing_to_learn_from(tiny_csv, write_text):
    assert refused(texts, tiny_csv()).endswith("data.csv: there are no rows in it")
    assert refused(texts, write_text("zero.csv", "")).endswith("zero.csv: the file is empty (0 bytes); expected rows")
    assert refused(texts, write_text("zero.jsonl", "")).endswith("the file is empty (0 bytes); expected rows")
    assert "there are no rows in it" in refused(texts, write_text("none.json", "[]"))
    one = refused(texts, tiny_csv(("x", "a"), ("y", "a")))
    assert one.endswith("expected at least two classes, got 'a'")
    none = refused(texts, tiny_csv(("", "a"), ("", "b")), on_bad_rows="drop")
    assert none.endswith("expected at least two classes, got no usable row")


# --- files that cannot be read


def test_missing_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = f"(current folder: {tmp_path})"
    assert refused(texts, "none.csv") == f"none.csv: no such file or folder {where}"
    assert refused(texts, "./none") == f"./none: no such file or folder {where}"
    assert refused(texts, "csv", data_files="none.csv") == f"none.csv: no such file {where}"
    assert refused(images, "imagefolder", data_files="none") == f"none: no such folder {where}"
    assert refused(texts, "csv").startswith("data.path is csv, but data.data_files is missing")
    (tmp_path / "data.xlsx").write_text("x")
    assert refused(texts, "data.xlsx").startswith(
        "data.xlsx: unknown ending; expected one of csv, tsv, json, jsonl, parquet"
    )


def test_a_data_set_on_the_hub_without_network():
    message = refused(texts, "nobody/nothing")
    assert message.startswith("'nobody/nothing' is neither a local file nor folder, and the Hugging Face Hub cannot be")


def test_other_encodings(write_text):
    path = write_text("latin.csv", "text,label\ncaf\xe9,a\ny,b\n", "latin-1")
    told = f"{path}: line 2 is not UTF-8 (at byte 4); type data.options.encoding=latin-1, or what it is"
    assert refused(texts, path) == told
    assert pairs(texts(path, options={"encoding": "latin-1"})) == [("café", "a"), ("y", "b")]
    assert pairs(texts(write_text("bom.csv", "text,label\nx,a\ny,b\n", "utf-8-sig"))) == [("x", "a"), ("y", "b")]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("ragged.csv", "text,label\nx,a\ny,b,c,d\n", "not readable as csv: Error tokenizing data"),
        ("cut.json", '[{"text": "x",', "line 1, column 15: expecting property name enclosed in double quotes"),
        ("noise.parquet", "not a table at all", "not readable as parquet: "),
    ],
)
def test_damaged_files(name, content, expected, write_text):
    path = write_text(name, content)
    message = refused(texts, path)
    assert message.startswith(f"{path}: {expected}") and "\n" not in message


# --- row identity


def test_ids_survive_shuffling_and_tell_equal_rows_apart(tiny_csv):
    rows = [("Good", "a"), ("good", "a"), ("good  ", "a"), ("good", "a"), ("good", "b"), ("other", "b"), ("good", "a")]
    forward, backward = texts(tiny_csv(*rows)), texts(tiny_csv(*rows[::-1], name="back.csv"))
    assert len(set(forward.rows["id"][:])) == len(rows)
    assert set(forward.rows["id"][:]) == set(backward.rows["id"][:])
    by_id = [
        dict(zip(t.rows["id"][:], zip(*t.rows[:].values(), strict=True), strict=True)) for t in (forward, backward)
    ]
    assert by_id[0] == by_id[1]
    keys = forward.rows["key"][:]
    assert len(set(keys[:5] + keys[6:])) == 1 and keys[5] != keys[0], "equal but for case, space and label: one key"


def test_no_label_can_make_two_ids_equal(tiny_csv):
    rows = [("x", "1"), ("x", "1"), ("x", "1.1"), ("x", "a.1"), ("x", "a"), ("x", "a")]
    assert len(set(texts(tiny_csv(*rows)).rows["id"][:])) == len(rows)


def test_a_row_without_label_does_not_number_the_others(tmp_path):
    ids = []
    for labels in (["None", None, "b"], [None, "None", "b"]):
        pq.write_table(pa.table({"text": ["x", "x", "y"], "label": labels}), tmp_path / "d.parquet")
        ids.append(texts(str(tmp_path / "d.parquet"), on_bad_rows="drop").rows["id"][:])
    assert ids[0] == ids[1]


# --- pictures


def test_an_image_folder_with_a_class_named_test(picture, tmp_path, snapshot):
    for name in ("test/1.png", "test/deep/2.PNG", "cat/1.jpg", ".hidden/1.png", "cat/notes.txt", "cat/.1.png"):
        picture(f"pets/{name}", "red" if "1" in name else "blue")
    before = snapshot()
    expected = [("cat", "1.jpg"), ("test", "1.png"), ("test", "2.PNG")]
    for table in (images(str(tmp_path / "pets")), images("imagefolder", data_files=str(tmp_path / "pets"))):
        found = [(label, source["path"].rpartition("/")[2]) for source, label in pairs(table, "image")]
        assert found == expected
        assert len(set(table.rows["key"][:])) == 2, "the pixels make the key, not the file"
    assert snapshot() == before


def test_split_folders(picture, tmp_path):
    colours = {"train": ["red", "blue"], "valid": ["green", "black"], "TEST": ["white", "pink"]}
    for part, (one, two) in colours.items():
        picture(f"pets/{part}/cat/1.png", one)
        picture(f"pets/{part}/dog/1.png", two)
    table = images(str(tmp_path / "pets"), split=Split(by="predefined"))
    assert sorted(zip(table.rows["split"][:], table.rows["label"][:], strict=True)) == sorted(
        (split, label) for split in ("train", "validation", "test") for label in ("cat", "dog")
    )
    told = refused(images, str(tmp_path / "pets"))
    assert told.endswith("holds TEST, train, valid: type data.split.by=predefined to use these folders as splits")
    picture("pets/extra/cat/1.png")
    assert "expected folders train, validation and test" in refused(
        images, str(tmp_path / "pets"), split=Split(by="predefined")
    )


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    assert "pets: no images found; expected pets/CLASS/picture.jpg (.bmp, " in refused(images, str(tmp_path / "pets"))


def test_a_folder_of_tables_that_hold_the_pictures(tmp_path):
    for name, colour in (("train", "red"), ("test", "blue")):
        table_file(tmp_path / f"set/data/{name}.parquet", image=[png(colour), png("green")], label=["a", "b"])
    table = images(str(tmp_path / "set"), split=Split(by="predefined"))
    assert table.rows["split"][:] == ["train", "train", "test", "test"]
    assert table.rows["image"][0]["bytes"] == png("red")


@pytest.mark.parametrize("form", ["path", "string", "list", "dictionary"])
def test_paths_in_a_table_are_counted_from_the_table(form, picture, tiny_csv):
    picture("set/pics/r.png", "red")
    absolute = picture("elsewhere/b.png", "blue")
    path = tiny_csv(("pics/r.png", "a"), (absolute, "b"), name="set/t.csv", header=("image", "label"))
    files = {"path": None, "string": path, "list": [path], "dictionary": {"train": path}}[form]
    table = images("csv", data_files=files) if files else images(path)
    assert table.rows["label"][:] == ["a", "b"]
    assert table.rows["image"][0]["path"].endswith("set/pics/r.png")


def test_paths_beside_each_split_file(picture, tiny_csv):
    files = {}
    for split, colour in (("train", "red"), ("test", "blue")):
        picture(f"{split}/x.png", colour)
        files[split] = tiny_csv(("x.png", "a"), ("x.png", "b"), name=f"{split}/t.csv", header=("image", "label"))
    table = images("csv", data_files=files, split=Split(by="predefined"))
    assert len(set(table.rows["key"][:])) == 2


def test_bad_pictures_are_told_one_by_one(picture, tiny_csv):
    whole = png("red", size=(64, 64))
    files = {
        "zero.png": b"",
        "cut.png": whole[: len(whole) // 2],
        "text.jpg": b"this is no picture",
        "fine.png": whole,
        "other.png": png("blue"),
    }
    for name, data in files.items():
        picture(name, data)
    rows = [(name, "ab"[i % 2]) for i, name in enumerate([*files, "gone.png", ""])]
    path = tiny_csv(*rows, header=("image", "label"))
    message = refused(images, path)
    for start in (
        "5 rows cannot be used (row 1: ",
        "zero.png: the image is empty (0 bytes)",
        "cut.png: the image is broken (",
        "text.jpg: the file is not an image",
        "gone.png: no such file",
        "row 7: the image is missing",
    ):
        assert start in message
    table = images(path, on_bad_rows="drop")
    assert table.rows["label"][:] == ["b", "a"]


def test_a_picture_too_large_to_decode(picture, tiny_csv, monkeypatch):
    picture("big.png", png("red", size=(40, 40)))
    picture("small.png", png("red"))
    path = tiny_csv(("big.png", "a"), ("small.png", "b"), ("small.png", "a"), header=("image", "label"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "row 1: " in (message := refused(images, path)) and "the image is too large (more than" in message
    assert "1 row cannot be used" in message


@pytest.mark.parametrize("form", ["bytes", "struct"])
def test_pictures_inside_parquet(form, tmp_path):
    data = [png("red"), png("blue"), None]
    column = data if form == "bytes" else [{"bytes": d, "path": None} if d else None for d in data]
    pq.write_table(pa.table({"image": column, "label": ["a", "b", "a"]}), tmp_path / "p.parquet")
    assert "row 3: the image is missing" in refused(images, str(tmp_path / "p.parquet"))
    table = images(str(tmp_path / "p.parquet"), on_bad_rows="drop")
    assert [source["bytes"] for source in table.rows["image"][:]] == data[:2]


def test_one_id_for_one_picture_in_any_container(picture, tiny_csv, tmp_path):
    for name, colour in (("red.png", "red"), ("blue.png", "blue")):
        picture(name, colour)
    listed = images(tiny_csv(("red.png", "a"), ("blue.png", "b"), header=("image", "label")))
    pq.write_table(
        pa.table({"image": [png("red"), png("blue", format="BMP")], "label": ["a", "b"]}), tmp_path / "p.parquet"
    )
    assert images(str(tmp_path / "p.parquet")).rows["id"][:] == listed.rows["id"][:]


def test_a_file_replaced_behind_a_path_is_seen(picture, tiny_csv):
    path = tiny_csv((picture("x.png", "red"), "a"), (picture("y.png", "blue"), "b"), header=("image", "label"))
    before = images(path).rows["id"][:]
    picture("x.png", "green")
    after = images(path).rows["id"][:]
    assert after[0] != before[0] and after[1] == before[1]


HEADER = ("p0", "p1", "p2", "p3", "digit")


def test_rows_of_pixels(tiny_csv):
    from hfft import pictures

    path = tiny_csv((0, 255, 7, 9, "NA"), (1, 2, 3, 4, "01"), header=HEADER)
    table = images(path, pixels=[2, 2], columns={"label": "digit"})
    assert table.rows["label"][:] == ["NA", "01"]
    decoded = pictures.rgb(table.rows["image"][0])
    assert decoded.size == (2, 2) and [p[0] for p in (decoded.getpixel((x, y)) for y in (0, 1) for x in (0, 1))] == [
        0,
        255,
        7,
        9,
    ]


@pytest.mark.parametrize(
    ("pixels", "values", "seen"),
    [
        ([1, 2, 1], (0, 200), [(0, 0, 0), (200, 200, 200)]),
        ([1, 2, 3], (1, 2, 3, 4, 5, 6), [(1, 2, 3), (4, 5, 6)]),
        ([1, 2, 4], (1, 2, 3, 255, 4, 5, 6, 0), [(1, 2, 3), (255, 255, 255)]),
    ],
)
def test_channels_of_pixels(pixels, values, seen, tiny_csv):
    from hfft import pictures

    header = (*(f"p{i}" for i in range(len(values))), "label")
    table = images(tiny_csv((*values, "a"), (*values[::-1], "b"), header=header), pixels=pixels)
    decoded = pictures.rgb(table.rows["image"][0])
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == seen


@pytest.mark.parametrize(
    ("row", "pixels", "expected"),
    [
        ((1, 2, 3, 4, "a"), [2, 1, 2], "data.pixels [2, 1, 2]: expected 1 (grey), 3 (RGB) or 4 (RGBA) channels, got 2"),
        ((1, 2, 3, 4, "a"), [2, 3], "data.pixels [2, 3] needs 6 columns beside 'digit', it has 4"),
        ((1, 2, 3, 256, "a"), [2, 2], "expected numbers from 0 to 255 in the 4 pixel columns"),
        ((1, 2, 3, -1, "a"), [2, 2], "expected numbers from 0 to 255 in the 4 pixel columns"),
        ((1, 2, 3, "x", "a"), [2, 2], "expected numbers from 0 to 255 in the 4 pixel columns"),
        ((1, 2, 3, "", "a"), [2, 2], "expected numbers from 0 to 255 in the 4 pixel columns"),
        ((0.25, 0.5, 0, 1, "a"), [2, 2], "the pixel columns hold fractions such as 0.25; scale them to 0 … 255"),
    ],
)
def test_rows_that_are_no_pixels(row, pixels, expected, tiny_csv):
    path = tiny_csv(row, (0, 0, 0, 0, "b"), header=HEADER)
    assert expected in refused(images, path, pixels=pixels, columns={"label": "digit"})


def test_pixels_without_rows_or_label(tiny_csv):
    assert "there are no rows in it" in refused(
        images, tiny_csv(header=HEADER), pixels=[2, 2], columns={"label": "digit"}
    )
    path = tiny_csv((1, 2, 3, 4, "a"), header=HEADER)
    assert "no column 'label' for label; it has p0" in refused(images, path, pixels=[2, 2])


# --- columns that say how rows are dealt, and names that the recipe gives


def test_group_and_time_are_read_when_asked_for(write_text):
    lines = [f"{word} {i},{word},{i // 2:02d},2024-01-{i + 1:02d}" for i in range(8) for word in ("a", "b")]
    path = write_text("g.csv", "text,label,group,when\n" + "\n".join(lines))
    plain = texts(path).rows
    assert not {"group", "time"} & set(plain.column_names), "nothing is picked up unasked"
    rows = texts(path, columns={"time": "when"}, split=Split(by="group")).rows
    assert rows["group"][:][:3] == ["00", "00", "00"] and set(rows["unit"][:]) == {"seconds"}
    assert rows["time"][2] - rows["time"][0] == 86_400
    wrong = refused(texts, path, split=Split(by="time"))
    assert "no column 'time' for time" in wrong and "type data.columns.time=NAME" in wrong


def test_a_row_without_group_or_time_is_a_bad_row(write_text):
    lines = [f"{word} {i},{word},g{i},{i}" for i in range(4) for word in ("a", "b")]
    path = write_text("g.csv", "text,label,group,time\n" + "\n".join(lines) + "\nx,a,,3\ny,b,g1,later\n")
    assert "row 9: the group is missing" in refused(texts, path, split=Split(by="group"))
    assert "row 10: the time is missing or no date or number" in refused(texts, path, split=Split(by="time"))
    kept = texts(path, split=Split(by="group"), on_bad_rows="drop").rows
    assert len(kept) == 9


def test_labels_are_renamed_merged_and_left_out(tiny_csv):
    path = tiny_csv(*[(f"row {i}", name) for i in range(4) for name in ("Spam", "spam", "ham", "?")])
    assert "'Spam' (4 rows) and 'spam' (4 rows)" in refused(texts, path)
    made = texts(path, labels={"Spam": "spam", "?": None})
    assert sorted(set(made.rows["label"][:])) == ["ham", "spam"] and len(made.rows) == 12
    assert made.dropped == ("4 rows left out: data.labels gives their class no name",)
    assert "has no class 'Spm' (did you mean 'Spam'?)" in refused(texts, path, labels={"Spm": "spam"})
