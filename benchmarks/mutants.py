"""Do the tests notice a fault? Small faults are put into the judging half's source, one at a time, and the tests run.

    python benchmarks/mutants.py                        # a sample of 450 from the rooms below
    python benchmarks/mutants.py --seed 2 --rooms intervals gating --sample 100

mutmut makes the faults (mutants) and runs each against the tests that reach its function; this script draws a simple
random sample with a seed, and says what share was killed, with Wilson's interval, and what survived. A mutant is
killed when a test fails, or when the tests take several times as long as they should; one that no test reaches has
survived. Long simulations are left out, so the share is a lower bound. mutmut faults neither constants of modules nor
functions with a decorator (properties).

All of it happens in a copy of the tree that goes away, also when interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

from mutmut.stats import status_by_exit_code

from hfft.intervals import wilson

ROOT = Path(__file__).resolve().parent.parent
# Room → its files in hfft/, and the tests that know them. The last is what stands beside the stages and statistics that
# a claim rests on.
ROOMS = {
    "metrics": ("metrics/* counts", "metrics graded scoring"),
    "intervals": ("intervals estimates resamples", "intervals graded scoring resamples"),
    "comparing": ("comparing pairing", "comparing pairing graded"),
    "gating": ("gating rules", "gating"),
    "splitting": ("splitting dealing grouping moments", "splitting dealing moments multi_label_splits"),
    "beside": (
        "scoring cautioning luck ledger tempering binning nulls conformal abstaining",
        "scoring luck ledger tempering binning conformal abstaining graded",
    ),
}
# Long simulations, limits of time, other processes and trainings: too slow, or too uncertain, to run hundreds of times.
SKIPPED = [
    "abstaining::test_everything_takes_less_than_two_seconds",
    "binning::test_groups_are_no_independent_witnesses",
    "binning::test_perfect_models_are_called_miscalibrated_in_one_of_twenty",
    "binning::test_several_classes_per_row_are_judged_class_by_class",
    "binning::test_the_interval_holds_the_true_ece",
    "dealing::test_group_splits_are_better_balanced_than_those_of_scikit_learn",
    "gating::test_a_drop_of_five_points_is_caught_and_equal_models_are_left_alone",
    "gating::test_a_margin_of_three_points_lets_equal_models_pass",
    "graded::test_intervals_hold_the_truth",
    "intervals::test_a_hundred_classes_take_less_than_two_seconds",
    "intervals::test_coverage_with_errors_enough",
    "intervals::test_coverage_with_hardly_any_error",
    "ledger::test_a_broken_ledger_is_said_loudly",
    "ledger::test_a_killed_process_leaves_its_line",
    "ledger::test_two_processes_at_once",
    "multi_label_splits::test_a_single_label_task_takes_a_multi_label_checkpoint",
    "multi_label_splits::test_a_stream_is_dealt_counted_and_trained_on_as_a_table_is",
    "pairing::test_equal_models_are_seldom_called_different",
    "pairing::test_rows_needed_show_the_difference_with_the_power_they_promise",
    "resamples::test_pairs_of_groups_are_exchanged_together",
    "resamples::test_clustered_intervals_keep_their_promise_where_plain_ones_do_not",
    "scoring::test_scoring_takes_less_than_two_seconds",
]
REQUIRED = [room for room in ROOMS if room != "beside"]
KILLED = ("killed", "timeout", "segfault")
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "runs", "data", "shared", "build", "*.egg-info", "mutants")
# Not `python -m mutmut`: that puts the unmutated tree on the path first.
MUTMUT = [sys.executable, str(Path(sys.executable).with_name("mutmut"))]
CASES = "60"  # generated cases of a test that would make up to 1,000
SPINNER = re.compile("[\u2800-\u28ff]")
SHOWN = 6  # lines of a survivor's difference


def mutmut(tree: Path, *words: str) -> str:
    """What `mutmut WORDS` prints; ends the whole run where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "mutants"), "OMP_NUM_THREADS": "1", "HFFT_CASES": CASES}
    done = subprocess.run([*MUTMUT, *words], cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        told = [line for line in done.stdout.splitlines() if not SPINNER.match(line)]
        sys.exit("\n".join([f"mutmut {' '.join(words)[:80]}", *told[-60:], done.stderr[-2000:]]))
    return done.stdout


def outcomes(tree: Path) -> dict[tuple[str, str], str]:
    """(file below hfft/, mutant) → what became of it."""
    found = {}
    for meta in sorted((tree / "mutants/hfft").rglob("*.py.meta")):
        path = str(meta.relative_to(tree / "mutants/hfft")).removesuffix(".meta")
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            found[path, name] = status_by_exit_code[code]
    return found


def configured(tree: Path, rooms: list[str]) -> None:
    """[tool.mutmut] for these rooms, into the copy's pyproject.toml."""
    files, tests = (sorted({name for room in rooms for name in ROOMS[room][part].split()}) for part in (0, 1))
    lines = {
        "source_paths": ["hfft"],
        "also_copy": ["recipes"],
        "only_mutate": [f"hfft/{name}.py" for name in files],
        "pytest_add_cli_args_test_selection": [f"tests/test_{name}.py" for name in tests],
        "pytest_add_cli_args": [f"--deselect=tests/test_{name.replace('::', '.py::')}" for name in SKIPPED],
        "timeout_multiplier": 5.0,
        "timeout_constant": 5.0,
    }
    own = (ROOT / "pyproject.toml").read_text()
    (tree / "pyproject.toml").write_text(
        "\n".join([own, "[tool.mutmut]", *(f"{key} = {json.dumps(value)}" for key, value in lines.items()), ""])
    )


def room_of(path: str) -> str | None:
    files = {room: names.split() for room, (names, _) in ROOMS.items()}
    return next((room for room, names in files.items() if any(fnmatch(path, f"{name}.py") for name in names)), None)


def told(room: str, killed: int, n: int) -> None:
    low, high = wilson(killed, n)
    print(f"| {room} | {n} | {killed} | {killed / max(n, 1):.1%} | {low:.1%} to {high:.1%} |")


def judged(tree: Path, names: list[str], size: int, seed: int) -> None:
    configured(tree, names)
    first = ROOMS[names[0]][0].split()[0].replace("/", ".")
    mutmut(tree, "run", "--max-children", "1", f"hfft.{first}*_1")  # makes all mutants and times all tests
    every = sorted((room_of(path), path, name) for path, name in outcomes(tree) if room_of(path) in names)
    drawn = random.Random(seed).sample(every, min(size, len(every)))
    print(f"{len(drawn)} of {len(every):,} mutants, seed {seed}", flush=True)
    mutmut(tree, "run", "--max-children", "1", *(name for _, _, name in drawn))
    ends = outcomes(tree)
    sizes, killed = Counter(room for room, *_ in drawn), Counter()
    for room, path, name in sorted(drawn):
        end = ends[path, name]
        killed[room] += end in KILLED
        if end not in KILLED:
            shown = mutmut(tree, "show", name).splitlines()
            lines = [line for line in shown if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]
            print(f"\n{name} ({end})", *lines[:SHOWN], sep="\n  ", flush=True)
    print("\n| room | mutants | killed | share | 95 % (Wilson) |\n|---|---|---|---|---|")
    for room in names:
        told(room, killed[room], sizes[room])
    told("all", killed.total(), len(drawn))
    print(f"\nEnds: {dict(Counter(ends[path, name] for _, path, name in drawn))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=450, help="mutants to draw")
    parser.add_argument("--rooms", nargs="+", choices=list(ROOMS), default=REQUIRED)
    parser.add_argument("--tree", type=Path, help="keep the copy in this folder: the next run times new tests only")
    arguments = parser.parse_args()
    # An end from outside (kill, a closed terminal) leaves through the `with` as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="hfft-mutants-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        tree = (arguments.tree or Path(folder) / "tree").resolve()
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT, dirs_exist_ok=True)
        # A folder of the path that is missing when Python starts would be passed over to its end.
        (tree / "mutants").mkdir(exist_ok=True)
        judged(tree, arguments.rooms, arguments.sample, arguments.seed)


if __name__ == "__main__":
    main()
