"""Folders for work under way go: at the end, after an error, at Ctrl-C and SIGTERM; after a kill, at the next start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hfft import recipe, scratch
from tests.command import hfft
from tests.processes import ROOT

OLD = time.time() - 3600


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """The system's place for temporary files, for this test alone."""
    where = tmp_path / "temporary"
    where.mkdir()
    monkeypatch.setenv("TMPDIR", str(where))
    monkeypatch.setattr(scratch.tempfile, "tempdir", None)
    return where


@pytest.mark.parametrize("end", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_a_folder_goes_however_the_work_ends(end, place, tmp_path):
    seen = []
    try:
        with scratch.folder("word") as one, scratch.folder("word", tmp_path) as other:
            (one / "deep").mkdir()
            (one / "deep" / "file").write_text("x")
            seen += [(part.parent, part.name[0] == ".", "-word-" in part.name, part.is_dir()) for part in (one, other)]
            if end:
                raise end
    except BaseException as error:
        assert isinstance(error, end)
    assert seen == [(place, False, True, True), (tmp_path, True, True, True)]
    assert list(tmp_path.iterdir()) == [place] and not list(place.iterdir())


def test_at_sigterm_a_verb_ends_as_at_ctrl_c_and_its_folder_goes(place, monkeypatch, capsys):
    def terminated():
        with scratch.folder("word") as made:
            assert list(place.iterdir()) == [made]
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    monkeypatch.setattr(recipe, "shipped", terminated)
    assert hfft("ls") == 130
    assert "--resume" in capsys.readouterr().err and not list(place.iterdir())
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_a_program_keeps_to_its_end_goes_then_and_a_forked_process_dies_of_sigterm_alone(place):
    program = """
import os, signal, sys, time
from hfft import scratch
made = scratch.lasting("word")
with scratch.stopped_by_sigterm():
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), made.is_dir(), flush=True)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{-signal.SIGTERM} True\nstopped\n"), done.stderr
    assert not list(place.iterdir())


def test_processes_of_a_launch_keep_the_launchers_own_way(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with scratch.stopped_by_sigterm():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_a_killed_process_left_goes_at_the_next_start_and_nothing_else(place):
    program = "import os, signal; from hfft import scratch; made = scratch.lasting('word'); (made / 'rows').touch()\n"
    for number in range(2):
        done = subprocess.run(
            [sys.executable, "-c", f"{program}os.kill(os.getpid(), signal.SIGKILL)"], cwd=ROOT, check=False
        )
        assert done.returncode == -signal.SIGKILL and len(list(place.iterdir())) == number + 1
    dead, young = place.iterdir()
    elsewhere = place / "hfft-tmp-00000000-word-x"  # as another machine calls its own
    kept = {young, elsewhere, place / "mine", place / f"{scratch.MARK}file"}
    link = place / f"{scratch.MARK}link"
    link.symlink_to(place / "mine")
    for made in kept - {young, place / f"{scratch.MARK}file"}:
        made.mkdir()
        (made / "rows").touch()
    (place / f"{scratch.MARK}file").touch()
    with scratch.folder("word") as living:
        for path in (*kept, dead, living):
            if path != young:
                os.utime(path, (OLD, OLD))
        os.utime(link, (OLD, OLD), follow_symlinks=False)
        with scratch.folder("word") as other:
            assert set(place.iterdir()) == kept | {link, living, other}, "the dead one's went"
            assert all((path / "rows").exists() for path in kept if path.is_dir())


def test_where_nothing_can_be_locked_nothing_is_swept(place, monkeypatch):
    (place / f"{scratch.MARK}word-left").mkdir()
    os.utime(place / f"{scratch.MARK}word-left", (OLD, OLD))
    with monkeypatch.context() as patch:
        patch.setattr(scratch, "fcntl", None)
        with scratch.folder("word") as made:
            assert made.is_dir() and len(list(place.iterdir())) == 2
        patch.undo()
        patch.setattr(scratch.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError("no locks here")))
        with scratch.folder("word") as made:
            assert made.is_dir() and len(list(place.iterdir())) == 2
    with scratch.folder("word") as made:
        assert list(place.iterdir()) == [made]


def test_no_other_file_makes_a_folder_of_its_own():
    maker = re.compile(r"mkdtemp|TemporaryDirectory|mkstemp|NamedTemporaryFile")
    found = {path.stem: bool(maker.search(path.read_text())) for path in (ROOT / "hfft").rglob("*.py")}
    assert len(found) > 100 and [name for name, makes in found.items() if makes] == ["scratch"]
