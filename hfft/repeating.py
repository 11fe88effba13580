"""The verbs `run` and `eval` over several training seeds: the same recipe, the same split, one run folder per seed.

In: a recipe and a number of seeds, or the folder they were trained into. Out: plain facts; seeds.json beside the run
folders. Every folder is a whole run that every verb takes.
"""

from __future__ import annotations

import dataclasses
import gc
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hfft import claiming, gathering, judging, mask_records, recipe, seeding, verbs, working
from hfft.agreeing import first, only
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.recipe import Recipe
from hfft.records import SEEDS, leading, read_json, write_json
from hfft.run_folder import RunFolder

MEMBER = "seed-"


@dataclasses.dataclass(frozen=True)
class Member:
    """One seed's run: its folder, its recipe, and the words that make it of the named one."""

    run: RunFolder
    wanted: Recipe
    words: tuple[str, ...]

    @property
    def finished(self) -> bool:
        return self.run.finished

    @property
    def begun(self) -> bool:
        return (self.run.root / "recipe.yaml").is_file()


def holds(name: str) -> bool:
    """Whether `name` is a folder of runs with several seeds."""
    return (Path(name) / SEEDS).is_file()


def _home(known: dict[str, Any]) -> Path:
    """The folder of all seeds' runs. known: the arguments of `run`."""
    name, output_dir = known["name"], known["output_dir"]
    return Path(output_dir or name) if holds(name) else claiming.folder(name, output_dir).root


@working.into("run", _home, lambda root, known: f"`hfft run {known['name']} --seeds {known['seeds']} --resume`")
def run(
    name: str,
    overrides: tuple[str, ...],
    output_dir: str | None,
    seeds: int,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Train the recipe with `seeds` seeds from its own on, all on the split of the first.

    output_dir: default runs/<recipe>; each run goes into its seed-N. resume: finished runs are passed over, an
    unfinished one goes on. Returns {"run", "seeds", "members", "validation": {metric: spread}}. Raises InputError
    before anything is trained when the folder holds something else.
    """
    if seeds < 2:
        raise InputError(f"--seeds: expected 2 or more, got {seeds}; leave it out for a single run")
    # Every process plans before any of them writes: the first folder comes into being behind a barrier of all.
    root, members = _planned(name, overrides, output_dir, seeds)
    _claimed(root, members, seeds, resume, name)
    with gathering.shared():
        for place, member in enumerate(members, 1):
            seed = member.wanted.seed
            if member.finished:
                only(say)(f"seed {seed} ({place} of {seeds}): there already, passed over")
                continue
            only(say)(f"seed {seed} ({place} of {seeds})")
            verbs.run(_source(name), member.words, str(member.run.root), member.begun, brief(say) if place > 1 else say)
            gc.collect()  # a trainer and its model hold on to one another
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if first():
                _write(root)
    return {"run": str(root)} | (_write(root) if first() else {})


@working.on("eval")
def evaluate(name: str, say: Say = print) -> dict[str, Any]:
    """Open the test split for every seed's run, one ledger line each, and say what the seeds and the rows are worth.

    Returns {"run", "n", "seeds", "members": {name: facts}, "test": {metric: spread}, "sentences", "exit_code"}; the
    exit code is 1 when a gate of any run fails, else 3 when one of any cannot be told. Raises InputError before any is
    opened when one is unfinished, or when their test rows differ.
    """
    root = Path(name)
    runs = [RunFolder.existing(root / member) for member in read_json(root / SEEDS)["members"]]
    prints = {read_json(run.split)["fingerprints"]["test"] for run in runs}
    if len(prints) > 1:
        raise InputError(f"{name}: its runs have different test rows; train them again with hfft run RECIPE --seeds")
    found = {run.root.name: verbs.evaluate(str(run.root), say) for run in runs}
    if not all("test" in facts for facts in found.values()):  # a process other than the first
        return {"run": name}
    facts = _write(root)
    for run in runs:  # once more: now every page knows all the others' scores
        judging.publish(run)
    codes = {member["exit_code"] for member in found.values()}
    kept = ("look", "test", "gates", "openings", "report", "exit_code")
    return {
        "run": name,
        "n": next(iter(found.values()))["n"],
        "seeds": facts["seeds"],
        "members": {name: {key: member[key] for key in kept} for name, member in found.items()},
        "test": facts["test"],
        "sentences": facts["sentences"]["test"],
        "exit_code": 1 if 1 in codes else 3 if 3 in codes else 0,
    }


def _source(name: str) -> str:
    """The recipe: `name`, or that of the first run where `name` is a folder of runs with several seeds."""
    if not holds(name):
        return name
    members = read_json(Path(name) / SEEDS)["members"]
    return str(Path(name) / members[0] / "recipe.yaml")


def _planned(name: str, overrides: tuple[str, ...], output_dir: str | None, seeds: int) -> tuple[Path, list[Member]]:
    source = _source(name)
    wanted = recipe.load(source, overrides)
    root = _home({"name": name, "output_dir": output_dir})
    if (last := wanted.seed + seeds - 1) >= 2**32:
        raise InputError(f"seed: {wanted.seed} and {seeds} seeds make {last}; the largest seed is {2**32 - 1}")
    members = []
    for seed in range(wanted.seed, wanted.seed + seeds):
        words = (*overrides, f"seed={seed}", f"data.split.seed={wanted.split_seed}")
        members.append(Member(RunFolder(root / f"{MEMBER}{seed}"), recipe.load(source, words), words))
    return root, members


def _claimed(root: Path, members: list[Member], seeds: int, resume: bool, name: str) -> None:
    """Raise InputError unless the folder is new, or holds runs of this recipe and `resume` is meant."""
    again, other = f"hfft run {name} --seeds {seeds}", f"`hfft eval {root}` to score them, "

    def one(entry: str) -> bool:
        return entry.startswith(MEMBER)

    claiming.workspace(root, "runs of several seeds", (SEEDS,), one, again, resume, other)
    for member in members:
        claiming.same(member.run, member.wanted)
        if not member.begun and claiming.held(member.run.root):
            raise InputError(f"{member.run.root} is not empty and not a run; type --output-dir FOLDER")


def _write(root: Path) -> dict[str, Any]:
    """seeds.json from the files of all finished runs in the folder; returns what it holds."""
    runs = [RunFolder(path) for path in root.glob(f"{MEMBER}*") if (path / "model").is_dir()]
    seeds = {run: recipe.load(str(run.root)) for run in runs}
    runs = sorted(runs, key=lambda run: seeds[run].seed)
    facts: dict[str, Any] = {"seeds": [seeds[run].seed for run in runs], "split_seed": seeds[runs[0]].split_seed}
    facts |= {"members": [run.root.name for run in runs], "sentences": {}}
    for split in ("validation", "test"):
        scored = [run.read_scores().get(split, {}) for run in runs]
        found = seeding.spreads(scored, _alike(runs, split)) if all(scored) else {}
        facts[split] = seeding.plain(found)
        lead = leading(found)
        facts["sentences"][split] = [seeding.sentence(lead, found[lead])] if lead else []
    write_json(root / SEEDS, facts)
    return {"run": str(root), **facts}


def _alike(runs: list[RunFolder], split: str) -> float:
    """How alike the runs are in what they answer right; 1, the widest, where their rows differ or are not there."""
    if not all(run.predictions(split).is_file() for run in runs) or len(runs) < 2:
        return 1.0
    found = [mask_records.read(run.predictions(split)) for run in runs]
    if any(list(each.ids) != list(found[0].ids) for each in found):
        return 1.0
    return seeding.likeness(np.stack([mask_records.worth(each) for each in found]))


def brief(say: Say) -> Say:
    """What all seeds have in common, the data and what was found in it, is said once."""
    return lambda sentence: (
        None if sentence.startswith(("data: ", "  note: ", "model: ", "time: ", "precision: ")) else say(sentence)
    )
