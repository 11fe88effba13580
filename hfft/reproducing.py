"""The verb `reproduce`: does a finished run come back when its recipe is trained again?

In: a run folder. Out: a second run beside it, with reproduce.json: what is as it was, what is not, and how far the new
weights and answers lie from the old ones. The first run is only read, and no test split is opened: what is compared are
answers to validation rows. Like verbs.py, this is a place where stages meet.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from hfft import (
    agreeing,
    claiming,
    environment,
    file_prints,
    gathering,
    ledger,
    mask_records,
    recipe,
    sameness,
    timeline,
    verbs,
)
from hfft.errors import InputError, counted, listed
from hfft.gathering import Inputs, Say
from hfft.recipe import Recipe
from hfft.records import read_json, write_json
from hfft.run_folder import RunFolder
from hfft.schema_speed import AUTO, PRECISIONS

FILE = "reproduce.json"
ENDING = "-reproduced"


@timeline.timed
def reproduce(
    name: str, output_dir: str | None = None, within: float = sameness.WITHIN, say: Say = print
) -> dict[str, Any]:
    """Train the run's recipe again in a folder of its own, and say how near the result comes.

    name: a finished run. output_dir: of the new run, default NAME-reproduced. within: the margin of "came back" where
    bits differ, see sameness.py. Returns the facts of reproduce.json with "exit_code": 0 it came back, 1 it did not.
    Raises InputError where it cannot be tried: the data is gone, or not what it was, or there are other processes.
    """
    folder = RunFolder.existing(name)
    _margin(within)
    wanted, made = recipe.load(str(folder.root)), _made(folder)
    if not folder.predictions("validation").is_file():
        raise InputError(f"{name} holds no predictions of its validation rows, so nothing can be compared")
    _same_processes(made, name)
    target = _target(folder, output_dir, _words(wanted, made))
    with gathering.shared():  # the training below reads the same rows
        checked = _data(folder, wanted, made)
        machine = _machine(made)
        for sentence in [checked["sentence"], *_told(machine), *made.get("forced", [])]:
            agreeing.only(say)(sentence)
        result = _trained(folder, _words(wanted, made), target, say)
    if "validation" not in result:  # a process other than the first
        return {"run": result["run"]}
    facts = {"run": str(folder.root), "again": str(target), "data": checked, **machine, "seed": wanted.seed}
    facts["forced"] = made.get("forced", [])  # a run that was resumed with something changed may well be another
    facts |= {"test": _test(folder)} | _compared(folder, RunFolder(target), wanted, within)
    write_json(target / FILE, facts)
    return facts


def _compared(folder: RunFolder, again: RunFolder, wanted: Recipe, within: float) -> dict[str, Any]:
    """The half of the facts that is about what came out."""
    weighed = sameness.weights(folder.model, again.model)
    first, second = (mask_records.read(run.predictions("validation")) for run in (folder, again))
    answered = sameness.answers(first, second, wanted.metrics)
    scores = sameness.scores(*(run.read_scores().get("validation", {}) for run in (folder, again)))
    how, why = sameness.verdict(weighed, answered, within)
    back = how != sameness.NOT
    sentence = f"It came back {why}." if back else f"It did not come back: {why}."
    facts = {"weights": weighed, "answers": answered, "metrics": scores, "within": within, "came_back": back}
    return facts | {"how": how, "sentence": sentence, "exit_code": 0 if back else 1}


def _margin(within: float) -> None:
    if not 0 <= within < 1:
        raise InputError(f"--within: expected a difference from 0 to below 1, such as 0.01, got {within:g}")


def _made(folder: RunFolder) -> dict[str, Any]:
    """How the run was made, as far as it is known."""
    return read_json(folder.environment) if folder.environment.is_file() else {}


def _trained(folder: RunFolder, words: tuple[str, ...], target: Path, say: Say) -> dict[str, Any]:
    """The new run, from the beginning or from where it was stopped; one that is finished is only compared."""
    again = RunFolder(target)
    if again.finished:
        agreeing.only(say)(f"{target} is trained already, and was not compared yet")
        return {"run": str(target)} | ({"validation": again.read_scores()} if agreeing.first() else {})
    if (target / "recipe.yaml").is_file():
        return verbs.run(str(target), resume=True, say=say)
    return verbs.run(str(folder.root), words, str(target), say=say)


def _target(folder: RunFolder, output_dir: str | None, words: tuple[str, ...]) -> Path:
    """Where the new run goes: by default beside the old one. Raises InputError unless that is a new or empty folder, or
    holds the same training, which was stopped.
    """
    old = folder.root.resolve()
    target = Path(output_dir) if output_dir else folder.root.with_name(old.name + ENDING)
    if old in (target.resolve(), *target.resolve().parents):
        raise InputError(f"{target} is in the run that is to come back, which is kept as it is; type another folder")
    begun = (target / "recipe.yaml").is_file() and not (target / FILE).is_file()
    if not (begun and recipe.load(str(target)) == recipe.load(str(folder.root), words)):
        claiming.fresh(RunFolder(target))
    return target


def _same_processes(made: dict[str, Any], name: str) -> None:
    """Raise InputError where a step would see other rows than it did then."""
    now = int(os.environ.get("WORLD_SIZE", "1"))
    then = made.get("hardware", {}).get("processes", now)
    if then != now:
        launch = f"torchrun --nproc_per_node {then} -m hfft" if then > 1 else "hfft"
        raise InputError(
            f"{name} was trained by {counted(then, 'process')}, and this is {now}: each step would see other rows; "
            f"type {launch} reproduce {name}"
        )


def _data(folder: RunFolder, wanted: Recipe, made: dict[str, Any]) -> dict[str, Any]:
    """{"fingerprints", "files": sentences on what is another file, "sentence"}.

    Raises InputError, with the difference, unless the rows and their splits are those the run was made with.
    """
    name = folder.root
    try:
        found = gathering.read(wanted, _nothing)
    except InputError as error:
        raise InputError(f"{name} cannot be trained again: {error}") from error
    known = made.get("data")
    files = [] if known is None else file_prints.apart(known, file_prints.of(wanted.data))
    then, now = read_json(folder.split)["fingerprints"], found.report.fingerprints
    if then != now:
        what = "; ".join([_rows_apart(folder, found, then), *files])
        raise InputError(f"{name} cannot be trained again: the rows are not those it was made with: {what}")
    sizes = ", ".join(f"{split} {found.report.size(split):,}" for split in found.report.counts)
    told = f"data: the same rows in the same splits ({sizes} {wanted.unit}s)"
    if known is None:
        told += "; what the files were, this run has not kept"
    elif files:
        told += f"; {'; '.join(files)}"
    elif known:
        told += f"; the same {'file' if len(known) == 1 else 'files'}: {listed(known, 3)}"
    return {"fingerprints": now, "files": files, "sentence": told}


def _rows_apart(folder: RunFolder, found: Inputs, then: dict[str, str]) -> str:
    """What became of the rows, in words."""
    place = folder.root / "split.parquet"
    if not place.is_file():  # of a stream
        changed = [split for split in then if found.report.fingerprints.get(split) != then[split]]
        return f"other rows in {listed(changed)}"
    saved = pq.read_table(place, columns=["id", "split"])
    before = dict(zip(saved["id"].to_pylist(), saved["split"].to_pylist(), strict=True))
    after = {row: split for split, part in found.splits.parts.items() for row in part["id"][:]}
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    moved = sum(before[row] != after[row] for row in before.keys() & after.keys())
    told = [f"{counted(len(gone), 'row')} of {len(before):,} gone"] * bool(gone)
    told += [f"{counted(len(new), 'row')} new"] * bool(new)
    told += [f"{counted(moved, 'row')} in another split"] * bool(moved)
    return ", ".join(told)


def _machine(made: dict[str, Any]) -> dict[str, Any]:
    """{"versions", "hardware"}: of what is not as it was, name → [then, now]; None where it was not kept."""
    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    now = {"versions": environment.versions()}
    now |= {"hardware": environment.hardware(environment.cores(), cards, processes)}
    return {part: _unlike(made.get(part), now[part]) for part in now}


def _unlike(then: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, list[Any]] | None:
    """Of what both know: an older hfft kept fewer."""
    return (
        None if then is None else {key: [then[key], now[key]] for key in then if key in now and then[key] != now[key]}
    )


def _told(machine: dict[str, Any]) -> list[str]:
    """A sentence for each part."""
    out = []
    for part, unlike in machine.items():
        if unlike is None:
            out.append(f"{part}: not kept by the run")
        elif not unlike:
            out.append(f"{part}: as then")
        else:
            out.append(f"{part}: {', '.join(f'{name} {a} then, {b} now' for name, (a, b) in unlike.items())}")
    if any(unlike != {} for unlike in machine.values()):
        out.append("bits come back only on the same machine with the same packages; what comes back is measured")
    return out


def _words(wanted: Recipe, made: dict[str, Any]) -> tuple[str, ...]:
    """Overrides: nothing is pushed or tracked, and what was measured or chosen then is not measured or chosen again."""
    words = ["train.push_to_hub=false"] * bool(wanted.train.get("push_to_hub"))
    words += ["train.report_to=none"] * ("report_to" in wanted.train)
    rate = made.get("train", {}).get("learning_rate")
    words += [f"train.learning_rate={rate!r}"] * (rate is not None and "learning_rate" not in wanted.train)
    decided = made.get("speed", {})
    precision = decided.get("precision", {}).get("precision")
    if wanted.speed.precision == AUTO and precision in PRECISIONS and not {"bf16", "fp16"} & wanted.train.keys():
        words.append(f"speed.precision={precision}")
    compiled = decided.get("compile", {}).get("compiled")
    if wanted.speed.compile == AUTO and compiled is not None and "torch_compile" not in wanted.train:
        words.append(f"speed.compile={str(compiled).lower()}")
    return tuple(words)


def _test(folder: RunFolder) -> dict[str, Any]:
    """{"opened": looks at the run's test split, "sentence"}."""
    looks = ledger.read(folder).count
    opened = f"was opened {counted(looks, 'time')} then and stays closed here" if looks else "is closed"
    return {"opened": looks, "sentence": f"The test split {opened}: validation rows alone are compared."}


def _nothing(_: str) -> None:
    """Of what was said when the run was made."""
