"""Labels of several classes: each way to write them gives the same rows, and what is ambiguous is refused."""

from __future__ import annotations

import json

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft import labelling, labelsets, loading, recipe, rooms
from hfft.errors import InputError

TEXTS = rooms.find("modalities", "text_classification")
SETS = [["a", "b"], ["b"], [], ["c", "a"]]
EXPECTED = [labelsets.text(names) for names in SETS]


def data(path: str, **keys) -> recipe.Data:
    tree = {"task": "text_classification", "model": {"name": "x"}, "data": {"path": path, "multi_label": True, **keys}}
    return recipe.build(tree).data


def labels(path: str, **keys) -> list[str]:
    table = loading.read(data(path, **keys), TEXTS)
    order = sorted(range(len(table.rows)), key=lambda i: int(table.rows["text"][i].split()[-1]))
    return [table.rows["label"][i] for i in order]


def refused(path: str, **keys) -> str:
    with pytest.raises(InputError) as caught:
        loading.read(data(path, **keys), TEXTS)
    return str(caught.value)


def lines(write_text, rows, name="rows.jsonl") -> str:
    return write_text(name, "".join(json.dumps(row) + "\n" for row in rows))


def test_every_way_to_write_several_classes_gives_the_same_labels(write_text, tiny_csv, tmp_path):
    rows = [(f"row {i}", SETS[i % 4]) for i in range(8)]
    lists = lines(write_text, [{"text": text, "label": names} for text, names in rows])
    assert labels(lists) == EXPECTED * 2
    cells = tiny_csv(*((text, "|".join(names)) for text, names in rows), name="cells.csv")
    assert labels(cells, label_separator="|") == EXPECTED * 2
    spaced = tiny_csv(*((text, " ; ".join(names)) for text, names in rows), name="spaced.csv")
    assert labels(spaced, label_separator=";") == EXPECTED * 2
    flags = [(text, *(int(name in names) for name in "abc")) for text, names in rows]
    columns = tiny_csv(*flags, name="columns.csv", header=("text", "a", "b", "c"))
    assert labels(columns, label_columns=["a", "b", "c"]) == EXPECTED * 2
    words = [(text, *(str(bool(flag)).lower() for flag in row)) for text, *row in flags]
    columns = tiny_csv(*words, name="words.csv", header=("text", "a", "b", "c"))
    assert labels(columns, label_columns=["a", "b", "c"]) == EXPECTED * 2
    kind = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.List(datasets.ClassLabel(names=["c", "b", "a"]))}
    )
    numbers = {"text": [text for text, _ in rows], "label": [["cba".index(n) for n in names] for _, names in rows]}
    datasets.Dataset.from_dict(numbers, features=kind).to_parquet(str(tmp_path / "rows.parquet"))
    assert labels(str(tmp_path / "rows.parquet")) == EXPECTED * 2
    table = loading.read(data(str(tmp_path / "rows.parquet")), TEXTS)
    assert loading.class_names(["a", "b", "c"], table.declared) == ("c", "b", "a")


def test_lists_of_numbers_are_classes_by_number(write_text):
    path = lines(write_text, [{"text": f"row {i}", "label": [[3], [10, 3], [7]][i % 3]} for i in range(6)])
    assert labels(path)[:3] == ['["3"]', '["10", "3"]', '["7"]']


def test_labels_are_renamed_merged_and_dropped_class_by_class(write_text):
    path = lines(write_text, [{"text": f"row {i}", "label": SETS[i % 4]} for i in range(8)])
    assert labels(path, labels={"b": "c"})[:4] == ['["a", "c"]', '["c"]', "[]", '["a", "c"]']
    assert labels(path, labels={"c": None})[:4] == ['["a", "b"]', '["b"]', "[]", '["a"]']
    table = loading.read(data(path, labels={"c": None}), TEXTS)
    assert len(table.rows) == 8 and "2 rows lose a class" in table.dropped[0]
    assert "no class 'd'" in refused(path, labels={"d": None})
    doubled = lines(write_text, [{"text": f"row {i}", "label": [["Spam", "b"], ["spam "]][i % 2]} for i in range(6)])
    assert "'Spam' (3 rows) and 'spam' (3 rows)" in refused(doubled)


def test_a_row_without_a_class_is_a_row_and_a_missing_label_is_none(write_text):
    rows = [{"text": f"row {i}", "label": SETS[i % 4]} for i in range(8)]
    path = lines(write_text, [*rows, {"text": "row 8", "label": None}])
    assert "row 9: the label is missing" in refused(path)
    assert len(loading.read(data(path, on_bad_rows="drop"), TEXTS).rows) == 8


def test_rows_that_all_have_one_class_are_told(write_text, tiny_csv):
    path = lines(write_text, [{"text": f"row {i}", "label": ["ab"[i % 2]]} for i in range(8)])
    assert loading.read(data(path), TEXTS).dropped == (
        "no row has two classes: data.multi_label may not be what this data needs",
    )
    path = tiny_csv(*((f"row {i}", "a;b" if i % 2 else "c") for i in range(8)))
    assert "'|' stands in no label" in refused(path, label_separator="|")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ([[0, 1, 1], [1, 0, 0]], "lists of 0 and 1, 3 long"),
        ([[True, False], [False, True]], "lists of 0 and 1, 2 long"),
        ([[0.0, 1.0], [1.0, 1.0]], "lists of 0 and 1, 2 long"),
        ([[0.25, 0.75], [1.0, 0.0]], "holds 0.25 in row 1: expected classes, not measurements"),
        (["a|b", "c"], "expected a list of classes; where a sign stands between them, type data.label_separator='|'"),
        (["['a', 'b']", "[]"], "a list written as text; save the data as JSON or Parquet"),
        ([3, 4], "holds 3 in row 1: expected a list of classes; type data.label_columns=[NAME, NAME]"),
        ([["a", None], ["b"]], "holds ['a', None] in row 1: expected class names, or an empty list"),
        ([["a", ""], ["b"]], "holds ['a', ''] in row 1: expected class names, or an empty list"),
        ([["a", "b"], ["a", "b"]], None),
        ([["a"], []], "expected at least two classes, got 'a'"),
        ([[], []], "expected at least two classes, got no usable row"),
    ],
)
def test_what_is_ambiguous_is_refused(write_text, label, said):
    path = lines(write_text, [{"text": f"row {i}", "label": label[i % 2]} for i in range(8)])
    if said is None:
        assert labels(path)[0] == '["a", "b"]'
    else:
        assert said in refused(path)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("2", "holds 2 in row 1: expected 0 or 1"), ("-1", "holds -1"), ("0.5", "0.5"), ("maybe", "maybe")],
)
def test_columns_of_something_else_are_refused(tiny_csv, cell, said):
    rows = [(f"row {i}", cell if not i else i % 2, (i + 1) % 2) for i in range(8)]
    path = tiny_csv(*rows, header=("text", "a", "b"))
    told = refused(path, label_columns=["a", "b"])
    assert "column 'a'" in told and said in told


def test_columns_that_are_missing_or_empty(tiny_csv):
    path = tiny_csv(*((f"row {i}", i % 2, "" if i == 5 else 1) for i in range(8)), header=("text", "toxic", "rude"))
    assert "no column 'toxc' (did you mean 'toxic'?)" in refused(path, label_columns=["toxc", "rude"])
    assert "row 6: the label is missing" in refused(path, label_columns=["toxic", "rude"])


def test_keys_that_contradict_each_other_are_refused_in_the_recipe():
    single = {"task": "text_classification", "model": {"name": "x"}}
    for keys, said in [
        ({"label_separator": "|"}, "label_separator is for rows with several classes; type data.multi_label=true"),
        ({"label_columns": ["a", "b"]}, "label_columns is for rows with several classes"),
        ({"multi_label": True, "label_columns": ["a", "b"], "label_separator": "|"}, "leave one out"),
        ({"multi_label": True, "label_columns": ["a", "b"], "columns": {"label": "c"}}, "leave one out"),
        ({"multi_label": True, "label_columns": ["a", "b"], "pixels": [2, 2]}, "leave one out"),
        ({"multi_label": True, "label_columns": ["a", "a"]}, "names a column twice"),
        ({"multi_label": True, "label_columns": ["a"]}, "at least 2"),
        ({"multi_label": True, "label_separator": ""}, "at least 1"),
    ]:
        with pytest.raises(InputError, match="data") as caught:
            recipe.build(single | {"data": {"path": "x.csv", **keys}})
        assert said in str(caught.value), keys


def test_a_multi_label_recipe_has_its_own_loss_and_metrics_and_reads_back_equal(write_text):
    tree = {"task": "text_classification", "model": {"name": "x"}, "data": {"path": "x.csv", "multi_label": True}}
    made = recipe.build(tree)
    assert made.loss.name == "binary_cross_entropy" and "average_precision" in made.metrics
    assert recipe.load(write_text("again.yaml", recipe.dump(made))) == made
    assert recipe.build(tree | {"loss": "cross_entropy", "metrics": ["f1"]}).loss.name == "cross_entropy"


@given(st.lists(st.text(max_size=6), max_size=5))
def test_a_set_has_one_text(names):
    text = labelsets.text(names)
    assert set(labelsets.names(text)) == set(names)
    assert labelsets.text(reversed(names)) == text == labelsets.text(labelsets.names(text))


@given(st.lists(st.sets(st.sampled_from("abcd")), max_size=30), st.integers(1, 5))
def test_counts_matrix_and_strata_agree(sets, least):
    texts = [labelsets.text(names) for names in sets]
    counts, found = labelsets.count(texts, True), labelsets.matrix(texts, "abcd")
    assert {name: n for name, n in zip("abcd", found.sum(axis=0).tolist(), strict=True) if n} == dict(counts)
    assert labelsets.targets(texts, "abcd", True) == found.astype(float).tolist()
    strata = labelsets.pooled(texts, least)
    for text, stratum in zip(texts, strata, strict=True):
        if texts.count(text) >= least and labelsets.names(text):
            assert stratum == " + ".join(labelsets.names(text))
        elif labelsets.names(text):
            rarest = min(labelsets.names(text), key=lambda name: (counts[name], name))
            assert stratum == f"rare sets with {rarest}"


def test_a_table_of_pictures_in_folders_has_one_class_each(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (9, 9)).save(tmp_path / name / "1.png")
    with pytest.raises(InputError, match="has the class of its folder alone"):
        loading.read(data(str(tmp_path)), rooms.find("modalities", "image_classification"))


def test_single_labels_are_read_as_before():
    part = datasets.Dataset.from_dict({"label": ["a", " b ", None, ""]})
    plain = recipe.build({"task": "text_classification", "model": {"name": "x"}, "data": {"path": "x.csv"}}).data
    assert labelling.read(part, "label", plain, "x.csv") == (["a", "b", None, None], ())


def test_class_names_in_brackets_are_no_list(tiny_csv):
    names = ["[OOV]|[UNK]", "[UNK]", "plain|[OOV]", "plain"]
    cells = tiny_csv(*((f"row {i}", names[i % 4]) for i in range(8)))
    expected = [["[OOV]", "[UNK]"], ["[UNK]"], ["[OOV]", "plain"], ["plain"]]
    with pytest.raises(InputError, match="a list written as text"):  # [UNK] alone could be one
        labels(cells, label_separator="|")
    bare = tiny_csv(*((f"row {i}", names[i % 4]) for i in (0, 2, 3, 4, 6, 7, 8, 10)), name="bare.csv")
    assert labels(bare, label_separator="|")[:3] == [labelsets.text(expected[i]) for i in (0, 2, 3)]
