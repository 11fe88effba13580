"""Columns of `data.slices`: from the file to the test rows, and never to a model."""

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hfft import describing, loading, recipe, slicing, splitting, streaming, summarising
from hfft.errors import InputError
from hfft.modalities import image_classification, text_classification
from hfft.recipe import Data, Split
from hfft.records import SLICE, read_json
from hfft.run_folder import RunFolder
from tests.command import hfft

REGION = f"{SLICE}region"


def spec(path: str, slices: list[str], **options) -> Data:
    return Data("csv", path, slices=slices, **options)


def refused(path: str, slices: list[str], **options) -> str:
    with pytest.raises(InputError) as caught:
        loading.read(spec(path, slices, **options), text_classification)
    return str(caught.value).partition(": ")[2] if "data.csv: " in str(caught.value) else str(caught.value)


@pytest.fixture
def table(tiny_csv) -> str:
    regions = ("NA", "01", "", " north ")
    rows = [(f"text {i}", "ab"[i % 2], regions[i % 4], i, f"g{i}") for i in range(40)]
    return tiny_csv(*rows, header=("text", "label", "region", "age", "team"))


def test_cells_keep_their_own_text_and_empty_ones_are_missing(table):
    rows = loading.read(spec(table, ["region", "age"]), text_classification).rows
    found = dict(zip(rows["text"][:], rows[REGION][:], strict=True))
    assert [found[f"text {i}"] for i in range(4)] == ["NA", "01", None, "north"]
    assert set(rows[f"{SLICE}age"][:]) == {str(i) for i in range(40)}


def test_they_follow_their_rows_through_the_split_and_back(table, tmp_path):
    data = spec(table, ["age"])
    made = splitting.split(loading.read(data, text_classification), data, 1, text_classification)
    run = RunFolder(tmp_path / "run")
    run.root.mkdir()
    splitting.write(made, run)
    again = splitting.reopen(loading.read(data, text_classification), run, "test")
    for rows in (*made.parts.values(), again):
        assert [f"text {age}" for age in rows[f"{SLICE}age"][:]] == rows["text"][:]


def test_a_stream_carries_them_too(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)
    given = {"text": [f"text {i}" for i in range(40)], "label": ["a", "b"] * 20, "age": list(range(40))}
    datasets.Dataset.from_dict(given).to_parquet(str(tmp_path / "data.parquet"))
    shares = Split(by="hash", train=0.5, validation=0.2, test=0.3)
    data = Data("parquet", str(tmp_path / "data.parquet"), slices=["age"], streaming=True, split=shares)
    found = streaming.survey(data, text_classification, 1, ("validation", "test"), sample=10)
    for rows in (*found.splits.parts.values(), found.sample):
        assert len(rows) and [f"text {age}" for age in rows[f"{SLICE}age"][:]] == rows["text"][:]
    taken = []
    stream = streaming.train_rows(
        data, text_classification, found, lambda inputs: taken.append(set(inputs)) or {}, "ab", 1
    )
    list(stream)
    assert taken and set().union(*taken) == {"text"}


def test_parts_whose_columns_differ_in_type_meet_as_text(tmp_path):
    files = {}
    for split, values in {"train": [1, 2] * 8, "validation": [1.5, None] * 8, "test": ["1", "x"] * 8}.items():
        texts = [f"{split} {i}" for i in range(16)]
        rows = {"text": texts, "label": ["a", "b"] * 8, "region": values}
        files[split] = str(tmp_path / f"{split}.parquet")
        datasets.Dataset.from_dict(rows).to_parquet(files[split])
    data = Data("parquet", files, slices=["region"], split=Split(by="predefined"))
    rows = loading.read(data, text_classification).rows
    assert set(rows[REGION][:]) == {"1", "2", "1.5", None, "x"}


def test_class_labels_are_told_by_name(tmp_path):
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.Value("string"),
            "region": datasets.ClassLabel(names=["n", "s"]),
        }
    )
    rows = {"text": ["one", "two"], "label": ["a", "b"], "region": [1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "data.parquet"))
    made = loading.read(Data("parquet", str(tmp_path / "data.parquet"), slices=["region"]), text_classification)
    assert made.rows[REGION][:] == ["s", "n"]


def test_what_cannot_be_a_slice_is_refused_in_words(table, tmp_path):
    assert refused(table, ["regoin"]) == (
        "no column 'regoin' (did you mean 'region'?) for data.slices; it has text, label, region, age, team"
    )
    assert refused(table, ["region", "region"]) == "data.slices names 'region' twice"
    assert refused(table, ["label"]) == (
        "data.slices: column 'label' is the label already; scores are told by class anyway; leave it out of data.slices"
    )
    by_group = {"columns": {"group": "team"}, "split": Split(by="group")}
    assert refused(table, ["team"], **by_group).startswith("data.slices: column 'team' is the group already; leave")
    for name in "ab":
        (tmp_path / "folder" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "folder" / name / "one.png")
    with pytest.raises(
        InputError, match=r"data.slices names 'region', but a folder of pictures has no columns; write a"
    ):
        loading.read(Data("imagefolder", str(tmp_path / "folder"), slices=["region"]), image_classification)
    lists = {"text": ["one", "two"], "label": ["a", "b"], "region": [["x"], ["y"]]}
    datasets.Dataset.from_dict(lists).to_parquet(str(tmp_path / "data.parquet"))
    with pytest.raises(InputError, match=r"column 'region' holds \['x'\] in row 1: expected a text or a number"):
        loading.read(Data("parquet", str(tmp_path / "data.parquet"), slices=["region"]), text_classification)
    with pytest.raises(ValueError, match=r"data.pixels takes all columns but one, which data.slices is not"):
        Data("csv", table, slices=["region"], pixels=[2, 2])


def test_many_numbers_are_numbers_and_a_few_are_names(tmp_path):
    rows = datasets.Dataset.from_dict({"id": [str(i) for i in range(40)], "text": ["a"] * 40})
    columns = {"age": [str(i / 2) if i else None for i in range(40)], "stars": [str(i % 5) for i in range(40)]}
    columns["code"] = [f"{i}x" if i == 7 else str(i) for i in range(40)]
    for name, values in columns.items():
        rows = rows.add_column(SLICE + name, values)
    describing.write(rows, text_classification, None, tmp_path / "attributes.parquet")
    schema = pq.read_schema(tmp_path / "attributes.parquet")
    types = dict(zip(schema.names, map(str, schema.types), strict=True))
    assert (types["slice:age"], types["slice:stars"], types["slice:code"]) == ("double", "string", "string")
    assert types["words"] == "double" and types["url"] == "string"
    found = slicing.read(tmp_path / "attributes.parquet", rows["id"][:])
    assert found["slice:age"][1] == 0.5 and found["slice:age"][0] != found["slice:age"][0]


def test_from_the_recipe_to_the_page_and_never_to_the_model(tmp_path, capsys):
    """`confidence` is a further column of the shipped data set."""
    run = RunFolder(tmp_path / "run")
    assert hfft("run", "tiny_textcls", "--output-dir", str(run.root), "data.slices=[confidence]") == 0
    assert summarising.summarise(run)["slices"] is None
    capsys.readouterr()
    assert hfft("eval", str(run.root)) == 0
    out = capsys.readouterr().out
    facts = read_json(run.slices)["test"]
    assert f"{facts['tried']} slices, confirmed ones first" in out and facts["sentences"][-1] in out
    assert f"{SLICE}confidence" in pq.read_schema(run.attributes("test")).names
    assert facts["n"] == 90 and {row["attribute"] for row in facts["rows"]} >= {"question", "handle"}
    assert summarising.summarise(run)["slices"] == facts
    assert recipe.load(str(run.root)).data.slices == ["confidence"]
    before = run.slices.read_bytes()
    run.slices.unlink()
    assert hfft("judge", str(run.root)) == 0 and run.slices.read_bytes() == before
    run.slices.unlink()
    run.attributes("test").unlink()
    assert hfft("judge", str(run.root)) == 0 and not run.slices.exists()
