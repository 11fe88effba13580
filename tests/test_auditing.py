"""`hfft labels` through the real command line: what it lists, what it reads, and what it leaves closed."""

from __future__ import annotations

import csv
import json
import shutil
import sys

import numpy as np
import pytest

from hfft import backbones, recipe, rooms
from hfft.records import Predictions
from hfft.run_folder import RunFolder
from tests.command import hfft

PLANTED = 6


@pytest.fixture(scope="module", params=["tiny_textcls", "tiny_imgcls"])
def finished(request, tmp_path_factory):
    """A finished run whose model is made out to be sure of every validation label but six."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / request.param)
    assert hfft("run", request.param, "train.max_steps=1", "--output-dir", str(folder.root)) == 0
    sharpen(folder, "validation")
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy that a test may change."""
    return RunFolder(shutil.copytree(finished.root, tmp_path / finished.root.name))


def sharpen(folder: RunFolder, split: str) -> None:
    found = Predictions.read(folder.predictions(split))
    at = found.labels.copy()
    at[:PLANTED] = (at[:PLANTED] + 1) % len(found.names)
    scores = np.full(found.scores.shape, 0.1 / (len(found.names) - 1), dtype=np.float32)
    scores[np.arange(found.n), at] = 0.9
    Predictions(found.ids, found.labels, at, scores, found.names).write(folder.predictions(split))


def rows_of(run: RunFolder) -> list[dict[str, str]]:
    with (run.root / "suspicious_labels.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_validation_rows_are_listed_with_their_inputs(run, capsys):
    assert hfft("labels", str(run.root), "--json") == 0
    facts, rows = json.loads(capsys.readouterr().out), rows_of(run)
    saved = Predictions.read(run.predictions("validation"))
    assert set(facts["splits"]) == {row["split"] for row in rows} == {"validation"}
    assert {row["id"] for row in rows} == set(saved.ids[:PLANTED])
    assert facts["splits"]["validation"]["flagged"] == len(rows) == len(facts["doubts"]) == PLANTED
    assert [row["id"] for row in rows] == [row["id"] for row in facts["doubts"]]
    text = "text" in run.root.name
    assert ("text" in rows[0]) == text and "image" not in rows[0], "a row of pixel numbers has no path"
    for row in rows if text else []:
        inspected = rooms.find("modalities", "text_classification").inspect({"text": [row["text"].removeprefix("'")]})
        assert row["id"].startswith(inspected["content"][0]), "the text is the row's own"
        assert row["id"].endswith(f"-{row['label']}")
    part = facts["splits"]["validation"]
    kept = (saved.labels == saved.predicted).mean()
    assert part["as_labelled"]["accuracy"]["value"] == pytest.approx(kept)
    assert part["without_flagged"]["accuracy"]["value"] == 1 and part["without_flagged"]["accuracy"]["n"] < saved.n


def test_nothing_is_opened_and_no_score_is_written(run):
    before = {path.name: path.read_bytes() for path in run.root.iterdir() if path.is_file()}
    assert hfft("labels", str(run.root)) == 0
    assert not run.ledger.exists() and not run.predictions("test").exists()
    after = {path.name: path.read_bytes() for path in run.root.iterdir() if path.is_file()}
    assert after.pop("suspicious_labels.csv") and after == before


def test_the_terminal_shows_rows_sentence_and_file(run, capsys):
    assert hfft("labels", str(run.root)) == 0
    out = capsys.readouterr().out
    assert "6 labels of" in out and "Flagged is not proven wrong" in out and "report the first column" in out
    assert str(run.root / "suspicious_labels.csv") in out and "0.900" in out
    assert rows_of(run)[0]["suggested"] in out


def test_an_opened_test_split_is_judged_without_another_opening(run):
    if "img" in run.root.name:
        pytest.skip("the same for every modality")
    assert hfft("eval", str(run.root)) == 0
    sharpen(run, "test")
    ledger = run.ledger.read_bytes()
    assert hfft("labels", str(run.root)) == 0
    rows = rows_of(run)
    assert {row["split"] for row in rows} == {"validation", "test"} and run.ledger.read_bytes() == ledger
    sure = [float(row["confidence_in_label"]) for row in rows]
    assert sure == sorted(sure)


def test_training_rows_are_judged_by_the_pretrained_model(run, capsys, monkeypatch):
    def refuse(*_):
        raise AssertionError("the run's own weights have seen these labels")

    monkeypatch.setattr(backbones, "reload", refuse)
    assert hfft("labels", str(run.root), "--train", "--json") == 0
    answer = capsys.readouterr()
    facts = json.loads(answer.out)
    assert set(facts["splits"]) == {"validation", "train"}
    train = facts["splits"]["train"]
    assert train["n"] == sum(json.loads(run.split.read_text())["counts"]["train"].values())
    assert "as_labelled" not in train, "a linear model's score is not the run's"
    assert "random weights" in answer.err
    if "text" in run.root.name:
        first = rows_of(run)
        assert hfft("labels", str(run.root), "--train") == 0
        assert rows_of(run) == first


def test_without_the_data_rows_are_listed_without_inputs(run, capsys):
    wanted = recipe.read_yaml(run.root / "recipe.yaml")
    name = wanted["data"]["data_files"]
    text = (run.root / "recipe.yaml").read_text().replace(name, "gone.csv")
    (run.root / "recipe.yaml").write_text(text)
    assert hfft("labels", str(run.root)) == 0
    assert "listed without their inputs" in capsys.readouterr().out
    rows = rows_of(run)
    assert len(rows) == PLANTED and "text" not in rows[0]
    assert hfft("labels", str(run.root), "--train") == 2
    assert "gone.csv" in capsys.readouterr().err


def test_without_cleanlab_it_says_what_to_type(run, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "cleanlab.filter", raising=False)
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    assert hfft("labels", str(run.root)) == 2
    assert "pip install 'hfft[labels]'" in capsys.readouterr().err
    assert not (run.root / "suspicious_labels.csv").exists()


def test_a_streamed_run_is_told_what_works(run, capsys):
    text = (run.root / "recipe.yaml").read_text()
    assert "streaming: false" in text
    (run.root / "recipe.yaml").write_text(text.replace("streaming: false", "streaming: true"))
    assert hfft("labels", str(run.root), "--train") == 2
    assert "leave --train out" in capsys.readouterr().err
