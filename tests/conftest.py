"""Every test runs offline, in its own caches, and the same way twice.

The environment is set before anything of Hugging Face is imported: its libraries read it once, at import.
"""

import functools
import gc
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

HOME = tempfile.mkdtemp(prefix="hfft-tests-")
ATTEMPTS = Path(HOME) / "attempts"
GUARD = str(Path(__file__).parent / "guard")
os.environ |= {
    "HF_HOME": f"{HOME}/hf",
    "HF_HUB_CACHE": f"{HOME}/hf/hub",
    "HF_DATASETS_CACHE": f"{HOME}/hf/datasets",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_HOME": f"{HOME}/torch",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": f"{HOME}/matplotlib",
    "CUDA_VISIBLE_DEVICES": "",  # the same numbers with and without a GPU
    "NO_COLOR": "1",
    "COLUMNS": "120",
    "HFFT_ATTEMPTS": f"{HOME}/attempts",  # at the network
    "PYTHONPATH": os.pathsep.join([GUARD, *filter(None, [os.environ.get("PYTHONPATH")])]),
    "HFFT_PARITY": "off",  # `hfft eval` starts a process that loads transformers, in seconds: on in its own tests alone
}
for name in ("HF_TOKEN", "HF_ENDPOINT", "ACCELERATE_USE_CPU", "RANK", "WORLD_SIZE", "LOCAL_RANK", "FORCE_COLOR"):
    os.environ.pop(name, None)

# Rewriting 150 files of assertions takes each process 10 seconds: what one run has compiled, the next one reads.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Parallel test processes get a core each: two of them with two threads each would wait for one another.
worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if worker and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

GUARDING = importlib.util.spec_from_file_location("guarding", f"{GUARD}/sitecustomize.py")
guarding = importlib.util.module_from_spec(GUARDING)
GUARDING.loader.exec_module(guarding)  # from here on, this process stays on this machine, too

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The same examples on every machine; no database to clean up; slow machines are no failure.
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Connections and name look-ups that leave this machine raise, also in processes that tests start; local ones work.

    The attempts, one a line of a file: see guard/sitecustomize.py.
    """
    ATTEMPTS.touch()
    return ATTEMPTS


@pytest.fixture(autouse=True)
def nothing_reached_out(no_network):
    """A library that swallows the refusal is found out all the same."""
    no_network.write_text("")
    yield
    assert not no_network.stat().st_size, f"asked for the network: {no_network.read_text()}"


@pytest.fixture
def network_down(monkeypatch):
    """The network is down, as it is for a user: no failure of the test, but of what asks for it."""
    monkeypatch.setenv("HFFT_NETWORK", "down")


@pytest.fixture(scope="session", autouse=True)
def packaged_data():
    """See packaged.py."""
    from tests import packaged

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaged.loading, "read", packaged.once)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_command_line():
    """Typer makes the whole command line anew at each call, 25 ms of a thousand calls: here once for each process."""
    import typer.main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_stacks(packaged_data):
    """Each seed is noted for GPUs that are never asked, with the whole stack of calls: 10 ms a time."""
    import torch

    nothing = SimpleNamespace(format_stack=list)
    with pytest.MonkeyPatch.context() as patch:
        for place in (torch.cuda, torch.xpu, torch.mtia):
            if hasattr(place, "traceback"):
                patch.setattr(place, "traceback", nothing)
        yield


@pytest.fixture(scope="module")
def without_pages():
    """For runs whose page and card nobody reads: drawing them is half of the time of an `hfft eval`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hfft.judging.publish", lambda _: [])
        yield


@pytest.fixture
def write_text(tmp_path) -> Callable[..., str]:
    """write_text(name, text, encoding) → path of the new file, in a folder of this test's own."""

    def write(name: str, text: str, encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


@pytest.fixture
def tiny_csv(write_text) -> Callable[..., str]:
    """tiny_csv(("text", "label"), …rows) → path of a CSV file."""

    def write(*rows: tuple[object, ...], name: str = "data.csv", header: tuple[str, ...] = ("text", "label")) -> str:
        return write_text(name, "".join(",".join(map(str, row)) + "\n" for row in (header, *rows)))

    return write


@pytest.fixture
def snapshot(tmp_path) -> Callable[[], dict[str, bytes]]:
    """snapshot() → every file of this test's folder with its bytes."""

    def take() -> dict[str, bytes]:
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in _files(tmp_path)}

    return take


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def pytest_terminal_summary(terminalreporter):
    """How many malformed inputs came to which end: the count of tests/test_malformed.py, with or without xdist."""
    reports = terminalreporter.stats.get("passed", [])
    ends = [end for report in reports for name, end in report.user_properties if name == "malformed"]
    if ends:
        refused = ends.count("refused")
        told = f"{len(ends)} clear ends ({refused} refused, {len(ends) - refused} read correctly)"
        failed = sum("test_malformed[" in report.nodeid for report in terminalreporter.stats.get("failed", []))
        terminalreporter.write_line(f"{len(ends) + failed} malformed inputs: {told}")


def pytest_unconfigure():
    shutil.rmtree(HOME, ignore_errors=True)


def pytest_collection_finish():
    """What was imported stays: the many full collections of libraries (one for each training) need not walk over it."""
    gc.collect()
    gc.freeze()
