"""Two processes of one launch, as `torchrun --nproc_per_node 2` starts them, but forked from a warm one.

A launcher's workers import torch, transformers and hfft for 10 seconds each, and that is most of what such a test
costs. Here a server that has imported them, and read the packaged data (warm.py), forks the workers. That torchrun and
accelerate themselves work is shown in test_cli.py.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CONTEXT = multiprocessing.get_context("forkserver")
WARM = ["hfft.verbs", "hfft.cli", "hfft.pushing", "hfft.repeating", "transformers.trainer", "transformers.models.auto"]
WARM += ["timm", "matplotlib.figure", "matplotlib.backends.backend_agg", "sklearn.linear_model"]
CONTEXT.set_forkserver_preload([*WARM, "sklearn.feature_extraction.text", "tests.warm"])
SECONDS = 300


def together(program: str, *words: str, cwd: Path = ROOT, **environment: str) -> str:
    """What two processes of `python -m PROGRAM WORDS` (or `python FILE.py WORDS`) print on stdout; both must end well.

    program: a module, or a file below `cwd`.
    """
    launch = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": _free_port(), "MASTER_ADDR": "127.0.0.1"}
    places = [launch | environment | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(2)]
    return "".join(_all([(program, words, cwd, place) for place in places]))


def beside(program: str, *commands: tuple[str, ...], cwd: Path = ROOT) -> list[str]:
    """What processes print that have nothing to do with one another, one for each command, at work at once."""
    return _all([(program, words, cwd, {}) for words in commands])


def machines(*words: str, cwd: Path, beside: Path | None = None, fate: str = "") -> tuple[list[int], list[str]]:
    """(exit code, standard error) of each of two machines of one process, which torchrun --nnodes 2 starts on two
    addresses of this one, with `hfft WORDS` as their work.

    beside: the second machine's folder, where it is not `cwd`. fate: what happens to one of them, see host.py. torchrun
    itself is forked from the warm server, and its workers from it.
    """
    port = _free_port()
    given = []
    for number, place in enumerate((cwd, beside or cwd)):
        launch = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(number), "--master-port", str(port)]
        launch += ["--master-addr", "127.0.0.1", "--local-addr", f"127.0.0.{number + 1}"]
        launch += ["--start-method", "fork", "--run-path", str(ROOT / "tests" / "host.py")]
        given.append(("torch.distributed.run", (*launch, *words), place, {"FATE": fate}))
    ends, _, told = _ended(given)
    return ends, told


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _all(given: list[tuple[Any, ...]]) -> list[str]:
    """Standard output of each process; all must end well."""
    ends, said, told = _ended(given)
    assert ends == [0] * len(given), "\n".join(log[-3000:] for log in (*said, *told))
    return said


def _ended(given: list[tuple[Any, ...]]) -> tuple[list[int], list[str], list[str]]:
    """(exit code, standard output, standard error) of each process."""
    with tempfile.TemporaryDirectory() as room:
        said, told = ([Path(room) / f"{number}.{end}" for number in range(len(given))] for end in ("out", "err"))
        for log in (*said, *told):
            log.touch()
        workers = [
            CONTEXT.Process(target=_work, args=(out, err, *each))
            for out, err, each in zip(said, told, given, strict=True)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(SECONDS)
            worker.kill()  # does nothing to one that has ended
            worker.join()
        ends = [worker.exitcode for worker in workers]
        return ends, [log.read_text() for log in said], [log.read_text() for log in told]


def _work(out: Path, err: Path, program: str, words: tuple[str, ...], cwd: Path, places: dict[str, Any]) -> None:
    os.setpgrp()  # a machine that is switched off takes its own processes with it, and no others
    for number, log in ((1, out), (2, err)):
        os.dup2(os.open(log, os.O_WRONLY), number)
    os.environ |= {name: str(value) for name, value in places.items()}
    os.chdir(cwd)
    sys.argv = [program, *words]
    sys.path.insert(0, str(ROOT))
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # what a program leaves for its end; forked processes of `multiprocessing` leave it out
