"""Whether a run survives: killed outright at random moments, and with every file of a checkpoint damaged.

    python benchmarks/survival.py                             # 102 moments, then 24 on two processes, then the damages
    python benchmarks/survival.py --moments 12 --pairs 0      # fewer moments on one process, none on two

Each moment is a run of its own: killed with SIGKILL, resumed unaided by `hfft run RUN --resume`, and compared bit by
bit with one that nobody disturbed. Half of the moments are drawn from the beginning of the run folder to the end of the
run; the other half is aimed at saves, watched from outside by their hidden folder. Pages are not drawn. A
process that has imported torch forks the runs, so that a moment costs a second or two. Then the same with two processes
of a launch, both killed, and then every file of a checkpoint damaged in three ways, each of them a resume. The short
version is tests/test_survival.py. Prints Markdown for RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hfft import checkpoints, gathering, judging, recipe, rooms
from hfft.cli import main as hfft
from hfft.run_folder import RunFolder

STEPS = ("train.save_strategy=steps", "train.eval_strategy=steps", "train.save_steps=1", "train.eval_steps=1")
STEPS += ("train.max_steps=8", "train.logging_steps=3", "train.per_device_train_batch_size=16")
TASKS: dict[str, tuple[str, ...]] = {
    "tiny_textcls": ("data.limit=150", "sampler=class_balanced", *STEPS),
    "tiny_imgcls": ("data.limit=150", "augment.flip=true", "augment.crop=0.5", *STEPS),
    "tiny_semseg": ("augment.flip=true", *STEPS),
}
ALL = ("train.save_total_limit=99",)  # so that there is an older one to fall back to
TIMES = ("runtime", "per_second")  # of two runs they are never the same
POLL = 0.0004  # seconds
FORK = multiprocessing.get_context("fork")
Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def delete(path: Path) -> None:
    path.unlink()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def same(one: Path, other: Path, last: bool = False) -> list[str]:
    """What differs between two finished runs, but for times. last: of the checkpoints, compare the newest alone."""
    plain = ("model/model.safetensors", "predictions/validation.parquet", "metrics.json")
    found = [name for name in plain if (one / name).read_bytes() != (other / name).read_bytes()]
    if _rows(one / "history.json") != _rows(other / "history.json"):
        found.append("history.json")
    names, others = (sorted(path.name for path in (run / "checkpoints").glob("checkpoint-*")) for run in (one, other))
    if last:
        names = others = [max(names, key=lambda name: int(name.rpartition("-")[2]))]
    if names != others:
        return [*found, f"checkpoints: {names} and {others}"]
    files = [path.relative_to(one) for name in names for path in sorted((one / "checkpoints" / name).iterdir())]
    return found + [str(file) for file in files if not _alike(one / file, other / file)]


def _alike(one: Path, other: Path) -> bool:
    if one.name in (checkpoints.SEAL, "training_args.bin"):  # the digests differ where times do; the folder's name
        return True
    if one.name == checkpoints.STATE:
        return _state(one) == _state(other)
    if one.suffix in (".pt", ".pth"):
        return _equal(*(torch.load(path, weights_only=False) for path in (one, other)))
    return one.read_bytes() == other.read_bytes()


def _state(path: Path) -> dict[str, Any]:
    tree = json.loads(path.read_text())
    best = tree.pop("best_model_checkpoint")
    return tree | {"log_history": _timeless(tree["log_history"]), "best": best and Path(best).name}


def _rows(path: Path) -> list[dict[str, float]]:
    return _timeless(json.loads(path.read_text()))


def _timeless(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if not key.endswith(TIMES)} for row in rows]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def run(words: tuple[str, ...], log: Path) -> None:
    """`hfft run WORDS` in this process, which is a forked one; what it says goes into `log`."""
    for number in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    judging.publish = lambda _: []
    hfft(["run", *words])


class Pair:
    """Two processes of one launch, which look like one."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        launch = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        places = [launch | {"RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
        self.parts = [FORK.Process(target=_placed, args=(place, target, args)) for place in places]

    def start(self) -> None:
        for part in self.parts:
            part.start()

    def join(self, seconds: float | None = None) -> None:
        for part in self.parts:
            part.join(seconds)
            seconds = None if seconds is None else 0.0

    def kill(self) -> None:
        for part in self.parts:
            part.kill()

    def is_alive(self) -> bool:
        return any(part.is_alive() for part in self.parts)

    @property
    def exitcode(self) -> int:
        return next((int(part.exitcode) for part in self.parts if part.exitcode), 0)


def _placed(place: dict[str, str], target: Callable[..., None], args: tuple[Any, ...]) -> None:
    os.environ |= place
    target(*args)


class Runs:
    """Runs of one task. start: makes a process of a function and its arguments, such as multiprocessing's Process."""

    def __init__(self, task: str, more: tuple[str, ...], place: Path, start: Callable[..., Any]) -> None:
        self.task, self.words, self.place, self.start = task, (*TASKS[task], *more), place, start
        place.mkdir(parents=True)
        self.whole = place / "whole"
        process = self.begun(self.whole)
        _wait(self.whole / "recipe.yaml", process)
        began = time.perf_counter()
        process.join()
        self.seconds = time.perf_counter() - began  # since the run folder began
        if process.exitcode:
            raise SystemExit(f"{task}: the undisturbed run failed\n{self.log(self.whole)}")

    def begun(self, root: Path) -> Any:
        return self._started(root, (self.task, *self.words, "--output-dir", str(root)))

    def resumed(self, root: Path) -> int:
        """Exit code of the resume; a run that was killed before there was any is begun again."""
        begun = (root / "recipe.yaml").is_file()
        process = self._started(root, (str(root), "--resume")) if begun else self.begun(root)
        process.join()
        return int(process.exitcode)

    def log(self, root: Path) -> str:
        return self._log(root).read_text()[-3000:]

    def _started(self, root: Path, words: tuple[str, ...]) -> Any:
        process = self.start(target=run, args=(words, self._log(root)))
        process.start()
        return process

    def _log(self, root: Path) -> Path:
        return root.with_suffix(".log")


def _saves(root: Path, process: Any) -> Iterator[Path]:
    """Hidden folders of saves, each as it appears."""
    seen: set[str] = set()
    while process.is_alive():
        for hidden in _hidden(root):
            if hidden.name not in seen:
                seen.add(hidden.name)
                yield hidden
        time.sleep(POLL)


def _wait(path: Path, process: Any) -> None:
    while process.is_alive() and not path.exists():
        time.sleep(POLL)


def _hidden(root: Path) -> list[Path]:
    return list((root / "checkpoints").glob(f"{checkpoints.HIDDEN}*"))


def save_seconds(runs: Runs) -> float:
    """How long a save takes, as seen from outside: the median."""
    process, laps = runs.begun(runs.place / "timed"), []
    for hidden in _saves(runs.place / "timed", process):
        began = time.perf_counter()
        while hidden.exists():
            time.sleep(POLL)
        laps.append(time.perf_counter() - began)
    process.join()
    return statistics.median(laps)


def killed(runs: Runs, root: Path, rng: random.Random, lasting: float | None) -> str:
    """Kill a run; where it was. lasting: seconds of a save, to kill in one; None: at any moment. "" if it had ended."""
    process = runs.begun(root)
    if lasting is None:
        _wait(root / "recipe.yaml", process)
        process.join(rng.uniform(0.0, runs.seconds))
    else:
        number = rng.randint(1, 8)
        for count, _ in enumerate(_saves(root, process), 1):
            if count == number:
                break
        time.sleep(rng.uniform(0.0, lasting))
    process.kill()
    process.join()
    if process.exitcode == 0:
        return ""
    if _hidden(root):
        return "inside a save"
    if not (root / "recipe.yaml").is_file():
        return "before the run began"
    if RunFolder(root).finished:
        return "after the end"
    points = list((root / "checkpoints").glob("checkpoint-*"))
    return "after a save" if points else "before the first save"


def moments(many: int, place: Path, start: Callable[..., Any], seed: int = 0) -> list[tuple[str, str, str]]:
    """(task, where it was killed, "" or what went wrong) of `many` moments, dealt over the tasks."""
    found, rng = [], random.Random(seed)
    for number, task in enumerate(TASKS):
        _read(task)
        runs = Runs(task, (), place / task, start)
        lasting = save_seconds(runs)
        share = many // len(TASKS) + (number < many % len(TASKS))
        done = 0
        while done < share:
            root = runs.place / "killed"
            where = killed(runs, root, rng, lasting if done % 2 else None)
            if where:
                done += 1
                found.append((task, where, _wrong(runs, root, where)))
                print(f"  {task} {done}/{share}: {where} {found[-1][2]}", file=sys.stderr, flush=True)
            shutil.rmtree(root, ignore_errors=True)
            root.with_suffix(".log").unlink(missing_ok=True)
        shutil.rmtree(runs.place)
    return found


def _wrong(runs: Runs, root: Path, where: str) -> str:
    code = 0 if where == "after the end" else runs.resumed(root)
    if code:
        return f"resume ended with {code}: {runs.log(root)}"
    return "; ".join(same(runs.whole, root))


def damages(task: str, place: Path, start: Callable[..., Any]) -> list[tuple[str, str, str]]:
    """(damage, file, "" or what went wrong) of every file of the newest checkpoint, in every way."""
    _read(task)
    runs, found = Runs(task, ALL, place / task, start), []
    names = sorted(path.name for path in (runs.whole / "checkpoints" / "checkpoint-5").iterdir())
    for harm in (cut, delete, flip):
        for name in names:
            root = runs.place / "damaged"
            shutil.copytree(runs.whole, root)
            for later in ("checkpoint-6", "checkpoint-7", "checkpoint-8"):
                shutil.rmtree(root / "checkpoints" / later)
            shutil.rmtree(root / "model")
            point = root / "checkpoints" / "checkpoint-5"
            harm(point / name)
            told = "" if not checkpoints.whole(point) else "not detected; "
            wrong = told + _wrong(runs, root, "")
            said = f"{point} is incomplete or damaged: {name}" in runs.log(root)
            found.append((harm.__name__, name, wrong or ("" if said else "not named")))
            print(f"  {task} {harm.__name__} {name} {found[-1][2]}", file=sys.stderr, flush=True)
            shutil.rmtree(root)
            root.with_suffix(".log").unlink()
    shutil.rmtree(runs.place)
    return found


def _read(task: str) -> None:
    """Read the table here, once for all runs that are forked."""
    wanted = recipe.load(task, TASKS[task])
    gathering.table(wanted, rooms.find("modalities", wanted.task))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=102)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as room, gathering.shared():
        began = time.perf_counter()
        found = moments(given.moments, Path(room) / "moments", FORK.Process, given.seed)
        heads = ["task", "moments", "where", "resumed unaided, bit-identical"]
        table("Killed with SIGKILL", heads, _told(found))
        if given.pairs:
            pairs = moments(given.pairs, Path(room) / "pairs", Pair, given.seed + 1)
            table("The same with two processes, both killed", heads, _told(pairs))
            found += pairs
        harmed = [(task, *each) for task in TASKS for each in damages(task, Path(room) / "damages", FORK.Process)]
        rows = []
        for task in TASKS:
            mine = [each for each in harmed if each[0] == task]
            rows.append([task, len({each[2] for each in mine}), len(mine), _share([each[3] for each in mine])])
        heads = ["task", "files", "damages", "detected, named, fallen back, bit-identical"]
        table("Every file of the newest checkpoint cut, deleted, or with one bit flipped", heads, rows)
        print(f"\n{(time.perf_counter() - began) / 60:.0f} minutes")
    failed = [each for each in (*found, *harmed) if each[-1]]
    for each in failed:
        print("\nFAILED", *each)
    raise SystemExit(bool(failed))


def _told(found: list[tuple[str, str, str]]) -> list[list[object]]:
    rows: list[list[object]] = []
    for task in (*TASKS, "all"):
        mine = [each for each in found if task in (each[0], "all")]
        where = Counter(each[1] for each in mine)
        told = ", ".join(f"{count} {name}" for name, count in where.most_common())
        rows.append([task, len(mine), told, _share([each[2] for each in mine])])
    return rows


def _share(wrong: list[str]) -> str:
    return f"{sum(not each for each in wrong)}/{len(wrong)}"


def table(title: str, heads: list[str], rows: list[list[object]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
