"""The disk becomes full in the middle of a verb: one sentence, everything whole, and after room was made the same end.

The short version of benchmarks/full_disk.py: `judge` and `report` at each of their writes, `run` and `eval` at some.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from hfft import checkpoints, ledger, space_folder, storages
from hfft.errors import NoRoomError
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.full_disks import Disk, check_whole

WORDS = ("tiny_textcls", "data.limit=300", "probes.names=[]", "train.max_steps=4", "train.logging_steps=1")
WORDS += tuple(f"train.{kind}_{key}" for kind in ("save", "eval") for key in ("strategy=steps", "steps=2"))
SAME = ("model/model.safetensors", "predictions/validation.parquet", "metrics.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, list[str], list[str]]:
    """(a run that was scored, what `run` wrote in order, what `eval` wrote); beside it, as "trained", before that"""
    root = tmp_path_factory.mktemp("disk") / "run"
    disk = Disk(root)
    with disk.full():
        assert hfft("run", *WORDS, "--output-dir", str(root)) == 0
        first, disk.written = disk.written, []
        shutil.copytree(root, root.with_name("trained"))
        assert hfft("eval", str(root)) == 0
    assert len(first) > 20 and len(disk.written) > 20
    return root, first, disk.written


def told(capsys) -> str:
    """The one sentence on stderr."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hfft:")]
    assert len(lines) == 1 and "Traceback" not in lines[0]
    return lines[0]


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", ["judge", "report"])
def test_at_any_write_of_a_verb_that_needs_no_model(verb, whole, tmp_path, capsys):
    root = tmp_path / "run"
    shutil.copytree(whole[0], root)
    disk = Disk(root)
    with disk.full():
        assert hfft(verb, str(root)) == 0
    count, before = len(disk.written), files(root)
    assert count > 3
    for at in range(count):
        capsys.readouterr()
        with disk.full(at):
            assert hfft(verb, str(root)) == 2, f"write {at + 1} of {count}: {disk.written[-1]}"
        sentence = told(capsys)
        assert sentence == f"hfft: {root}: no space is left on this disk; make room, then type the same again"
        assert files(root) == before and check_whole(root) > 20
    assert hfft(verb, str(root)) == 0 and files(root) == before


@pytest.mark.parametrize("nth", ["second optimizer", "model", "last"])
def test_in_the_middle_of_a_run_that_then_goes_on_to_the_same_end(nth, whole, tmp_path, capsys):
    made, first, _ = whole
    at = {
        "second optimizer": [i for i, name in enumerate(first) if name.endswith("optimizer.pt")][1],
        "model": max(i for i, name in enumerate(first) if name.endswith("model.safetensors")),
        "last": max(i for i, name in enumerate(first) if "validation.parquet" in name),
    }[nth]
    root = tmp_path / "run"
    with Disk(root).full(at):
        assert hfft("run", *WORDS, "--output-dir", str(root)) == 2
    resume = f"hfft run {root} --resume"
    assert f"{root}: no space is left on this disk; make room, then type `{resume}`: what is" in told(capsys)
    assert not RunFolder(root).finished and check_whole(root) > 2
    point, damaged = checkpoints.newest(root / "checkpoints")
    assert point is not None and (point.name, len(damaged) < 2) == (f"checkpoint-{2 if nth[0] == 's' else 4}", True)
    assert hfft(*resume.split()[1:]) == 0
    trained = files(made.with_name("trained"))
    assert {name: files(root)[name] for name in SAME} == {name: trained[name] for name in SAME}


@pytest.mark.parametrize("file", ["recipe.yaml", "split.json", "split.parquet"])
def test_at_the_very_beginning_of_a_run_which_then_goes_on_as_the_sentence_says(file, whole, tmp_path, capsys):
    made, first, _ = whole
    root = tmp_path / "run"
    again = ("run", *WORDS, "--output-dir", str(root)) if file == "recipe.yaml" else ("run", str(root), "--resume")
    at = next(number for number, name in enumerate(first) if file in name)
    with Disk(root).full(at):
        assert hfft("run", *WORDS, "--output-dir", str(root)) == 2
    said = "the same again" if file == "recipe.yaml" else f"`hfft {' '.join(again)}`"
    assert f"{root}: no space is left on this disk; make room, then type {said}" in told(capsys)
    assert hfft(*again) == 0
    trained = files(made.with_name("trained"))
    assert {name: files(root)[name] for name in SAME} == {name: trained[name] for name in SAME}


@pytest.mark.parametrize("place", ["ledger", "answers"])
def test_in_the_middle_of_an_eval_which_is_one_look_only_once_a_row_was_seen(place, whole, tmp_path, capsys):
    made, _, second = whole
    root = tmp_path / "run"
    shutil.copytree(made.with_name("trained"), root)
    at = {
        "ledger": 0,
        "answers": next(i for i, name in enumerate(second) if "test.parquet" in name),
    }[place]
    capsys.readouterr()
    with Disk(root).full(at):
        assert hfft("eval", str(root)) == 2
    assert "make room" in told(capsys) and check_whole(root) > 10
    assert ledger.read(RunFolder(root)).count == (0 if place == "ledger" else 1)
    assert hfft("eval", str(root)) == 0
    same = ("predictions/test.parquet", "metrics.json", "baselines.json", "gates.json")
    assert {name: files(root)[name] for name in same} == {name: files(made)[name] for name in same}


def test_what_a_trial_or_a_fold_meets_ends_the_whole(tmp_path, capsys):
    """Not as a bad trial: every other one would meet it, too."""
    root = tmp_path / "cv"
    with Disk(root).full(6):
        assert hfft("cv", *WORDS, "--folds", "2", "--output-dir", str(root)) == 2
    assert "make room, then type `hfft cv tiny_textcls --resume` with the same words: what" in told(capsys)
    assert check_whole(root) > 2


def test_half_a_line_of_a_search_is_taken_back(tmp_path, monkeypatch):
    """optuna would never again read a file with such a line in the middle."""
    file = tmp_path / "trials.log"
    search = storages.optuna().create_study(storage=storages.opened(None, tmp_path))
    search.ask()
    before, real = file.read_bytes(), os.fsync

    def half(descriptor):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - 5)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", half)
    with pytest.raises(OSError, match="No space"), storages.reached(str(tmp_path)):
        search.ask()
    monkeypatch.setattr(os, "fsync", real)
    assert file.read_bytes() == before
    file.write_bytes(before + b'{"num')  # of a worker that was killed
    library, kept = storages.optuna(), storages.opened(None, tmp_path)
    again = library.load_study(study_name=search.study_name, storage=kept)
    again.ask()
    assert [trial.number for trial in again.trials] == [0, 1]


def test_half_a_space_is_none(tmp_path, monkeypatch):
    def no_room(*_):
        (tmp_path / "space" / "app.py").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(space_folder, "check", lambda _: None)
    monkeypatch.setattr(space_folder.recipe, "load", lambda _: None)
    monkeypatch.setattr(space_folder, "_facts", lambda *_: {})
    monkeypatch.setattr(space_folder, "_examples", no_room)
    for _ in range(2):  # the second time it is no stranger's folder
        with pytest.raises(OSError, match="No space"):
            space_folder.write(RunFolder(tmp_path), tmp_path / "space", None)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("when", ["line", "head"])
def test_a_line_of_the_ledger_that_does_not_fit_leaves_none(when, tmp_path, monkeypatch):
    run = RunFolder(tmp_path)
    ledger.scored(run, ledger.opened(run, 100, "ef" * 32, "ab" * 32), {"accuracy": 0.5})
    before = files(tmp_path)

    def half(file, line):
        file.write(line[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    def none(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, *(("_put", half) if when == "line" else ("write_whole", none)))
        with pytest.raises(NoRoomError, match="stays closed to looks that leave no line; make room"):
            ledger.opened(run, 100, "ef" * 32, "ab" * 32)
    assert files(tmp_path) == before
    assert ledger.opened(run, 100, "ef" * 32, "ab" * 32) == 2 and ledger.read(run).state == "chained"
