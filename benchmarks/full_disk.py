"""A disk that becomes full at 20 points over the life of `hfft run` and `hfft eval`, as Markdown.

    python benchmarks/full_disk.py                            # 20 points, tiny_textcls
    python benchmarks/full_disk.py --recipe tiny_imgcls --points 40 --seed 1

Every write of an undisturbed run and its evaluation is noted: checkpoints, weights, answers, tables, pages, pictures,
the ledger. At evenly spaced ones of them a real disk is filled to the last byte, or until fewer are left than the file
takes, so that the failure comes at its beginning or in its middle. A point is clean when the verb ends with exit code 2
and one sentence and no traceback, every file in the folder can be read, nothing half-written and no lock is left, the
newest whole checkpoint loads, and, once there is room, the same verb (`run` with --resume) ends with the undisturbed
weights, answers and scores, bit by bit.

The disk is a tmpfs of 96 MB in a mount namespace of its own: that takes root, or user namespaces that anybody may make
(`unshare -rm true` ends well). Where neither is, name a folder on a small disk of your own: --place FOLDER. Each point
is a process forked from one that has imported everything, so that it takes seconds; run with OMP_NUM_THREADS=1.
`hfft eval` starts no process for its parity check here (HFFT_PARITY=off).
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import hashlib
import importlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ |= {"HFFT_PARITY": "off", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "Agg"}
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

WARM = ("hfft.pushing", "hfft.cli", "transformers.trainer", "timm", "matplotlib.figure", "sklearn.linear_model")
WARM += ("matplotlib.backends.backend_agg", "sklearn.feature_extraction.text", "tests.full_disks", "tests.warm")
WORDS = ("data.limit=400", "train.max_steps=6", "train.logging_steps=1", "probes.names=[]")
WORDS += tuple(f"train.{kind}_{key}" for kind in ("save", "eval") for key in ("strategy=steps", "steps=2"))
OF_RUN = ("model/model.safetensors", "predictions/validation.parquet")
OF_EVAL = ("predictions/test.parquet", "metrics.json", "baselines.json", "gains.json", "calibration.json", "gates.json")
MB = 1_000_000
NEWUSER, NEWNS = 0x10000000, 0x00020000


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--recipe", default="tiny_textcls")
    wanted.add_argument("--points", type=int, default=20)
    wanted.add_argument("--seed", type=int, default=0)
    wanted.add_argument("--only", type=int, nargs="*", help="points to try again, by their number in the table")
    wanted.add_argument("--place", help="a folder on a small disk, where no namespace can be made")
    given = wanted.parse_args()
    with tempfile.TemporaryDirectory(prefix="hfft-full-disk-") as name:
        room = Path(name)
        os.environ |= {"HF_HOME": str(room / "hf"), "TMPDIR": str(room), "MPLCONFIGDIR": str(room / "matplotlib")}
        tempfile.tempdir = None
        for module in WARM:
            importlib.import_module(module)
        _report(given, room)


def _report(given: argparse.Namespace, room: Path) -> None:
    started = time.perf_counter()
    whole = _apart(lambda: _undisturbed(given, room), room / "whole.json")
    events = [("run", at, file) for at, file in enumerate(whole["run"])]
    events += [("eval", at, file) for at, file in enumerate(whole["eval"])]
    rng, found = random.Random(given.seed), []
    for number in range(given.points):
        verb, at, file = events[(2 * number + 1) * len(events) // (2 * given.points)]
        # Less than the file takes: else it would fit, and a checkpoint that goes after it make room again.
        left = rng.choice([0, rng.randrange(max(whole[f"sizes of {verb}"][at], 1))])
        if given.only and number + 1 not in given.only:
            continue
        point = {"number": number + 1, "verb": verb, "at": at, "file": _plain(file), "left": left}
        out = room / f"point-{number}.json"
        found.append(point | _apart(partial(_point, given, room, point, whole), out))
        print(f"{number + 1}: {found[-1]}", file=sys.stderr, flush=True)
    clean = sum(not point["faults"] for point in found)
    of = f"{len(whole['run'])} writes of run and {len(whole['eval'])} of eval"
    print(f"{given.recipe}, {datetime.date.today()}, {of}, {time.perf_counter() - started:.0f} s, seed {given.seed}\n")
    print("| | full from this write on | bytes left | exit code | newest whole checkpoint | then | clean |")
    print("|---|---|---|---|---|---|---|")
    for point in found:
        told = "yes" if not point["faults"] else "; ".join(point["faults"])
        cells = (f"{point['verb']}: {point['file']}", f"{point['left']:,}", point["code"], point["checkpoint"])
        print(f"| {point['number']} | {' | '.join(map(str, cells))} | {point['then']} | {told} |")
    print(
        f"\n**{clean}/{len(found)} clean**; sentences: {len({point['sentence'] for point in found})} different, such as"
    )
    for sentence in sorted({point["sentence"] for point in found})[:3]:
        print(f"    {sentence}")
    sys.exit(clean != len(found))


def _undisturbed(given: argparse.Namespace, room: Path) -> dict[str, Any]:
    """What is written, in order, and digests of what must come out; the finished run is kept for the points of eval."""
    root = _disk(given, room) / "run"
    made: dict[str, Any] = {}
    for verb, words in _verbs(given, root).items():
        made[verb], code, said = _verb(words, root, room)
        made[f"sizes of {verb}"] = json.loads((room / "sizes").read_text())
        if code:
            raise RuntimeError(f"hfft {verb} ended with {code}: {said}")
        made |= {f"digests of {verb}": _digests(root, OF_RUN if verb == "run" else OF_EVAL)}
        if verb == "run":
            shutil.copytree(root, room / "finished")
    return made


def _point(given: argparse.Namespace, room: Path, point: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    disk = _disk(given, room)
    root, faults = disk / "run", []
    if point["verb"] == "eval":
        shutil.copytree(room / "finished", root)
    words = _verbs(given, root)
    _, code, said = _verb(words[point["verb"]], root, room, point["at"], lambda: _fill(disk, point["left"]))
    told = [line for line in said.splitlines() if line.startswith("hfft: ")]
    faults += [f"exit code {code}"] * (code != 2) + ["a traceback"] * ("Traceback" in said)
    faults += [f"{len(told)} sentences"] * (len(told) != 1) + ["no cure"] * ("make room" not in "".join(told))
    facts = {"code": code, "sentence": told[0].replace(str(disk), "…") if told else said[-300:]}
    state = _apart(lambda: _state(root), room / "state.json")
    faults += state["faults"]
    (disk / "filler").unlink(missing_ok=True)
    again = _again(point["verb"], root, words)
    _, code, said = _verb(again, root, room)
    same = _digests(root, OF_RUN if point["verb"] == "run" else OF_EVAL) == whole[f"digests of {point['verb']}"]
    facts["then"] = " ".join(["hfft", again[0], *[word for word in again[1:] if word == "--resume"]])
    faults += [f"{facts['then']} ended with {code}: {said[-200:]}"] * (code != 0) + ["other bytes"] * (not same)
    if point["verb"] == "run":
        _, code, _ = _verb(words["eval"], root, room)
        faults += ["other scores"] * (_digests(root, OF_EVAL) != whole["digests of eval"])
    return facts | {"checkpoint": state["checkpoint"], "faults": faults}


def _verbs(given: argparse.Namespace, root: Path) -> dict[str, tuple[str, ...]]:
    return {"run": ("run", given.recipe, *WORDS, "--output-dir", str(root)), "eval": ("eval", str(root))}


def _again(verb: str, root: Path, words: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What a person types once there is room, as the sentence tells it."""
    from hfft.run_folder import RunFolder

    if verb == "eval" or not (root / "recipe.yaml").is_file():
        return words[verb]
    return ("report", str(root)) if RunFolder(root).finished else ("run", str(root), "--resume")


def _verb(
    words: tuple[str, ...], root: Path, room: Path, at: int | None = None, fill: Callable[[], None] = lambda: None
) -> tuple[list[str], int, str]:
    """(files written in order, exit code, what was said on stderr) of a verb in a process of its own."""
    from tests.full_disks import Disk

    log = room / "stderr"

    def work() -> list[str]:
        disk = Disk(root, fill)
        try:
            return told(disk)
        finally:
            (room / "sizes").write_text(json.dumps([disk.sizes.get(n, 0) for n in range(len(disk.written))]))

    def told(disk: Any) -> list[str]:
        from hfft.cli import main

        with log.open("w") as said, Path(os.devnull).open("w") as nothing:
            os.dup2(said.fileno(), 2)
            os.dup2(nothing.fileno(), 1)
            with disk.full(at):
                try:
                    main(list(words))
                except SystemExit as end:
                    return [str(end.code or 0), *disk.written]
                except BaseException:
                    traceback.print_exc()
                    return ["1", *disk.written]
        return ["0", *disk.written]

    code, *written = _apart(work, room / "verb.json")
    return written, int(code), log.read_text(errors="replace")


def _state(root: Path) -> dict[str, Any]:
    """Whether all that lies there can be read, and the newest whole checkpoint loads."""
    import torch
    from safetensors.torch import load_file

    from hfft import checkpoints
    from tests.full_disks import check_whole

    faults, point = [], None
    try:
        if root.is_dir():
            check_whole(root)
            point, _ = checkpoints.newest(root / "checkpoints")
    except (AssertionError, OSError, ValueError) as error:
        faults.append(f"{type(error).__name__}: {error}")
    if point:
        load_file(point / "model.safetensors")
        torch.load(point / "optimizer.pt", weights_only=True)
    return {"faults": faults, "checkpoint": point.name.removeprefix("checkpoint-") if point else "none yet"}


def _disk(given: argparse.Namespace, room: Path) -> Path:
    """A small disk of this process and its children alone."""
    place = room / "disk"
    place.mkdir(exist_ok=True)
    if given.place:
        return Path(tempfile.mkdtemp(dir=given.place))
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(NEWUSER | NEWNS) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    elif libc.unshare(NEWNS) != 0:
        raise RuntimeError("no namespace can be made here: type --place FOLDER, on a small disk")
    if libc.mount(b"tmpfs", bytes(place), b"tmpfs", 0, b"size=96m") != 0:
        raise RuntimeError(f"no disk can be mounted here ({os.strerror(ctypes.get_errno())}): type --place FOLDER")
    return place


def _fill(disk: Path, left: int) -> None:
    """Write until the disk is full, and give `left` bytes back."""
    file = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        for size in (MB, 4096, 1):
            try:
                while os.write(file, bytes(size)):
                    pass
            except OSError:
                continue
    finally:
        os.ftruncate(file, max(os.fstat(file).st_size - left, 0))
        os.close(file)


def _digests(root: Path, names: tuple[str, ...]) -> dict[str, str]:
    there = [name for name in names if (root / name).is_file()]
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in there}


def _plain(file: str) -> str:
    """Without the process's number in the name of a file under way."""
    path = Path(file)
    name = path.name.rpartition(".")[0].removeprefix(".") if path.name.rpartition(".")[2].isdigit() else path.name
    return str(path.with_name(name))


def _apart(work: Callable[[], Any], out: Path) -> Any:
    """What `work` returns in a forked process, by way of a file."""
    out.unlink(missing_ok=True)
    sys.stdout.flush()
    if not (child := os.fork()):
        code = 1
        try:
            out.write_text(json.dumps(work()))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.waitpid(child, 0)
    if not out.is_file():
        raise RuntimeError("a process of the benchmark died: see above")
    return json.loads(out.read_text())


if __name__ == "__main__":
    main()
