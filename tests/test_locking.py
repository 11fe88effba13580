"""One run folder, one run: who comes second is told who is there; a dead process holds nothing; nothing is left."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from hfft import claiming, locking
from hfft.cli import app
from hfft.errors import InputError, NoRoomError
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import ROOT

MAKES = {
    "run": ("tiny_textcls",),
    "run --seeds": ("tiny_textcls", "--seeds", "2"),
    "cv": ("tiny_textcls", "--folds", "2"),
    "learn-curve": ("tiny_textcls",),
    "imbalance": ("tiny_textcls",),
    "rank": ("tiny_textcls", "--models", "a", "b"),
    "tune": ("tiny_textcls", "--space", "seed=1,2"),
}
WRITES: dict[str, tuple[str, ...]] = {"eval": (), "judge": (), "report": (), "probe": (), "labels": (), "export": ()}
WRITES |= {"explain": ("a text",), "push": ("--to", "me/model")}
READS = {"ls", "show", "cp", "check", "lr", "compare", "predict", "demo", "reproduce"}
HOLDER = """
import os, signal, sys, time
from pathlib import Path
from hfft import claiming, locking
with locking.alone(Path(sys.argv[1]), "run", make=True):
    if "fork" in sys.argv and not os.fork():
        os.write(1, b"%d\\n" % os.getpid())
        time.sleep(60)
        os._exit(0)
    if "fork" not in sys.argv:
        os.write(1, b"held\\n")
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    """A folder that looks like a run, held by somebody on another machine."""
    root = tmp_path / "run"
    root.mkdir()
    (root / "recipe.yaml").write_bytes((ROOT / "recipes" / "tiny_textcls.yaml").read_bytes())
    (root / "model").mkdir()
    (root / "model" / "config.json").write_text("{}")
    facts = {"verb": "run", "pid": 12, "host": "otherhost", "since": "2026-01-02T03:04:05+00:00"}
    (root / locking.FILE).write_text(json.dumps(facts))
    with (root / locking.FILE).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield root


def holder(root, *words: str) -> tuple[subprocess.Popen, str]:
    """A process that holds `root` until its standard input ends, and its first line."""
    command = [sys.executable, "-c", HOLDER, str(root), *words]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def test_every_verb_is_known_to_write_or_to_read():
    verbs = {command.name for command in app.registered_commands}
    assert len(verbs) > 20 and verbs == {name.split()[0] for name in MAKES} | set(WRITES) | READS


@pytest.mark.parametrize("verb", [*WRITES, *MAKES])
def test_who_comes_second_is_told_who_writes_and_since_when(verb, run, capsys):
    before = sorted(path.name for path in run.iterdir())
    words = (*MAKES[verb], "--output-dir", str(run)) if verb in MAKES else (str(run), *WRITES[verb])
    assert hfft(verb.split()[0], *words) == 2
    told = capsys.readouterr().err
    assert told == (
        f"hfft: {run} is in use: `hfft run` (process 12 on otherhost, since 2026-01-02T03:04:05+00:00) writes into it; "
        "wait until that has ended\n"
    )
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize("words", [("judge", "{}", "metrics=[accuracy]"), ("push", "{}", "--dry-run"), ("show", "{}")])
def test_who_only_reads_is_not_refused(words, run, capsys):
    hfft(*(word.format(run) for word in words))
    assert "is in use" not in capsys.readouterr().err


def test_of_a_launch_the_first_process_holds_the_folder_for_all(run, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    hfft("judge", str(run))
    assert "is in use" not in capsys.readouterr().err


def test_a_killed_process_holds_nothing_and_neither_do_those_it_forked(tmp_path):
    root = tmp_path / "new" / "run"
    process, child = holder(root, "fork")
    with (
        pytest.raises(InputError, match=rf"hfft run` \(process {process.pid} on .*, since 20"),
        locking.alone(root, "eval"),
    ):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert os.kill(int(child), 0) is None, "it lives"
    try:
        assert (root / locking.FILE).is_file(), "what it left is no lock"
        with locking.alone(root, "eval"):
            assert json.loads((root / locking.FILE).read_text())["verb"] == "eval"
        assert not list(root.iterdir())
    finally:
        os.kill(int(child), signal.SIGKILL)
        process.stdout.close()
        process.stdin.close()


def test_a_folder_that_comes_into_being_in_one_that_is_held_is_held_with_it(run, capsys):
    """A fold in the middle of a cross-validation, which is trained by who holds the outer folder."""
    with pytest.raises(InputError, match="which is in use"), locking.alone(run / "fold1", "run", make=True):
        pass  # not there yet: who holds the outer one makes it
    shutil.copytree(run, run / "fold1", ignore=shutil.ignore_patterns("fold1", locking.FILE))
    assert hfft("run", str(run / "fold1"), "--resume") == 2
    said = capsys.readouterr().err
    assert f"{run / 'fold1'} is in {run}, which is in use: `hfft run` (process 12 on otherhost, since" in said
    assert not (run / "fold1" / locking.FILE).exists()


def test_the_recipe_that_a_killed_process_was_writing_is_nothing_to_keep_and_a_file_of_the_users_is(tmp_path):
    (tmp_path / ".recipe.yaml.4711").write_text("task: text_class")
    claiming.fresh(RunFolder(tmp_path))
    (tmp_path / ".recipe.yaml.mine").touch()
    with pytest.raises(InputError, match="is not empty"):
        claiming.fresh(RunFolder(tmp_path))


def test_a_folder_that_was_made_goes_unless_something_is_in_it(tmp_path):
    process, line = holder(tmp_path / "a" / "b")
    assert line == "held" and (tmp_path / "a" / "b" / locking.FILE).is_file()
    process.communicate("")
    assert process.returncode == 0 and not list(tmp_path.iterdir())
    with locking.alone(tmp_path / "a" / "b", "run", make=True):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]
    with pytest.raises(ZeroDivisionError), locking.alone(tmp_path / "c", "run", make=True):
        raise ZeroDivisionError
    assert not (tmp_path / "c").exists()


def test_a_verb_may_call_another_and_a_thread_of_its_own_may_not(tmp_path):
    refused = []

    def other():
        try:
            with locking.alone(tmp_path, "eval"):
                pass
        except InputError as error:
            refused.append(str(error))

    (tmp_path / "link").symlink_to(tmp_path)
    with locking.alone(tmp_path, "cv"), locking.alone(tmp_path / "link", "run"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        other()
    assert len(refused) == 1 and f"(process {os.getpid()} on" in refused[0]
    other()
    assert len(refused) == 1 and not (tmp_path / locking.FILE).exists()


def test_workers_of_a_search_share_a_folder_and_keep_others_out(tmp_path):
    def in_thread(shared: bool) -> str:
        out = [""]

        def work():
            try:
                with locking.alone(tmp_path, "tune", shared=shared):
                    out[0] = "held"
            except InputError as error:
                out[0] = str(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return out[0]

    with locking.alone(tmp_path, "tune", shared=True):
        assert in_thread(shared=True) == "held" and "is in use: `hfft tune`" in in_thread(shared=False)
        assert (tmp_path / locking.FILE).is_file(), "the first worker still holds it"
    assert in_thread(shared=False) == "held" and not list(tmp_path.iterdir())


def test_never_two_at_once_however_many_come(tmp_path):
    """The file goes with the lock: who had opened it before must not take it for the new one."""
    root, children = tmp_path / "run", []
    for _ in range(4):
        if not (child := os.fork()):
            code, until = 1, time.monotonic() + 60
            try:
                done = 0
                while done < 25 and time.monotonic() < until:
                    try:
                        with locking.alone(root, "run", make=True):
                            os.close(os.open(tmp_path / "inside", os.O_CREAT | os.O_EXCL))
                            time.sleep(0.0005)
                            (tmp_path / "inside").unlink()
                            done += 1
                    except InputError as error:
                        assert "is in use" in str(error) or "comes and goes" in str(error)
                        time.sleep(0.0005)
                code = 0 if done == 25 else 3
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert not (tmp_path / "inside").exists() and not list(root.glob("*"))


def test_where_nothing_can_be_locked_nobody_is_refused(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(locking.fcntl, "flock", none)
        with locking.alone(tmp_path / "a", "run", make=True):
            assert (tmp_path / "a" / locking.FILE).is_file()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(locking, "fcntl", None)
    with locking.alone(tmp_path, "run"):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (
            errno.EROFS,
            InputError,
            r"cannot be written to \(Read-only file system\); make it writable, or copy the run$",
        ),
        (errno.ENOSPC, NoRoomError, "no space is left on this disk; make room, then type the same again$"),
    ],
)
@pytest.mark.parametrize("call", ["open", "pwrite"])
def test_a_folder_that_takes_no_lock_file_is_told_and_nothing_is_left(call, number, kind, told, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locking.os, call, fails)
    with pytest.raises(kind, match=told), locking.alone(tmp_path, "eval"):
        pytest.fail("it must not begin")
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    with locking.alone(tmp_path, "eval"):
        pass


def test_a_run_is_told_to_go_elsewhere_where_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    root, told = tmp_path / "file" / "run", r"file cannot be written to \(Not a directory\); type --output-dir FOLDER"
    with pytest.raises(InputError, match=told), locking.alone(root, "run", make=True):
        pytest.fail("it must not begin")


def test_what_is_no_folder_is_left_to_the_verb(tmp_path):
    (tmp_path / "file").touch()
    with locking.alone(tmp_path / "file", "run", make=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
