"""A full disk, no memory, a dead process, a closed disk: one sentence, exit code 2; else a traceback stays one."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets.exceptions import DatasetGenerationError
from safetensors import SafetensorError

from hfft import mishaps, recipe
from hfft.errors import InputError, MachineError, NoRoomError, full
from hfft.mishaps import of
from tests.command import hfft


class Rows(torch.utils.data.Dataset):
    """Rows of which the second does `what` in the process that loads it."""

    def __init__(self, what) -> None:
        self.what = what

    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: int) -> int:
        return self.what() if place == 1 else place


def loaded(what) -> list:
    return list(torch.utils.data.DataLoader(Rows(what), num_workers=1))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise InputError("rows.csv, line 3: no text; expected one")


def error_of(work) -> BaseException:
    with pytest.raises(BaseException) as caught:
        work()
    return caught.value


def wrapped() -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError:
        raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904


@pytest.mark.parametrize(
    "work",
    [lambda: torch.empty(10**15), lambda: np.empty(10**15), lambda: loaded(lambda: torch.empty(10**15))],
    ids=["torch", "numpy", "in a worker"],
)
def test_memory_that_is_not_there(work):
    found = of(error_of(work))
    assert found.what.startswith("memory ran out (") and "more were asked for" in found.what
    assert found.cure == "make memory free" and "train.gradient_accumulation_steps" in found.instead


def test_memory_of_a_gpu():
    error = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB"
    )
    assert of(error).what == "memory ran out on the GPU (2.00 GiB more were asked for)"


def test_a_worker_that_was_killed():
    found = of(error_of(lambda: loaded(die)))
    assert found.what.startswith("a process that loads rows was ended from outside (DataLoader worker (pid")
    assert "memory" in found.what and "train.dataloader_num_workers" in found.cure


def test_a_sentence_from_a_worker_comes_without_its_stack():
    with pytest.raises(InputError) as caught, mishaps.told():
        loaded(refuse)
    assert str(caught.value) == "rows.csv, line 3: no text; expected one"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file data/0"),
        RuntimeError("basic_ios::clear: iostream error"),
        ValueError("I/O error: No space left on device (os error 28)"),
        error_of(wrapped),
    ],
)
def test_a_full_disk_however_it_is_wrapped(error, tmp_path):
    assert of(error, tmp_path).what == f"{tmp_path}: no space is left on this disk"


def test_the_disk_that_is_full_is_named(tmp_path, monkeypatch):
    error, other = OSError(errno.ENOSPC, "No space left on device"), tmp_path / "temporary"
    monkeypatch.setattr(mishaps.tempfile, "gettempdir", lambda: str(other))
    monkeypatch.setattr(mishaps, "_free", lambda place: 1000 if place == other else 10**12)
    assert of(error, tmp_path).what.startswith(f"{other}: no space")
    shared = RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)")
    assert of(shared, tmp_path).what.startswith("/dev/shm is full") and "--shm-size" in of(shared).cure


def test_a_file_larger_than_allowed(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        error = error_of(lambda: (tmp_path / "large").write_bytes(bytes(2000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert of(error, tmp_path).cure == "raise the limit (ulimit -f)"


@pytest.mark.parametrize(
    ("number", "name", "told"),
    [
        (errno.EROFS, None, "{} cannot be written to (Read-only file system)"),
        (errno.EACCES, "{}/metrics.json", "{}/metrics.json may not be used (Permission denied)"),
        (errno.EIO, None, "{}: the disk fails (Input/output error)"),
    ],
)
def test_a_disk_that_takes_nothing_any_more(number, name, told, tmp_path):
    error = OSError(number, os.strerror(number), name and name.format(tmp_path))
    assert of(error, tmp_path).what == told.format(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("label"),
        RuntimeError("shape mismatch"),
        PermissionError(errno.EACCES, "Permission denied", "/etc/shadow"),
        FileNotFoundError(errno.ENOENT, "No such file", "x"),
        InputError("no recipe"),
    ],
)
def test_a_fault_of_the_program_keeps_its_traceback(error, tmp_path):
    assert of(error, tmp_path) is None
    with pytest.raises(type(error)) as caught, mishaps.told(tmp_path):
        raise error
    assert caught.value is error


def handling(error: BaseException, raised: BaseException, cause: object = "context") -> BaseException:
    """What is raised while an error is handled; with a cause, or None: from it."""
    try:
        try:
            raise error
        except type(error):
            if cause == "context":
                raise raised  # noqa: B904
            raise raised from cause
    except type(raised) as caught:
        return caught


SPACE = OSError(errno.ENOSPC, "No space left on device")
SLIPS = (KeyError, IndexError, TypeError, AttributeError, NameError, AssertionError, ZeroDivisionError)


@pytest.mark.parametrize("kind", [*SLIPS, NotImplementedError, ValueError])
def test_a_slip_while_a_full_disk_is_handled_is_the_slip(kind, tmp_path):
    error = handling(SPACE, kind("bug"))
    assert of(error, tmp_path) is None and not full(error)
    assert full(handling(SPACE, kind("told"), SPACE)), "what is said to be the cause is it"


def test_a_slip_in_a_process_that_loads_rows_is_no_full_disk_though_its_text_quotes_one():
    def slip() -> None:
        raise handling(SPACE, KeyError("bug"))

    error = error_of(lambda: loaded(slip))
    assert isinstance(error, KeyError) and "No space left on device" in str(error)
    assert of(error) is None


def test_an_error_from_nothing_comes_from_nothing(tmp_path):
    assert of(handling(SPACE, RuntimeError("another matter"), None), tmp_path) is None
    assert of(handling(MemoryError(), RuntimeError("another matter"), None), tmp_path) is None


@pytest.mark.parametrize("kind", [RuntimeError, OSError, DatasetGenerationError, SafetensorError, pa.ArrowInvalid])
def test_what_a_library_makes_of_a_full_disk_is_one(kind, tmp_path):
    assert of(handling(SPACE, kind("it did not work")), tmp_path).cure == "make room"


def test_the_outermost_verb_says_what_goes_on(tmp_path):
    where = tmp_path / "fold-1"
    with (
        pytest.raises(MachineError) as caught,
        mishaps.told(tmp_path, lambda: "`hfft cv r --resume`"),
        mishaps.told(where, lambda: "`hfft run fold-1 --resume`"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value).startswith(f"{where}: no space is left on this disk")
    assert str(caught.value).endswith("; make room, then type `hfft cv r --resume`: what is finished is kept")
    assert full(caught.value), "a search must not take it for a bad trial"
    with pytest.raises(NoRoomError, match=r"^16 MB are missing$"), mishaps.told(tmp_path, lambda: "x"):
        raise NoRoomError("16 MB are missing")


@pytest.mark.parametrize("rank", ["0", "1"])
def test_at_the_command_line_it_is_one_sentence_also_of_a_process_that_met_it_alone(rank, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setattr(recipe, "shipped", lambda: np.empty(10**15))
    assert hfft("ls") == 2
    told = capsys.readouterr().err
    assert told.startswith("hfft: memory ran out (7.11 PiB more were asked for); make memory free, then type the same")
    assert told.count("\n") == 1


def test_what_is_printed_onto_a_full_disk_is_told():
    if not Path("/dev/full").exists():  # Linux alone has it
        assert os.uname().sysname != "Linux"
        return
    words = "from hfft.cli import main; main(['ls'])"
    with Path("/dev/full").open("w") as out:
        done = subprocess.run(
            [sys.executable, "-c", words], stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert done.returncode == 2 and "no space is left on the disk; make room" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "words", ["eval", "predict:x.txt", "report", "judge", "probe", "export", "push:--to:a/b", "run"]
)
def test_a_name_that_no_file_can_have_is_told(words, capsys):
    verb, *more = words.split(":")
    assert hfft(verb, "a" * 300, *more) == 2
    told = capsys.readouterr().err
    assert told.startswith("hfft: ") and "aaaa" in told and len(told) < 3000 and told.count("\n") == 1
