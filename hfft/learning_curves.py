"""The verb `learn-curve`: a recipe trained on growing shares of its training rows, and what more rows would be worth.

In: a recipe, shares, a number of seeds. Out: plain facts; a folder with one whole run for each share and seed,
learning_curve.json and a page. All runs answer the same validation rows; the test split stays sealed. Like folding.py,
this is where stages meet.
"""

from __future__ import annotations

import gc
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hfft import (
    agreements,
    auditing,
    claiming,
    curve_figures,
    curve_telling,
    extrapolating,
    gathering,
    pages,
    priming,
    recipe,
    relabelling,
    repeating,
    reporting,
    scoring,
    verbs,
    working,
)
from hfft.agreeing import first
from hfft.errors import InputError, MachineError, listed
from hfft.gathering import Say
from hfft.milestones import Milestones
from hfft.power_law import LEAST
from hfft.recipe import Recipe
from hfft.records import CURVE, Predictions, leading, read_json, write_json
from hfft.run_folder import RunFolder

PAGE, MEMBER, KEY = "learning_curve.html", "share-", "data.train_share"
OURS = (CURVE, PAGE, "index.html")
SHARES = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Member:
    """One share's run with one seed; words: what makes it of the recipe that was named."""

    share: float
    run: RunFolder
    wanted: Recipe
    words: tuple[str, ...]

    @property
    def done(self) -> bool:
        return self.run.finished and self.run.predictions("validation").is_file()


@working.into("learn-curve", lambda known: claiming.beside(known["name"], known["output_dir"], "curve"))
def run(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    shares: tuple[float, ...] = SHARES,
    seeds: int = 1,
    same_steps: bool = True,
    labels: bool = True,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Train the recipe on each share of its training rows, fit a power law to the scores, and say what twice brings.

    shares: ascending, three or more. seeds: trainings of each share. same_steps: all shares train as many steps as the
    whole does, and not as many epochs, so that only the rows differ. labels: also estimate what relabelling suspicious
    rows could be worth. output_dir: default runs/<recipe>_curve. resume: finished runs are passed over. After Ctrl-C,
    with three shares or more, what is finished is judged. Returns what learning_curve.json holds. Raises InputError
    before anything is trained where the recipe, the shares or the folder cannot be used.
    """
    root, planned = _planned(name, overrides, output_dir, shares, seeds, same_steps)
    members = planned
    _claimed(root, members, resume, name)
    way, stopped, audit = Milestones("training", len(members), None, say), None, None
    try:
        with gathering.shared():
            if not all(member.done for member in members):
                priming.features(members[len(shares) - 1].wanted)
            for member in members:
                _trained(name, member, way, say)
            audit = _audited(members[len(shares) - 1], say) if labels else None
    except KeyboardInterrupt:
        members = [member for member in members if member.done]
        if len({member.share for member in members}) < LEAST:
            _few(members, shares, say)
            raise
        stopped = way.stopped()
        if all(member.done for member in planned):
            stopped = "Stopped before labels were looked at: --resume does that."
    if not first():
        return {"run": str(root)}
    return _judged(root, members, audit, same_steps, stopped)


def _planned(
    name: str, overrides: tuple[str, ...], output_dir: str | None, shares: tuple[float, ...], seeds: int, same: bool
) -> tuple[Path, list[Member]]:
    """(folder, members: all shares of the first seed, the smallest first, then those of the next)."""
    _check(shares, seeds, overrides)
    root = claiming.beside(name, output_dir, "curve")
    plain = agreements.of_rows(recipe.load(name, overrides), "learn-curve")
    if plain.data.streaming:
        raise InputError("data.streaming is true, and shares need all rows at once; type data.streaming=false")
    if (last := plain.seed + seeds - 1) >= 2**32:
        raise InputError(f"seed: {plain.seed} and {seeds} seeds make {last}; the largest seed is {2**32 - 1}")
    members = []
    for seed in range(plain.seed, plain.seed + seeds):
        for share in shares:
            words = (*overrides, f"seed={seed}", f"data.split.seed={plain.split_seed}", f"{KEY}={share!r}")
            if same and plain.train.get("max_steps", -1) <= 0:
                epochs = float(plain.train.get("num_train_epochs", 3)) * shares[-1] / share
                words = (*words, f"train.num_train_epochs={epochs:.6g}")
            folder = RunFolder(root / f"{MEMBER}{share:g}-seed-{seed}")
            members.append(Member(share, folder, recipe.load(name, words), words))
    return root, members


def _check(shares: tuple[float, ...], seeds: int, overrides: tuple[str, ...]) -> None:
    if wrong := [share for share in shares if not 0 < share <= 1]:
        raise InputError(f"--shares: {wrong[0]:g} is no share; expected more than 0 and at most 1, such as 0.25")
    if any(low >= high for low, high in itertools.pairwise(shares)):
        raise InputError(f"--shares: expected each once, the smallest first, got {listed(f'{s:g}' for s in shares)}")
    if len(shares) < LEAST:
        raise InputError(f"--shares: a curve needs {LEAST} shares or more, got {len(shares)}; type --shares 0.1,0.3,1")
    if seeds < 1:
        raise InputError(f"--seeds: expected 1 or more, got {seeds}")
    if taken := [word for word in overrides if word.startswith(f"{KEY}=")]:
        raise InputError(f"{taken[0]!r}: hfft learn-curve sets the share itself; type --shares")


def _claimed(root: Path, members: list[Member], resume: bool, name: str) -> None:
    """Raise InputError unless the folder is new, or holds runs of this curve and `resume` is meant."""
    again = f"hfft learn-curve {name}"
    claiming.workspace(root, "a learning curve", OURS, lambda entry: entry.startswith(MEMBER), again, resume)
    for member in members:
        claiming.writable(member.run)
        claiming.same(member.run, member.wanted)


def _trained(name: str, member: Member, way: Milestones, say: Say) -> None:
    """One member's run, where it is not there yet."""
    if member.done:
        return way.skipped(member.run.root.name, _value(member, way))
    with way.step(member.run.root.name) as step:
        begun = (member.run.root / "recipe.yaml").is_file()
        brief = repeating.brief(say) if len(way.steps) > 1 else say
        try:
            verbs.run(name, member.words, str(member.run.root), begun, brief)
        except InputError as error:
            if str(error).startswith(f"{KEY}: "):  # the recipe is not to blame
                told = str(error).replace(f"{KEY}: ", "--shares: ").replace(f"type {KEY}=", "begin at ")
                raise InputError(told) from error
            raise
        gc.collect()
        step.value = _value(member, way)
    return None


def _value(member: Member, way: Milestones) -> float | None:
    """The leading score of the validation rows; None on processes that need not know."""
    if not member.run.predictions("validation").is_file():
        return None
    found = scoring.score(Predictions.read(member.run.predictions("validation")), _metrics(member.wanted))
    way.metric = leading(found)
    return found[way.metric].value if way.metric else None


def _metrics(wanted: Recipe) -> list[str]:
    return extrapolating.counted(wanted.metrics)


def _audited(member: Member, say: Say) -> dict[str, Any] | str:
    """What `hfft labels --train` says of the run on the most rows, or why it says nothing."""
    if member.wanted.data.multi_label:
        return "Labels are only doubted where a row has one class: nothing is said about relabelling."
    try:
        return auditing.labels(str(member.run.root), True, say)
    except MachineError:
        raise
    except InputError as error:
        return f"Nothing is said about relabelling: {error}"


def _few(members: list[Member], shares: tuple[float, ...], say: Say) -> None:
    if first():
        done = len({member.share for member in members})
        say(f"{done} of {len(shares)} shares are finished, and a curve needs {LEAST}: --resume goes on.")


def _judged(
    root: Path, members: list[Member], audit: dict[str, Any] | str | None, same: bool, stopped: str | None
) -> dict[str, Any]:
    """Everything that the runs' files say; written into `root`."""
    shares = sorted({member.share for member in members})
    groups = [[member for member in members if member.share == share] for share in shares]
    parts = [[_answers(member, groups[0][0]) for member in group] for group in groups]
    sizes = [_rows(group[0].run) for group in groups]
    if len(set(sizes)) < LEAST:
        made = f"{listed(f'{share:g}' for share in shares)} make {listed(sizes)} training rows"
        raise InputError(f"--shares: {made}; expected {LEAST} different numbers or more")
    wanted = groups[-1][0].wanted
    metrics = _metrics(wanted)
    base = parts[0][0]
    lead = leading(key for key in scoring.keys(metrics, base.names, base.multi_label) if "[" not in key) or "accuracy"
    facts, fit = extrapolating.judged(sizes, parts, metrics, lead)
    for point, share, group in zip(facts["points"], shares, groups, strict=True):
        seconds = [float(read_json(member.run.environment)["seconds"]["train"]) for member in group]
        point |= {"share": share, "members": [m.run.root.name for m in group], "seconds": sum(seconds) / len(seconds)}
    found = None
    if isinstance(audit, dict) and "splits" in audit:
        found = relabelling.told(audit, parts[-1][0], fit, metrics, lead)
    plain = replace(wanted, data=replace(wanted.data, train_share=1.0))
    facts |= {"metric": lead, "same_steps": same, "max_steps": wanted.train.get("max_steps"), "relabelling": found}
    facts |= {"about": curve_telling.ABOUT, "recipe": recipe.dump(plain)}
    facts |= {"stopped": stopped} if stopped else {}
    why = [audit] if isinstance(audit, str) else []
    facts["sentences"] = [*([stopped] if stopped else []), *curve_telling.sentences(facts), *why]
    write_json(root / CURVE, facts)
    shown = facts | {"title": root.resolve().name, "figure": curve_figures.figure(facts)}
    pages.write(root / PAGE, pages.render("learning_curve.html.j2", shown, reporting.FILTERS))
    return {"run": str(root), **facts}


def _answers(member: Member, first: Member) -> Predictions:
    """The validation predictions; InputError where they are of other rows than the first's."""
    found, base = (Predictions.read(part.run.predictions("validation")) for part in (member, first))
    if list(found.ids) != list(base.ids) or found.names != base.names:
        raise InputError(f"{member.run.root}: other validation rows or classes than {first.run.root}; train it again")
    return found


def _rows(run: RunFolder) -> int:
    """Training rows of a run."""
    report = read_json(run.split)
    return int(report["rows"]["train"] if report.get("rows") else sum(report["counts"]["train"].values()))
