"""Runs that are killed, stopped or damaged, and go on: the short version of benchmarks/survival.py."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import signal
from types import SimpleNamespace

import pytest

from benchmarks import survival
from benchmarks.survival import ALL, Runs, cut, delete, flip, same
from hfft import checkpoints, recipe, resuming
from hfft.errors import InputError, Interrupted
from hfft.interrupting import Interruption
from hfft.records import read_json
from hfft.run_folder import RunFolder
from tests import stopped
from tests.command import hfft
from tests.processes import CONTEXT, together

# task → what is called when the process is killed, and at which call
KILLS = {
    "tiny_textcls": ("torch.save", 6),  # the second checkpoint is half written
    "tiny_imgcls": ("hfft.checkpoints.flush", 30),  # it is sealed, and not in its place
    "tiny_semseg": ("hfft.saving.rotate_checkpoints", 3),  # it is, and an older one has not gone
}


def dying(words, log, name, call):
    """A run that is killed when it calls a function for so many times."""
    module, _, function = name.rpartition(".")
    place = importlib.import_module(module)
    real, calls = getattr(place, function), []

    def counted(*given, **named):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)

    setattr(place, function, counted)
    survival.run(words, log)


def killed(runs, root, name, call):
    words = (runs.task, *runs.words, "--output-dir", str(root))
    process = CONTEXT.Process(target=dying, args=(words, root.with_suffix(".log"), name, call))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL, runs.log(root)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """An undisturbed run that keeps all of its checkpoints."""
    return Runs("tiny_textcls", ALL, tmp_path_factory.mktemp("texts") / "runs", CONTEXT.Process)


@pytest.mark.parametrize("task", KILLS)
def test_a_run_that_is_killed_in_a_save_resumes_and_ends_bit_for_bit_as_if_nothing_had_been(task, tmp_path):
    runs, root = Runs(task, (), tmp_path / "runs", CONTEXT.Process), tmp_path / "killed"
    killed(runs, root, *KILLS[task])
    assert list((root / "checkpoints").glob(f"{checkpoints.HIDDEN}*")) or "rotate" in KILLS[task][0]
    assert runs.resumed(root) == 0, runs.log(root)
    assert "resuming from" in runs.log(root)
    assert same(runs.whole, root) == []
    assert not list((root / "checkpoints").glob(f"{checkpoints.HIDDEN}*"))
    assert len(list((root / "checkpoints").glob("checkpoint-*"))) <= 2, "one best, one last"


def test_killed_after_its_last_step_it_takes_none_more(texts, tmp_path):
    """In the middle of an epoch: Trainer itself would train on, and then see that it is over."""
    root = tmp_path / "killed"
    killed(texts, root, "hfft.training.save", 1)
    assert texts.resumed(root) == 0, texts.log(root)
    assert same(texts.whole, root) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(number, texts, tmp_path, monkeypatch, capfd):
    root, before = tmp_path / "run", [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    monkeypatch.setattr("hfft.judging.publish", lambda _: [])
    words = ("run", texts.task, *texts.words, "train.save_steps=8", "train.eval_steps=8", "--output-dir", str(root))
    stopped.stop_at(5, number)
    assert hfft(*words) == 130
    name = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}[number]
    said = capfd.readouterr().err
    assert f"stopped by {name} at step 5 of 8, which is saved; type `hfft run {root} --resume` to go on" in said
    assert [path.name for path in (root / "checkpoints").glob("checkpoint-*")] == ["checkpoint-5"]
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before
    assert hfft("run", str(root), "--resume") == 0
    history = [[row for row in survival._rows(run / "history.json") if "loss" in row] for run in (texts.whole, root)]
    assert history[0] == history[1], "also the mean loss of the steps before and after the stop"
    point = "checkpoints/checkpoint-8/model.safetensors"
    assert (root / point).read_bytes() == (texts.whole / point).read_bytes()


def test_a_checkpoint_of_a_stop_is_none_of_those_that_are_averaged_or_rotate(texts, tmp_path, monkeypatch):
    monkeypatch.setattr("hfft.judging.publish", lambda _: [])
    words = [*texts.words, "train.save_steps=2", "train.eval_steps=2", "train.save_total_limit=4", "adapt.average=3"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert hfft("run", texts.task, *words, "--output-dir", str(whole)) == 0
    stopped.stop_at(5, signal.SIGTERM)
    assert hfft("run", texts.task, *words, "--output-dir", str(cut)) == 130
    assert not checkpoints.planned(cut / "checkpoints" / "checkpoint-5")
    assert hfft("run", str(cut), "--resume") == 0
    assert same(whole, cut) == []
    assert [p.name for p in checkpoints.every(cut / "checkpoints")] == [f"checkpoint-{n}" for n in (2, 4, 6, 8)]


def test_a_second_signal_ends_at_once_and_none_is_lost_where_training_ends_in_another_way(tmp_path):
    done = []
    with pytest.raises(KeyboardInterrupt), Interruption(tmp_path).listening():
        for number in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            done.append(number)
    assert done == [0]
    with pytest.raises(KeyboardInterrupt) as caught, Interruption(tmp_path).listening():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("a trial is given up")
    assert isinstance(caught.value.__context__, ValueError)
    over = rf"the training is over.*hfft run {tmp_path} --resume"
    with pytest.raises(Interrupted, match=over), Interruption(tmp_path).listening():
        os.kill(os.getpid(), signal.SIGTERM)


def test_two_processes_stop_at_one_step_when_one_is_told_and_go_on(tmp_path):
    told = together("tests.stopped", str(tmp_path))
    assert f"[0, 130, 0] ['checkpoint-{stopped.TOLD}']" in told
    assert same(tmp_path / "whole", tmp_path / "cut", last=True) == []


@pytest.mark.parametrize("harm", [cut, delete, flip])
def test_every_file_that_is_damaged_is_found_and_named(harm, texts, tmp_path):
    files = sorted(path.name for path in (texts.whole / "checkpoints" / "checkpoint-5").iterdir())
    assert {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", checkpoints.SEAL} <= set(files)
    for name in files:
        for step in (4, 5):
            shutil.copytree(texts.whole / "checkpoints" / f"checkpoint-{step}", tmp_path / f"checkpoint-{step}")
        newer = tmp_path / "checkpoint-5"
        harm(newer / name)
        point, passed = checkpoints.newest(tmp_path)
        assert point == tmp_path / "checkpoint-4" and passed[newer].startswith(name)
        for step in (4, 5):
            shutil.rmtree(tmp_path / f"checkpoint-{step}")


@pytest.fixture
def unfinished(texts, tmp_path):
    """A copy of the run as it was after step 4."""
    root = tmp_path / "unfinished"
    shutil.copytree(texts.whole, root)
    shutil.rmtree(root / "model")
    for step in range(5, 9):
        shutil.rmtree(root / "checkpoints" / f"checkpoint-{step}")
    return RunFolder(root)


def begin(run, words=(), world=1, forced=False, said=None):
    args = SimpleNamespace(world_size=world, load_best_model_at_end=True)
    say = (said if said is not None else []).append
    return resuming.begin(run, recipe.load(str(run.root), words), args, forced, say)


def test_what_has_changed_is_refused_key_by_key_unless_it_is_forced(unfinished):
    words = ("train.learning_rate=2e-5", "train.weight_decay=0.1", "data.limit=140")
    with pytest.raises(InputError) as caught:
        begin(unfinished, words)
    lines = str(caught.value).split("\n")
    assert lines[0] == f"{unfinished.root} was begun with another recipe:"
    assert sorted(lines[1:4]) == [
        "  data.limit: was 150, now 140",
        "  train.learning_rate: was 0.001, now 2.0e-05",
        "  train.weight_decay: was not given, now 0.1",
    ]
    assert "--resume" in lines[4] and lines[4].endswith(", or add --force")
    with pytest.raises(InputError, match=r"another number of processes:\n  processes: was 1, now 2\n"):
        begin(unfinished, world=2)
    found = begin(unfinished, words, forced=True)
    assert found.point == unfinished.checkpoints / "checkpoint-4" and len(found.changes) == 3
    with pytest.raises(InputError, match=r"another model:\n  model.max_length: was 32, now 16\na checkpoint fits its"):
        begin(unfinished, ("model.max_length=16",), forced=True)
    assert begin(unfinished).changes == []


def best_is(run, step):
    """Let the newest checkpoint say that the best one so far is that of `step`."""
    newest = run.checkpoints / "checkpoint-4"
    state = read_json(newest / checkpoints.STATE)
    state |= {"best_model_checkpoint": f"elsewhere/checkpoint-{step}", "best_global_step": step, "best_metric": 1.0}
    (newest / checkpoints.STATE).write_text(json.dumps(state))
    checkpoints.seal(newest)
    return newest


def test_the_best_checkpoint_has_to_be_whole_as_well(unfinished):
    newest = best_is(unfinished, 4)
    older = unfinished.checkpoints / "checkpoint-3"
    shutil.rmtree(older, ignore_errors=True)
    shutil.copytree(newest, older)
    best_is(unfinished, 2)
    shutil.rmtree(unfinished.checkpoints / "checkpoint-2", ignore_errors=True)
    said = []
    assert begin(unfinished, said=said).point == older
    assert "checkpoint-4 is incomplete or damaged: its best one so far, checkpoint-2, cannot be used" in said[0]


def test_a_run_whose_only_flaw_is_its_best_checkpoint_is_not_begun_again_unasked(unfinished, capsys):
    """Its first save would remove all that was trained."""
    newest = best_is(unfinished, 2)
    for folder in unfinished.checkpoints.glob("checkpoint-*"):
        if folder != newest:
            delete(folder / "model.safetensors")
    assert hfft("run", str(unfinished.root), "--resume") == 2
    told = capsys.readouterr().err
    assert (
        f"{newest} is whole, but its best one so far, checkpoint-2, cannot be used: model.safetensors is miss" in told
    )
    assert "add --force to go on from checkpoint-4" in told and newest.is_dir()
    assert hfft("run", str(unfinished.root), "--resume", "--force") == 0
    forced = read_json(unfinished.environment)["forced"][0]
    assert "at step 4 with --force after a change (best checkpoint: its best one so far, checkpoint-2, cannot" in forced
    history = read_json(unfinished.root / "history.json")
    assert history[-1]["step"] > 4


def test_a_forced_resume_is_written_down_wherever_the_run_is_read(unfinished, monkeypatch, capsys):
    root = str(unfinished.root)
    assert hfft("run", root, "--force") == 2
    assert "type it with --resume" in capsys.readouterr().err
    assert hfft("run", root, "--resume", "train.learning_rate=2e-5") == 2
    assert "train.learning_rate: was 0.001, now 2.0e-05" in capsys.readouterr().err
    assert hfft("run", root, "--resume", "--force", "train.learning_rate=2e-5") == 0
    sentence = "training went on at step 4 with --force after a change (train.learning_rate: was 0.001, now 2.0e-05)"
    assert sentence in capsys.readouterr().out
    assert sentence in read_json(unfinished.environment)["forced"][0]
    assert sentence in unfinished.report.read_text()
    assert "training went on at step 4 with" in (unfinished.model / "README.md").read_text()
    assert recipe.load(root).train["learning_rate"] == 2e-5


def test_other_rows_are_refused_split_by_split(tmp_path, tiny_csv, monkeypatch, capsys):
    monkeypatch.setattr("hfft.judging.publish", lambda _: [])
    rows = [(hashlib.sha256(bytes([i])).hexdigest(), i % 2) for i in range(60)]
    mine = ["data.path=csv", f"data.data_files={tiny_csv(*rows)}", "data.columns={text: text, label: label}"]
    mine += ["train.max_steps=4", "train.save_strategy=steps", "train.save_steps=2"]
    mine += ["train.eval_strategy=steps", "train.eval_steps=2"]
    root = tmp_path / "run"
    stopped.stop_at(2, signal.SIGTERM)
    assert hfft("run", "tiny_textcls", *mine, "--output-dir", str(root)) == 130
    capsys.readouterr()
    tiny_csv(*((text, "good" if label else "bad") for text, label in rows))
    assert hfft("run", str(root), "--resume", "--force") == 2
    assert "was begun with other classes:\n  were 0, 1\n  are bad, good" in capsys.readouterr().err
    tiny_csv(*rows[:-20])
    assert hfft("run", str(root), "--resume") == 2
    told = capsys.readouterr().err
    assert re.search(r"was begun on other data:\n  data, train: was 42 rows \([0-9a-f]{12}\), now 28 rows \(", told)
    assert "of its rows were training rows before: its scores will flatter" in told
    assert hfft("run", str(root), "--resume", "--force") == 0
    assert "data, train: was 42 rows" in read_json(root / "environment.json")["forced"][0]


def test_a_save_at_the_end_of_an_epoch_waits_for_the_evaluation_there(tmp_path):
    from tests.layouts import fit

    train = {"num_train_epochs": 1, "max_steps": -1, "per_device_train_batch_size": 16, "save_strategy": "steps"}
    train |= {"save_steps": 2, "eval_strategy": "epoch"}
    fit("bert", tmp_path / "run", train)
    log = read_json(tmp_path / "run" / "checkpoints" / "checkpoint-4" / checkpoints.STATE)["log_history"]
    assert any("eval_loss" in row for row in log)
