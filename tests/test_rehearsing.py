"""A rehearsal tells everything that would stop the run, in one list with fixes, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
from collections import namedtuple
from pathlib import Path

import datasets
import pytest
import safetensors.torch

from hfft import (
    backbones,
    checkpoints,
    display_rehearsal,
    evaluate_modules,
    excerpts,
    recipe,
    rehearsing,
    reporting,
    rooms,
    scoring,
    training,
)
from hfft.errors import InputError
from hfft.problems import Trial
from hfft.recipe import Split
from hfft.records import SplitReport
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.layouts import BERT, LABELS, VIT, image_rows, text_rows

MODALITY = {kind: rooms.find("modalities", tree["task"]) for kind, tree in (("bert", BERT), ("vit", VIT))}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(excerpts, "STEPS", 5)


def parts(rows: datasets.Dataset) -> tuple[datasets.Dataset, datasets.Dataset]:
    """Training and validation rows as a split has them."""
    labels = [LABELS[i] for i in rows["labels"][:]]
    whole = rows.remove_columns("labels").add_column("label", labels)
    whole = whole.add_column("id", [f"row{i}" for i in range(len(rows))])
    return whole.select(range(48)), whole.select(range(48, 64))


def play(tmp_path: Path, kind: str = "bert", run: Path | None = None, split=None, **changes):
    """The rehearsal of a tiny random model on 64 rows; its folder is asserted to be as it was."""
    base = BERT if kind == "bert" else VIT
    changes["train"] = {"learning_rate": 5e-5} | changes.get("train", {})
    wanted = recipe.build({**base, **changes})
    (tmp_path / "data").mkdir()
    rows = text_rows(tmp_path / "data") if kind == "bert" else image_rows()
    before = sorted(tmp_path.rglob("*"))
    folder = RunFolder(run or tmp_path / "runs" / "mine")
    done = rehearsing.rehearse(wanted, LABELS, *parts(rows), folder, split=split)
    assert sorted(tmp_path.rglob("*")) == before
    return done


def steps(done) -> list[str]:
    assert all(problem.what and problem.fix for problem in done.problems)
    return [problem.step for problem in done.problems]


@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_a_good_recipe_has_a_quote_and_no_problem(kind, tmp_path):
    train = {"per_device_train_batch_size": 8, "num_train_epochs": 3}
    gates = {"f1_macro": ">= 0.5"} | ({"probe.typos.flip_rate": "<= 0.05"} if kind == "bert" else {})
    done = play(tmp_path, kind, train=train, gates=gates)
    assert (done.problems, done.notes) == ((), ())
    assert (done.quote.steps, done.quote.evaluations, done.quote.steps_measured) == (18, 3, 4)
    assert 0 < done.quote.low < done.quote.high
    assert done.quote.memory_gb > 0.1 and 0 < done.quote.disk_kept_mb < done.quote.disk_peak_mb < 100


def test_the_page_is_made_of_what_was_really_dealt(tmp_path):
    """A page that cannot tell of copies would otherwise be found out after training."""
    counts = {name: dict.fromkeys(LABELS, 100) for name in ("train", "validation", "test")}
    pair = {"split": "test", "with": "train", "rows": 2, "exact": 2, "normalised": 0, "near": 0, "similar": 0}
    leaks = {"policy": "drop", "left_out": {"train": 2}, "note": ""}
    whole = leaks | {"overlaps": [pair | {"conflicting": 1, "groups": 0}]}
    method = dataclasses.asdict(Split()) | {"seed": 1, "rows_read": 900, "limit": None}
    done = play(tmp_path, split=SplitReport(method, counts, {}, [], whole))
    assert not done.problems
    assert done.quote.steps == 57, "300 rows in batches of 16, three times: the split's rows, not the sample's"
    shutil.rmtree(tmp_path / "data")
    assert steps(play(tmp_path, split=SplitReport({"by": "random"}, counts, {}, [], leaks | {"overlaps": [{}]}))) == [
        "report"
    ]


def test_all_problems_come_in_one_list(tmp_path, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    monkeypatch.setattr(reporting, "render", lambda _: (_ for _ in ()).throw(KeyError("headline")))
    occupied = tmp_path / "full"
    occupied.mkdir()
    (occupied / "thesis.docx").write_text("mine")
    done = play(tmp_path, run=occupied, gates={"f1_marco": ">= 0.5", "acuracy": ">= 0.5"})
    assert steps(done) == ["gates", "gates", "report", "disk"]
    what = [problem.what for problem in done.problems]
    assert "did you mean 'f1_macro'" in what[0] and "did you mean 'accuracy'" in what[1]
    assert "KeyError: 'headline' (test_rehearsing.py, line" in what[2]
    assert "0 MB are free" in what[3] and "save_total_limit=1" in what[3]
    assert "not empty (thesis.docx)" in done.notes[0] and f"{occupied}-2" in done.notes[0], "no fault of the recipe"
    assert (occupied / "thesis.docx").read_text() == "mine"


def test_a_model_that_cannot_be_used(tmp_path):
    done = play(tmp_path, model={"name": "timm/test_vit"}, gates={"f1": ">= 0.5"})
    assert steps(done) == ["gates", "model"] and done.quote is None
    assert "is an image model" in done.problems[1].what and "model.name" in done.problems[1].fix
    assert "there is no model" in done.notes[0]


def test_a_head_that_does_not_fit_the_classes(tmp_path):
    done = play(tmp_path, model={**BERT["model"], "config": {"num_labels": 7}})
    assert steps(done)[0] == "model"


def test_a_processor_that_breaks(tmp_path, monkeypatch):
    load = backbones.load

    def broken(*given):
        def tokenizer(*_, **__):
            raise IndexError("no piece of the vocabulary")

        tokenizer.model_max_length = 512
        return dataclasses.replace(load(*given), processor=tokenizer)

    monkeypatch.setattr(backbones, "load", broken)
    done = play(tmp_path)
    assert steps(done) == ["inputs"] and done.quote is None
    assert "IndexError: no piece of the vocabulary" in done.problems[0].what
    assert "there are no inputs" in done.notes[0]


def test_a_learning_rate_that_makes_the_loss_nan_hides_nothing_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "score", lambda *_: (_ for _ in ()).throw(ZeroDivisionError("division by zero")))
    done = play(tmp_path, train={"learning_rate": 1e30, "max_grad_norm": 0.0})
    assert steps(done) == ["training steps", "scores"] and done.quote is None
    assert "became" in done.problems[0].what and "lower train.learning_rate" in done.problems[0].what


def test_wrong_arguments_leave_the_end_to_be_rehearsed(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "card", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    train = {"save_strategy": "steps", "save_steps": 7, "per_device_train_batch_size": 0}
    done = play(tmp_path, train=train)
    assert steps(done) == ["training arguments", "report"]
    assert "save" in done.problems[0].what and "the disk is full" in done.problems[1].fix
    assert done.quote is None and "training" in done.notes[0]


def test_a_mistyped_metric_does_not_hide_what_training_does(tmp_path):
    train = {"metric_for_best_model": "f1_marco", "learning_rate": 1e30, "max_grad_norm": 0.0}
    done = play(tmp_path, train=train)
    assert steps(done) == ["best metric", "training steps"]
    assert "did you mean 'f1_macro'" in done.problems[0].what and "became" in done.problems[1].what


def test_validation_that_fails_is_told_as_validation(tmp_path, monkeypatch):
    class Broken:
        def compute(self, **_):
            raise KeyError("eval_f1")

    monkeypatch.setattr(evaluate_modules, "load", lambda *_: Broken())
    done = play(tmp_path)
    assert steps(done) == ["validation"] and "KeyError: 'eval_f1'" in done.problems[0].what


def test_a_checkpoint_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "seal", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    done = play(tmp_path)
    assert steps(done) == ["checkpoint"] and "disk is full" in done.problems[0].fix


def test_memory_that_runs_out_says_which_batch_takes_the_same_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "loss_function", lambda *_: lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    done = play(tmp_path, train={"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2})
    assert steps(done) == ["first step"]
    assert "per_device_train_batch_size=4 train.gradient_accumulation_steps=4" in done.problems[0].fix


@pytest.mark.parametrize("harm", ["tensor", "names"])
def test_a_save_that_loses_something(harm, tmp_path, monkeypatch):
    save = training.save

    def losing(trainer, backbone, run):
        save(trainer, backbone, run)
        if harm == "tensor":
            file = run.model / "model.safetensors"
            tensors = safetensors.torch.load_file(file)
            del tensors["classifier.weight"]
            safetensors.torch.save_file(tensors, file, {"format": "pt"})
        else:
            config = json.loads((run.model / "config.json").read_text())
            config["id2label"] = {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
            (run.model / "config.json").write_text(json.dumps(config))

    monkeypatch.setattr(training, "save", losing)
    done = play(tmp_path)
    assert steps(done)[0] == "reloading"
    assert {"tensor": "1 tensors are not the same after saving and reloading: classifier.weight"}.get(
        harm, "LABEL_0"
    ) in done.problems[0].what


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    done = play(tmp_path, run=tmp_path / "file" / "runs")
    assert steps(done) == ["run folder"] and "cannot be written to" in done.problems[0].what
    assert "--output-dir" in done.problems[0].what
    assert done.quote is not None, "all else is rehearsed elsewhere"


def test_inputs_that_make_no_sense_to_the_model_are_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsing, "MAKES_NO_SENSE", 0.5)
    done = play(tmp_path)
    assert len(done.notes) == 1 and "(ln 3)" in done.notes[0] and not done.problems


@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_the_largest_rows_come_first_and_are_in_memory(kind, tmp_path):
    rows = parts(text_rows(tmp_path) if kind == "bert" else image_rows())[0]
    sizes = MODALITY[kind].extents(rows)
    found = excerpts._sample(MODALITY[kind], rows, 3, 10, 0)
    assert len(found) == 10 and not found.cache_files and len(set(found["id"][:])) == 10
    assert MODALITY[kind].extents(found)[:3].tolist() == sorted(sizes, reverse=True)[:3]
    assert len(excerpts._sample(MODALITY[kind], rows, 3, 1000, 0)) == len(rows)


def test_an_attempt_tells_everything_and_stops_for_a_person(tmp_path):
    trial = Trial(recipe.build(BERT), {}, LABELS, MODALITY["bert"], RunFolder(tmp_path))

    def several():
        raise InputError("one\n  two")

    assert trial.attempt("a", "fix", several) is None
    assert [(p.step, p.what) for p in trial.problems] == [("a", "one"), ("a", "two")]
    assert trial.attempt("b", "fix", lambda: 5) == 5
    with pytest.raises(KeyboardInterrupt):
        trial.attempt("c", "fix", lambda: (_ for _ in ()).throw(KeyboardInterrupt))


def test_several_processes_are_refused_before_anything_is_read(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert hfft("check", "tiny_textcls") == 2
    out = capsys.readouterr()
    assert "2 were launched" in out.err and not out.out


def test_the_command_line_prints_the_list_and_ends_with_2(tmp_path, monkeypatch, capsys, tiny_csv):
    monkeypatch.chdir(tmp_path)
    path = tiny_csv(*((f"the fox jumps {i} times", LABELS[i % 3]) for i in range(60)))
    (tmp_path / "mine.yaml").write_text(json.dumps({**BERT, "data": {"path": path}}))
    words = ("check", "mine.yaml", "gates={f2: '>= 0.5'}")
    assert hfft(*words, "--hub", "maria/tickets") == 2
    out = capsys.readouterr().out
    assert "2 problems would stop the run" in out
    assert "  1. gates: no metric 'f2'" in out and "  2. Hub: HF_HUB_OFFLINE is set" in out
    assert out.count("     fix: ") == 2 and "quote: " in out and "Next:" not in out
    assert hfft(*words[:2], "--json") == 0
    facts = json.loads(capsys.readouterr().out)["rehearsal"]
    assert facts["problems"] == [] and facts["quote"]["steps"] == 9
    display_rehearsal.rehearsal(facts, "hfft run mine.yaml")
    out = capsys.readouterr().out
    assert "nothing stands in the way; nothing was kept" in out and "Next:   hfft run mine.yaml" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "mine.yaml"]


def test_fast_reads_only(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("check", "tiny_textcls", "--fast")
    assert hfft(*words) == 0
    assert "quote" not in capsys.readouterr().out
    assert hfft(*words, "gates={f2: '>= 0.5'}") == 2
    assert "no metric 'f2'" in capsys.readouterr().err
    assert hfft(*words, "--hub", "maria/tickets") == 2


def test_a_run_that_could_not_be_kept_does_not_begin(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    assert hfft("run", "tiny_textcls", "--output-dir", str(tmp_path / "file" / "run")) == 2
    assert "cannot be written to" in capsys.readouterr().err
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    assert hfft("run", "tiny_textcls", "--output-dir", str(tmp_path / "run")) == 2
    assert "the model and its checkpoints need 16 MB" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
