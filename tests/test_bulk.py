"""hfft predict: what comes in, what goes out, what becomes of rows that cannot be read, and who answers what."""

import csv
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import hfft as package
from hfft import answer_files, bulk, engines, forwarding, inferring, input_rows, inputs, packed_linear, recipe, rooms
from hfft.answer_rows import Rule
from hfft.errors import InputError
from hfft.records import Predictions
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import together

pytestmark = pytest.mark.usefixtures("without_pages")

TEXTS = ["what a lovely flight", "my bag is lost again", "meh", "the crew was kind and the food was not"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose promise is a threshold that some rows reach, so that answers are sure and unsure."""
    root = tmp_path_factory.mktemp("runs") / "tiny"
    assert hfft("run", "tiny_textcls", "train.max_steps=2", "--output-dir", str(root)) == 0
    path = root / "model" / "calibration.json"
    facts = json.loads(path.read_text())
    found = inferring.load(str(root)).answers(TEXTS)
    facts["abstain"]["threshold"] = float(np.median([max(answer.probabilities.values()) for answer in found]))
    path.write_text(json.dumps(facts))
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "pictures"
    assert hfft("run", "tiny_imgcls", "train.max_steps=1", "data.limit=100", "--output-dir", str(root)) == 0
    return root


def test_a_quote_that_is_never_closed_swallows_no_rows(run, tmp_path, capsys):
    path = tmp_path / "in.csv"
    path.write_text('id,text\n1,fine\n2,"never closed\n3,lost?\n4,and this\n')
    assert hfft("predict", str(run), str(path), "--output", str(tmp_path / "out.csv")) == 2
    told = capsys.readouterr().err
    assert "in.csv, line 3: a quote is opened and never closed, so the lines after it, to line 5, are no rows" in told
    assert not (tmp_path / "out.csv").exists()
    path.write_text('id,text\n1,"two\nlines"\n2,"the last, without an end of line"')
    assert hfft("predict", str(run), str(path), "--output", str(tmp_path / "out.parquet")) == 0
    assert len(table(tmp_path / "out.parquet")) == 2


def said_by(monkeypatch, chunks, kind, encoding="utf-8"):
    """What standard input gives that comes in these chunks: (values, line, problem, note), None for a pause."""
    given = [*chunks, b""]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read1=lambda size: given.pop(0))))
    return list(input_rows.opened("-", kind, encoding).rows)


def test_a_slow_table_is_answered_as_far_as_it_has_come(monkeypatch):
    """A pause is passed on between rows, and is none within a quoted text."""
    rows = said_by(monkeypatch, [b"id,text\n1,a\n", b'2,"b', b'\nc"\n', b"3,", b"d\n"], "csv")
    assert [row and row.values["text"] for row in rows] == ["a", None, "b\nc", None, "d", None]


@pytest.mark.parametrize("live", [True, False])
def test_files_and_standard_input_are_decoded_alike(monkeypatch, tmp_path, live):
    def rows(data, encoding="utf-8"):
        if live:  # cut within a sign
            found = said_by(monkeypatch, [data[:9], data[9:]], "csv", encoding)
        else:
            (tmp_path / "in.csv").write_bytes(data)
            found = list(input_rows.opened(str(tmp_path / "in.csv"), "csv", encoding).rows)
        return [(row.values.get("text"), row.problem) for row in found if row is not None]

    fine = [("caf\xe9", ""), ("\u20ac", "")]
    assert rows("\ufeffid,text\n1,caf\xe9\n2,\u20ac".encode()) == fine
    assert rows("id,text\n1,caf\xe9\n2,\u20ac\n".encode("utf-16"), "utf-16") == fine
    assert rows(b"id,text\n1,caf\xe9\n", "latin-1") == fine[:1]
    assert [why for _, why in rows(b"id,text\n1,caf\xe9\n2,b\n")] == ["line 2 is not UTF-8 (byte 0xe9)", ""]
    assert [why[:30] for _, why in rows(b"id,text\n1,a\rb\n2,b\n")] == ["line 2 is no row of a table (a", ""]
    for data, encoding, told in (
        (b"id,text\n", "hex", "knows no 'hex' for texts"),
        ("id,text\n".encode("utf-16"), "utf-8", "is UTF-16; type --encoding utf-16"),
        (b"id,text\n1,caf\xe9\n", "utf-16", "is not utf-16"),
        (b"id,text\r1,a\r", "utf-8", "line 1: a carriage return without a line feed"),
    ):
        with pytest.raises(InputError, match=told):
            rows(data, encoding)


def test_a_quote_that_a_later_one_closes_is_noted(run, tmp_path, capsys):
    path = tmp_path / "in.csv"
    path.write_text('id,text\n1,"lost\n2,b\n3,c\n4,d\n5,"e"\n6,"a poem\nof lines\nthat are, no rows\nat all"\n')
    assert hfft("predict", str(run), str(path), "--output", str(tmp_path / "out.csv"), "--json") == 0
    told = capsys.readouterr()
    assert told.err.count("is a quote missing?") == 1 and json.loads(told.out)["noted"] == 1
    assert "line 2: a quoted text goes on to line 6, and 3 of its lines have 2 fields as rows have" in told.err


def test_lines_have_no_columns(run, tmp_path, capsys):
    path = tmp_path / "in.txt"
    path.write_text("a\nb\n")
    assert hfft("predict", str(run), str(path), "--text-column", "tweet") == 2
    assert "in.txt is read as lines, which have no columns: leave out tweet" in capsys.readouterr().err
    with pytest.raises(InputError, match="this run takes two texts of each row: give a csv or jsonl"):
        inputs.found(str(path), inputs.Wish({"text": True, "text_pair": False}, recipe={"text_pair": "reply"}))
    assert inputs.found(str(path), inputs.Wish({"image": True})).chosen == {"image": "text"}


def test_an_exported_texts_tokenizer_needs_no_class_of_a_model(run):
    """What answers an exported file without torch makes the inputs that the model's own class makes."""
    import transformers

    modality, inputs_of = rooms.find("modalities", "text_classification"), ("input_ids", "attention_mask")
    own = transformers.AutoTokenizer.from_pretrained(str(run / "model"))
    ours = engines._processor(run / "model", modality, (*inputs_of, "token_type_ids"))
    texts = [*TEXTS, "Ünïcode \u4f60\u597d don't [MASK] \U0001f600", "long " * 600]
    for given in ((texts,), (texts, texts[::-1])):
        assert dict(ours(*given, truncation=True, max_length=32)) == dict(own(*given, truncation=True, max_length=32))
    assert (ours.pad_token_id, ours.padding_side) == (own.pad_token_id, own.padding_side)
    assert ours.model_max_length == own.model_max_length
    assert set(engines._processor(run / "model", modality, inputs_of)(texts)) == set(inputs_of)


def test_what_predicting_texts_does_without_is_not_imported():
    """A bad input is told before torch is there, and tables of rows are never needed."""
    code = (
        "import sys; from hfft import bulk; from hfft.modalities import text_classification\n"
        "assert not {'torch', 'transformers', 'datasets', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "from hfft import backbones, packed_linear\n"
        "assert 'torch' in sys.modules and not {'datasets', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_python_says_what_the_command_says(run):
    loaded = package.load(run)
    assert loaded.answers(TEXTS) == inferring.load(str(run), fast=True).answers(TEXTS) and loaded.answers([]) == []
    assert [found.sure for found in loaded.answers(TEXTS)].count(True) in (2, 3)
    assert [[next(iter(found))] for found in loaded.predict(TEXTS)] == loaded.classes(TEXTS)
    per_class = package.load(run, sets="lac_per_class").answers(TEXTS)
    assert per_class == inferring.load(str(run), sets="lac_per_class", fast=True).answers(TEXTS)
    for wrong, told in (({"engine": "onx"}, "did you mean 'onnx'"), ({"sets": "las"}, "did you mean 'lac'")):
        with pytest.raises(InputError, match=told):
            package.load(run, **wrong)
    with pytest.raises(InputError, match="has no onnx export; type hfft export"):
        package.load(run, engine="onnx").predict(TEXTS)
    with pytest.raises(InputError, match="input 2 of 2: the text is empty"):
        loaded.predict(["fine", "\u200b "])


def test_what_is_promised_is_said(run, tmp_path, capsys):
    source, out = write_csv(tmp_path / "in.csv", TEXTS), str(tmp_path / "out.csv")
    assert hfft("predict", str(run), source, "--output", out) == 0
    told = capsys.readouterr().err
    assert (
        "answers are sure: an answer is sure from a probability of 0." in told and "at most 5 % of them wrong" in told
    )
    assert "a set is to hold the right class of 90 % of all rows (by " in told and "model/calibration.json" not in told
    none = Rule(("a", "b"), False, abstain={"threshold": None, "max_error": 0.2, "level": 0.9, "n": 7})
    assert none.promise.endswith(
        "(at most 20 % of them wrong, 90 % sure; by 7 validation rows), so no answer is called sure"
    )


def test_columns_that_are_kept_are_there_and_are_not_ours(run, pictures, tmp_path, capsys):
    path = write_csv(tmp_path / "in.csv", TEXTS)
    (tmp_path / "folder").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "folder" / "a.png")
    for words, told in (
        ((str(run), path, "--keep", "prediction"), "'prediction' is a column of the answers"),
        ((str(run), path, "--keep", "probability_x"), "'probability_x' is a column of the answers"),
        ((str(run), path, "--keep", "ids"), "has no column 'ids' (did you mean 'id'?)"),
        ((str(pictures), str(tmp_path / "folder"), "--keep", "id"), "is no table; each answer has its file beside it"),
    ):
        assert hfft("predict", *words, "--output", str(tmp_path / "out.csv")) == 2
        assert told in capsys.readouterr().err, words


def test_only_the_first_block_is_small(run, tmp_path):
    source = inputs.found(write_csv(tmp_path / "in.csv", TEXTS * 5), inputs.Wish({"text": True}))
    assert [(block.start, len(block.inputs)) for block in source.blocks(8, first=3)] == [
        (0, 3),
        (3, 8),
        (11, 8),
        (19, 1),
    ]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setitem(bulk.SIZES, "text", 4)
    monkeypatch.setitem(bulk.SIZES, "image", 2)


def table(path):
    return pq.read_table(path).to_pylist()


def write_csv(path, texts):
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(f"{i:03d}", text) for i, text in enumerate(texts)]
        csv.writer(file).writerows([("id", "text"), *rows])
    return str(path)


def test_the_logits_are_those_of_eval(run, capsys):
    """The road of `hfft eval` (Trainer, tables of rows) and this one, over rows of all lengths."""
    known = Predictions.read(RunFolder(run).predictions("validation"))
    from hfft import gathering

    rows = gathering.held_back(recipe.load(str(run)), RunFolder(run), "validation")
    raw = inferring.load(str(run)).raw(rows["text"][:])
    assert len(raw) > 50 and list(rows["id"][:]) == list(known.ids)
    assert np.abs(raw - known.scores).max() < 1e-5
    fast = inferring.load(str(run), fast=True)
    joined = [part for part in fast.parts[0].part.model.modules() if getattr(part, "then", "none") == "gelu"]
    assert len(joined) == packed_linear._works(), "of the one layer"
    assert np.abs(fast.raw(rows["text"][:]) - known.scores).max() < 1e-5


def test_file_and_call_give_the_same_answers(run, tmp_path, capsys, small_parts):
    source, out = write_csv(tmp_path / "in.csv", TEXTS * 3), tmp_path / "out.parquet"
    assert hfft("predict", str(run), source, "--output", str(out), "--keep", "id") == 0
    rows, called = table(out), package.load(run).predict(TEXTS * 3)
    answers = inferring.load(str(run)).answers(TEXTS * 3)
    assert [row["row"] for row in rows] == list(range(1, 13)) and rows[3]["id"] == "003"
    for row, chances, answer in zip(rows, called, answers, strict=True):
        assert row["prediction"] == next(iter(chances)) and row["sure"] == answer.sure
        assert answer.prediction == (row["prediction"] if row["sure"] else "")
        assert row["probability"] == pytest.approx(chances[row["prediction"]], abs=1e-6)
        assert {name: row[f"probability_{name}"] for name in chances} == pytest.approx(chances, abs=1e-6)
        assert row["set"] == list(answer.set) and row["error"] is None
    assert {row["sure"] for row in rows} == {True, False}
    assert not list(tmp_path.glob("*.shards"))
    for ending in ("csv", "jsonl"):
        assert hfft("predict", str(run), source, "--output", str(tmp_path / f"out.{ending}"), "--keep", "id") == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == [row["prediction"] for row in rows]
    cells = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [cell["sure"] == "true" for cell in cells] == [row["sure"] for row in rows]
    assert [cell["set"].split("|") if cell["set"] else [] for cell in cells] == [row["set"] for row in rows]


def test_bad_rows_are_told_and_lose_no_others(run, tmp_path, capsys, small_parts):
    path = tmp_path / "in.csv"
    path.write_bytes(b'id,text\n1,good\n2,\n3,caf\xe9\n4\n5,a,b\n6,\xe2\x80\x8b\n\n7,"two\nlines"\n')
    out = tmp_path / "out.jsonl"
    assert hfft("predict", str(run), str(path), "--output", str(out), "--keep", "id", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["error"]) for row in rows] == [
        ("1", None),
        ("2", "the text is empty"),
        ("3", "line 4 is not UTF-8 (byte 0xe9)"),
        ("4", "line 5 has 1 of 2 fields"),
        ("5", "line 6 has 3 fields where the header has 2"),
        ("6", "the text is empty"),
        ("7", None),
    ]
    assert all((row["prediction"] is None) == (row["error"] is not None) for row in rows)
    assert facts["rows"] == 7 and facts["answered"] == 2 and facts["first_problem"]["row"] == 2
    assert facts["problems"] == {
        "the text is empty": 2,
        "line … is not UTF-8 (byte …)": 1,
        "line … has … of … fields": 1,
        "line … has … fields where the header has …": 1,
    }
    path.write_text("text\n \n")
    assert hfft("predict", str(run), str(path), "--output", str(tmp_path / "none.csv")) == 2, "no row was answered"


def test_jsonl_and_parquet(run, tmp_path, capsys, small_parts):
    path, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    path.write_text('{"text": "a", "n": 1}\n{"text": 5, "n": 2.5}\n{oh\n[1]\n{"n": 4}\n{"text": "b", "n": "x"}\n')
    assert hfft("predict", str(run), str(path), "--output", str(out), "--keep", "n") == 0
    told = [row["error"] for row in table(out)]
    assert told[0] is None and told[5] is None and "expected text" in told[1] and "line 3 is no JSON" in told[2]
    assert told[3] == "line 4: an array" and told[4] == "the text is missing"
    kept = tmp_path / "in.parquet"
    pq.write_table(pa.table({"tweet": TEXTS, "who": [1, 2, None, 4]}), kept, row_group_size=3)
    assert hfft("predict", str(run), str(kept), "--output", str(out), "--overwrite", "--text-column", "tweet",
                "--keep", "who", "--short") == 0  # fmt: skip
    assert [row["who"] for row in table(out)] == [1, 2, None, 4] and "probability_neutral" not in table(out)[0]


def test_lines_come_and_go_one_by_one(run, monkeypatch, capsys):
    """What has come is answered before more is waited for; garbage costs its own line."""
    said: list[int] = []

    chunks = [b"one\ntwo\n", b"thr", b"ee\r\n\xff\xfe\n", b"last", b""]

    def read1(size):
        said.append(len(capsys.readouterr().out.splitlines()))
        return chunks.pop(0)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read1=read1)))
    assert hfft("predict", str(run), "-") == 0
    assert said == [0, 2, 0, 2, 0], "lines that were out before each further read"
    row = json.loads(capsys.readouterr().out)
    assert row["row"] == 5 and row["prediction"]


@pytest.mark.parametrize(
    ("data", "words", "told"),
    [
        ("twet\nx\n", [], "no column 'text' for the text (did you mean 'twet'?); it has twet; type --columns text="),
        ("text,text\na,b\n", [], "line 1: two columns are called 'text'"),
        ("", [], "is empty: expected a first line"),
        ("text\na\n", ["--keep", "idd"], "--keep: "),
        ("text\na\n", ["--engine", "onx"], "--engine: no 'onx' (did you mean 'onnx'?)"),
        ("text\na\n", ["--engine", "onnx"], "has no onnx export; type hfft export"),
        ("text\na\n", ["--shard", "9/8"], "--shard: expected a number and of how many, such as 3/8, got '9/8'"),
        ("text\na\n", ["--output", "out.xls"], "expected a name that ends in .parquet, .csv, .jsonl"),
        ("text\na\n", ["--output", "in.csv", "--overwrite"], "is the input itself"),
        ("text\na\n", ["--encoding", "utf-99"], "Python knows no 'utf-99'"),
        ("te\0xt\na\n", [], "line 1: a NUL byte, so this is no text"),
        ("text\na\n", ["--columns", "txt=a"], "no role 'txt' (did you mean 'text'?)"),
        ("text\na\n", ["--set", "las"], "--set: no 'las'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(run, tmp_path, monkeypatch, capsys, data, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text(data)
    assert hfft("predict", str(run), "in.csv", *words) == 2
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"], "nothing is written"


def test_nothing_is_overwritten_and_a_header_alone_is_no_rows(run, tmp_path, capsys):
    source, out = write_csv(tmp_path / "in.csv", []), tmp_path / "out.csv"
    assert hfft("predict", str(run), source, "--output", str(out)) == 0
    assert (
        out.read_text().startswith("row,prediction,probability,sure,set,probability_")
        and out.read_text().count("\n") == 1
    )
    assert hfft("predict", str(run), source, "--output", str(out)) == 2
    assert "exists; type another name, or --overwrite" in capsys.readouterr().err


def test_a_stopped_try_goes_on_with_what_is_missing(run, tmp_path, capsys, monkeypatch, small_parts):
    """Killed in the middle of a part, then begun again: the same bytes, and only the missing parts are computed."""
    source, whole, out = write_csv(tmp_path / "in.csv", TEXTS * 5), tmp_path / "whole.parquet", tmp_path / "out.parquet"
    assert hfft("predict", str(run), source, "--output", str(whole)) == 0
    asked: list[int] = []
    real = inferring.Answerer.attempted

    def stops(self, inputs):
        asked.append(len(inputs))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(self, inputs)

    monkeypatch.setattr(inferring.Answerer, "attempted", stops)
    capsys.readouterr()
    assert hfft("predict", str(run), source, "--output", str(out)) == 130
    assert "finished parts are in" in capsys.readouterr().err and not out.exists()
    assert sorted(path.name for path in tmp_path.glob("out.parquet.shards/*.parquet")) == [
        "000000.parquet",
        "000001.parquet",
    ]
    assert hfft("predict", str(run), source, "--output", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out)["parts"] == {"all": 5, "made": 3}
    assert out.read_bytes() == whole.read_bytes() and not list(tmp_path.glob("*.shards"))


def test_parts_of_another_input_are_not_taken(run, tmp_path, capsys, small_parts):
    source, out = write_csv(tmp_path / "in.csv", TEXTS * 2), tmp_path / "out.csv"
    assert hfft("predict", str(run), source, "--output", str(out), "--shard", "1/2") == 0
    assert not out.exists() and len(list(tmp_path.glob("out.csv.shards/*.parquet"))) == 1
    write_csv(tmp_path / "in.csv", TEXTS[::-1] * 2)
    assert hfft("predict", str(run), source, "--output", str(out), "--shard", "2/2") == 2
    assert "holds another try's answers (input differ)" in capsys.readouterr().err
    assert hfft("predict", str(run), source, "--output", str(out), "--overwrite") == 0
    assert len(out.read_text().splitlines()) == 9


def test_processes_share_the_rows_and_make_the_same_file(run, tmp_path, capsys, small_parts):
    """Two of a launch, and three without one, one after the other: each row once, the same bytes."""
    source = write_csv(tmp_path / "in.csv", [text * n for n in range(1, 8) for text in TEXTS])
    one, out = tmp_path / "one.parquet", tmp_path / "three.parquet"
    assert hfft("predict", str(run), source, "--output", str(one)) == 0
    for shard in ("2/3", "3/3", "1/3"):
        assert not out.exists()
        assert hfft("predict", str(run), source, "--output", str(out), "--shard", shard) == 0
    assert out.read_bytes() == one.read_bytes()
    script = tmp_path / "small.py"
    script.write_text("from hfft import bulk\nfrom hfft.cli import main\nbulk.SIZES['text'] = 4\nmain()\n")
    together("small.py", "predict", str(run), source, "--output", "two.parquet", cwd=tmp_path)
    assert (tmp_path / "two.parquet").read_bytes() == one.read_bytes() and not list(tmp_path.glob("*.shards"))


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    shards = answer_files.Shards(tmp_path / "out.csv", {"version": 1})
    shards.begin(False)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answer_files.pq, "write_table", full)
    with pytest.raises(InputError, match=r"the disk is full: .*out\.csv is not written; finished parts are kept"):
        shards.write(0, pa.table({"row": [1]}))
    assert [path.name for path in shards.folder.iterdir()] == ["plan.json"]


def test_a_folder_of_pictures(pictures, tmp_path, capsys, small_parts):
    """At any depth, in the order of paths; a broken one is a row that says so."""
    root = tmp_path / "in"
    (root / "deep").mkdir(parents=True)
    draws = np.random.default_rng(0)
    for name in ("b.png", "a.png", "deep/c.jpg"):
        Image.fromarray(draws.integers(0, 255, (20, 16, 3), dtype=np.uint8)).save(root / name)
    (root / "deep" / "d.png").write_bytes(b"no picture")
    (root / "notes.txt").write_text("x")
    out = tmp_path / "out.parquet"
    assert hfft("predict", str(pictures), str(root), "--output", str(out)) == 0
    err = capsys.readouterr().err
    assert "1 files are no pictures and are left out" in err and "1 rows have no answer; the first is row 4" in err
    rows = table(out)
    assert [row["file"] for row in rows] == ["a.png", "b.png", "deep/c.jpg", "deep/d.png"]
    assert "not an image" in rows[3]["error"] and rows[3]["prediction"] is None
    called = package.load(pictures).predict([str(root / row["file"]) for row in rows[:3]])
    assert [next(iter(chances)) for chances in called] == [row["prediction"] for row in rows[:3]]


def test_kept_columns_of_several_types_become_one(tmp_path):
    tables = [pa.table({"n": [1]}), pa.table({"n": [2.5]}), pa.table({"n": pa.array([None])})]
    parts = [tmp_path / f"{number}.parquet" for number in range(3)]
    for part, made in zip(parts, tables, strict=True):
        pq.write_table(made, part)
    answer_files.write(tmp_path / "a.parquet", ".parquet", parts)
    assert pq.read_table(tmp_path / "a.parquet")["n"].to_pylist() == [1.0, 2.5, None]
    pq.write_table(pa.table({"n": ["x"]}), parts[1])
    answer_files.write(tmp_path / "b.parquet", ".parquet", parts)
    assert pq.read_table(tmp_path / "b.parquet")["n"].to_pylist() == ["1", "x", None]


def test_batches_hold_each_row_once_within_their_bounds():
    lengths = np.random.default_rng(1).integers(1, 300, 2000)
    made = list(forwarding.batches(lengths, tokens=1024, rows=50, fewest=8))
    assert sorted(np.concatenate(made)) == list(range(2000))
    padded = sum(int(lengths[places].max()) * len(places) for places in made)
    assert all(len(p) <= 50 and (len(p) == 1 or lengths[p].max() * len(p) <= 1024) for p in made)
    assert padded < 1.02 * lengths.sum()


def test_packed_layers_compute_the_same():
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(24, 48), torch.nn.GELU(), torch.nn.Linear(48, 3, bias=False)).eval()
    x = torch.randn(7, 5, 24)
    before = model(x).detach()
    assert packed_linear.pack(model) == (2 if packed_linear._works() else 0)
    with torch.inference_mode():
        assert torch.allclose(model(x), before, atol=1e-5)


def test_a_rule_by_bias_thresholds_and_sets():
    raw = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], dtype=np.float32)
    rule = Rule(("a", "b", "c"), False, 1.0, np.array([0.0, 1.0, 0.0]), None, {"threshold": 0.4}, np.full(3, 0.75))
    first, second = rule.answers(raw)
    assert (first.prediction, first.sure, list(first.probabilities)) == ("", False, ["b", "a", "c"])
    assert first.set == ("b", "a") and (second.prediction, second.sure) == ("b", True)
    tags = Rule(("a", "b", "c"), True, 2.0, None, np.array([0.5, 0.4, 0.3])).answers(raw)
    assert [tag.prediction for tag in tags] == [("a",), ("b", "c")] and tags[0].set is None
    assert tags[0].probabilities["a"] == pytest.approx(1 / (1 + np.sqrt(0.4 / 0.6)))
    unkept = Rule(("a", "b", "c"), False, abstain={"threshold": None}).answers(raw)[0]
    assert (unkept.prediction, unkept.sure) == ("a", False), "no threshold keeps the promise"


def test_engines_are_named():
    assert engines.known("onnx-int8") == "onnx-int8"
    assert input_rows.kind_of("x.NDJSON", None) == "jsonl"
    assert list(answer_files.csv_lines(pa.schema([("a", pa.int64())]), [])) == ["a\n"]
    assert bulk.dealt("3/8") == (2, 8)
