"""Going on with a run: from which checkpoint, and whether it is still the same run.

In: the run folder, the recipe as it is wanted now, the arguments of this launch, what the data is now. Out: the newest
whole checkpoint, and every difference to the run as it began, which is refused unless it is forced. Must not know how
anything is trained.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hfft import checkpoints, notation, recipe
from hfft.agreeing import agreed, gathered
from hfft.errors import InputError, listed
from hfft.recipe import Recipe
from hfft.records import SplitReport, read_json, write_json
from hfft.run_folder import RunFolder

FORCED = "forced.json"  # beside the checkpoints: what was changed on the way
# A checkpoint fits one model and one optimizer.
BOUND = ("task", "model.", "adapt.lora", "adapt.freeze", "adapt.unfreeze", "adapt.layer_decay", "train.optim")
ANEW = "a checkpoint fits its own model alone: type --output-dir FOLDER to train anew"
MODEL_ALONE = "the optimizer begins anew: the checkpoints hold the model alone (train.save_only_model)"


@dataclass
class Resumed:
    """begun: there was a run. point: the checkpoint to go on from; None: from the beginning.

    forced: changes are taken. changes: a sentence for each.
    """

    run: RunFolder
    begun: bool = False
    point: Path | None = None
    forced: bool = False
    changes: list[str] = field(default_factory=list)

    def check_data(self, report: SplitReport, parts: Mapping[str, Any]) -> None:
        """Raise InputError, unless forced, where the rows are not those that the run began with.

        parts: the rows as they are dealt now, with `id`; of a stream without train.
        """
        if not self.begun:
            return
        told = agreed(lambda: self._data(report, parts))
        if told and not self.forced:
            raise _refused(self.run, "on other data", told, "bring the data back, or start a new run")
        self.changes += told

    def keep(self) -> None:
        """Write down what was changed: the run has to say so when it is finished, and after further resumes."""
        if self.changes:
            step = int(self.point.name.rpartition("-")[2]) if self.point else 0
            when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
            entry = {"step": step, "time": when, "changes": self.changes}
            write_json(self.run.checkpoints / FORCED, [*_kept(self.run), entry])

    def _data(self, report: SplitReport, parts: Mapping[str, Any]) -> list[str]:
        """A sentence for each split that has other rows than before, and for those that were trained on before."""
        if not self.run.split.is_file():  # killed before it was written, and so before the first step
            return []
        before, told = SplitReport(**read_json(self.run.split)), []
        names, now = (sorted(known.counts["train"]) for known in (before, report))
        if self.point and names != now:
            raise _refused(self.run, "with other classes", [f"were {listed(names)}", f"are {listed(now)}"], ANEW, "")
        for name in {**before.fingerprints, **report.fingerprints}:
            old, new = before.fingerprints.get(name), report.fingerprints.get(name)
            if old != new:
                told.append(f"data, {name}: was {_rows(before, name, old)}, now {_rows(report, name, new)}")
        return told + (_trained(self.run, parts) if told else [])


def begin(run: RunFolder, wanted: Recipe, args: Any, forced: bool, say: Callable[[str], None]) -> Resumed:
    """Where the run goes on. Raises InputError when there is none to resume, and for a change that is not forced.

    All processes of a launch go on from what the first one finds, which each of them has to see.
    """
    found: Resumed = agreed(lambda: _found(run, wanted, args, forced, say))
    seen = found.point is None or found.point.is_dir()
    if not all(gathered([seen], args.world_size)):
        raise InputError(
            f"{found.point} is not there for every process; the run folder has to be on a disk that all machines share"
        )
    return found


def notes(run: RunFolder) -> list[str]:
    """For people: what was changed while the run was under way; none for a run that is what its recipe says."""
    return [
        f"Not one recipe: training went on at step {entry['step']:,} with --force after a change "
        f"({'; '.join(entry['changes'])}). No recipe repeats this run."
        for entry in _kept(run)
    ]


def differences(before: Recipe, now: Recipe) -> list[str]:
    """A sentence for each key: "train.learning_rate: was 2.0e-05, now 0.0001"."""
    old, new = _keys(dataclasses.asdict(before)), _keys(dataclasses.asdict(now))
    return [
        f"{key}: was {_shown(old, key)}, now {_shown(new, key)}" for key in {**old, **new} if _differ(old, new, key)
    ]


def _found(run: RunFolder, wanted: Recipe, args: Any, forced: bool, say: Callable[[str], None]) -> Resumed:
    if not (run.root / "recipe.yaml").is_file():
        raise InputError(f"{run.root}: there is no run to resume; leave --resume out to start one")
    changes = differences(recipe.load(str(run.root)), wanted)
    if run.finished:
        told = f", with another recipe ({'; '.join(changes)}); type --output-dir FOLDER to train with this one, or"
        raise InputError(f"{run.root} is finished{told if changes else '; type'} `hfft eval {run.root}` to score it")
    best = bool(args.load_best_model_at_end)
    if run.checkpoints.is_dir():
        checkpoints.sweep(run.checkpoints)
    point, passed = checkpoints.newest(run.checkpoints, best)
    if point is None and best and (alone := checkpoints.newest(run.checkpoints)[0]):
        # From the beginning its first save would remove all that was trained, which is whole but for the choice.
        why = passed.pop(alone)
        if not forced:
            raise InputError(
                f"{alone} is whole, but {why}. Bring that back from a copy; or add --force to go on from {alone.name} "
                f"and choose the best among later ones; or start anew with `hfft run {run.root}/recipe.yaml`"
            )
        point, changes = alone, [*changes, f"best checkpoint: {why}"]
    before = _processes(point) if point else None
    if before not in (None, args.world_size):
        changes.append(f"processes: was {before}, now {args.world_size}")
    if point and (lost := [change for change in changes if change.startswith(BOUND)]):
        raise _refused(run, "with another model", lost, ANEW, "")
    if changes and not forced:
        own = f"type `hfft run {run.root} --resume` on as many processes to keep its own"
        other = [change for change in changes if not change.startswith("processes: ")]
        raise _refused(run, "with another recipe" if other else "on another number of processes", changes, own)
    if point and wanted.train.get("save_only_model"):
        if not forced:
            raise _refused(
                run, "with an optimizer", [MODEL_ALONE], f"start anew with `hfft run {run.root}/recipe.yaml`"
            )
        changes.append(MODEL_ALONE)
    for path, why in passed.items():
        say(f"{path} is incomplete or damaged: {why}; passed over")
    none = "no checkpoint is whole" if passed else "no checkpoint yet"
    say(f"resuming from {point}" if point else f"{none}: starting from the beginning")
    return Resumed(run, True, point, forced, changes)


def _refused(run: RunFolder, how: str, told: list[str], instead: str, force: str = ", or add --force") -> InputError:
    lines = "\n  ".join(told)
    return InputError(f"{run.root} was begun {how}:\n  {lines}\n{instead}{force}")


def _processes(point: Path) -> int | None:
    """How many wrote the checkpoint; None where that is not known."""
    if (point / checkpoints.RUNNING).is_file():
        return int(read_json(point / checkpoints.RUNNING)["processes"])
    many = len(list(point.glob("rng_state_*.pth")))
    return many or (1 if (point / "rng_state.pth").is_file() else None)


def _trained(run: RunFolder, parts: Mapping[str, Any]) -> list[str]:
    """A sentence for each held-back split with rows that were trained on; of a stream that is not known."""
    path = run.root / "split.parquet"
    table = pq.read_table(path, columns=["id", "split"]).to_pylist() if path.is_file() else []
    trained, told = {row["id"] for row in table if row["split"] == "train"}, []
    for name in ("validation", "test"):
        if many := len(trained.intersection(parts[name]["id"][:])):
            told.append(f"data, {name}: {many:,} of its rows were training rows before: its scores will flatter")
    return told


def _rows(report: SplitReport, name: str, print_: str | None) -> str:
    return f"{report.size(name):,} rows ({print_[:12]})" if print_ else "not there"


def _kept(run: RunFolder) -> list[dict[str, Any]]:
    path = run.checkpoints / FORCED
    return read_json(path) if path.is_file() else []


def _keys(tree: Any, head: str = "") -> dict[str, Any]:
    """Sections as dotted keys."""
    if not isinstance(tree, dict) or not tree:
        return {head: tree}
    return {key: v for name, part in tree.items() for key, v in _keys(part, f"{head}.{name}".strip(".")).items()}


def _differ(old: dict[str, Any], new: dict[str, Any], key: str) -> bool:
    return (key in old) != (key in new) or old.get(key) != new.get(key)


def _shown(keys: dict[str, Any], key: str) -> str:
    return notation.write(keys[key], flow=True) if key in keys else "not given"
