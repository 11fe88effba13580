"""Malformed inputs: each ends as one clear sentence with exit code 2, or is read correctly.

Never a traceback, never a hang, never a changed file. The cases are in tests/malformed/, one a line or two; the
count is printed at the end of the test run.
"""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import warnings
from collections import Counter
from pathlib import Path

import pytest

from hfft import checking, loading, pictures, recipe
from tests.command import hfft
from tests.malformed import images, labels, masks, recipes, records, tables
from tests.malformed.case import Case, pattern, write

SOURCES = {"tables": tables, "records": records, "labels": labels, "images": images, "recipes": recipes, "masks": masks}
CASES = [pytest.param(case, id=f"{kind}: {case.name}") for kind, source in SOURCES.items() for case in source.CASES]
SECONDS = 20

# pandas leaves a file open that it could not read; nothing here can close it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def files_that_pandas_left_open():
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def no_hang():
    """Each case gets 20 seconds; most take a tenth of one."""

    def stop(*_):
        raise TimeoutError(f"still running after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def got(monkeypatch):
    """What `hfft check` has read: {"recipe": Recipe, "table": Table}."""
    found = {}

    def keep(name, module, function):
        real = getattr(module, function)
        monkeypatch.setattr(module, function, lambda *given: found.setdefault(name, real(*given)))

    keep("recipe", recipe, "load")
    keep("table", loading, "read")
    return found


def state(folder: Path) -> dict[str, str]:
    """Every path under a folder, with the digest of what it holds."""
    paths = (Path(root) / name for root, folders, files in os.walk(folder) for name in [*folders, *files])
    return {
        str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else str(p.lstat().st_mode) for p in paths
    }


def rows_of(table: loading.Table) -> Counter:
    """(text, or colour of the picture's first pixel; label) of every row."""
    if "text" in table.rows.column_names:
        inputs = table.rows["text"][:]
    else:
        inputs = [pictures.rgb(source).getpixel((0, 0)) for source in table.rows["image"][:]]
    return Counter(zip(inputs, table.rows["label"][:], strict=True))


def value(found: object, key: str) -> object:
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


@pytest.mark.parametrize("case", CASES)
def test_malformed(case: Case, tmp_path, monkeypatch, capsys, got, record_property):
    monkeypatch.chdir(tmp_path)
    write(case.files, tmp_path)
    before = state(tmp_path)
    code = hfft("check", "mine.yaml", "--fast", *case.words, "--json")
    said = capsys.readouterr().err
    assert state(tmp_path) == before, "an input file was changed, or another one written"
    assert "Traceback" not in said
    if code == 2:
        assert case.sentence is not None, said
        told = said[said.index("hfft: ") :]
        assert pattern(case.sentence).search(told), told
        assert len(told) < 1500
        record_property("malformed", "refused")
        return
    assert code == 0 and (case.rows is not None or case.values is not None), (code, said)
    if case.rows is not None:
        assert rows_of(got["table"]) == Counter(case.rows)
    for key, expected in (case.values or {}).items():
        assert value(got["recipe"], key) == expected
        assert type(value(got["recipe"], key)) is type(expected)
    record_property("malformed", "read")


def test_there_are_many_and_every_one_has_its_own_name():
    names = [case.id for case in CASES]
    assert len(names) >= 150
    assert not [name for name, n in Counter(names).items() if n > 1]


def test_a_case_is_told_apart(tmp_path, monkeypatch):
    """The suite itself: a changed file, a wrong row and a missing sentence are seen."""
    assert checking.check  # the imports of the command are over before the first alarm
    (tmp_path / "a").write_bytes(b"1")
    before = state(tmp_path)
    (tmp_path / "a").write_bytes(b"2")
    assert state(tmp_path) != before
    assert pattern("a…b.").search("a and b.") and not pattern("a…b.").search("a and bc")
