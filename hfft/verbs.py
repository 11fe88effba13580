"""The verbs as functions: where stages meet. The command line and notebooks call the same ones.

Each verb returns plain facts and says what it is doing through `say`; none of them exits or formats.
"""

from __future__ import annotations

import datetime
import time
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from hfft import (
    accounting,
    adapting,
    answering,
    arranging,
    askers,
    backbones,
    claiming,
    deciding,
    describing,
    ensembling,
    environment,
    file_prints,
    gathering,
    judging,
    launches,
    ledger,
    parity,
    predicting,
    probing,
    quoting,
    rates,
    recipe,
    resuming,
    rooms,
    splitting,
    stressing,
    thresholds,
    timeline,
    trainer_arguments,
    trainer_options,
    training,
    uniting,
    working,
    yardsticks,
)
from hfft.gathering import Say
from hfft.recipe import Recipe
from hfft.records import fingerprint, write_json, write_whole
from hfft.references import sha256
from hfft.run_folder import RunFolder


def _again(root: Path, known: dict[str, Any]) -> str:
    """What goes on once a mishap is mended: after training, where nothing is to be trained again, the page."""
    begun = (root / "recipe.yaml").is_file()
    finished = f"`hfft report {root}`" if RunFolder(root).finished else f"`hfft run {root} --resume`"
    return finished if begun else "the same again"


@working.into("run", lambda known: claiming.folder(known["name"], known["output_dir"]).root, _again)
@timeline.timed
def run(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    resume: bool = False,
    say: Say = print,
    pushed: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Fine-tune as the recipe says. Returns {"run": folder, "validation": scores, …}. Never scores the test split.

    output_dir: default runs/<recipe>. Raises InputError when it already holds a run, unless `resume`. pushed: the
    caller sees to `train.push_to_hub`, which else is refused: of many trainings, none is the one to push. force: resume
    in spite of a changed recipe, data or number of processes.
    """
    started, clock = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), time.perf_counter()
    arranging.imported()
    wanted, folder = trainer_options.alone(recipe.load(name, overrides), pushed), claiming.folder(name, output_dir)
    if not resume:
        claiming.fresh(folder)
    claiming.writable(folder)
    args = trainer_arguments.arguments(wanted, folder)
    say = _only_first(say, args)
    _met(wanted, folder, args, say)
    going = resuming.begin(folder, wanted, args, force, say) if resume else resuming.Resumed(folder)
    found = _read(wanted, args, say)
    gathering.check_names(wanted, found.splits.labels)
    size = gathering.balance(wanted, found, say)
    going.check_data(found.report, found.splits.parts)
    modality = found.modality
    transformers.set_seed(wanted.seed)
    backbone = backbones.load(wanted.model, modality, found.splits.labels, wanted.data.multi_label)
    settled = rates.settled(wanted, args, backbone.model, say).train
    say(f"model: {wanted.model.name}, {adapting.told(wanted.adapt, backbone)}; {'; '.join(backbone.notes)}")
    _check_room(folder, wanted, args, backbone, size)
    train = gathering.training_rows(found, wanted, backbone)
    validation = predicting.labelled(found.splits.parts["validation"], backbone)
    _begin(folder, wanted, found.splits, args, going)
    # The files now: they may be others after training.
    files, loaded = file_prints.of(wanted.data) if not args.process_index else {}, time.perf_counter() - clock
    classes = gathering.frequencies(found, backbone)
    parts, changed = (train, validation, folder, going.point), bool(going.changes)
    fit = training.fit(wanted, args, backbone, modality, *parts, found=classes, say=say, changed=changed)
    arranging.give_back(unused=True)
    saved, plain = backbones.reload(folder.model, modality), trainer_arguments.arguments(wanted, folder, fitting=False)
    predictions = adapting.predictions(wanted, saved, modality, found.splits.parts["validation"], plain)
    if args.process_index:
        return {"run": str(folder.root)}
    predictions = _answered(folder, wanted, predictions, found.report.counts["train"], say)
    write_json(folder.root / "history.json", fit.history)
    seconds = {"load": loaded, "train": fit.seconds, "all": time.perf_counter() - clock}
    written = _environment(wanted, folder, args, seconds, started, fit, backbone)
    write_json(folder.environment, written | {"train": settled, "data": files})
    scores = judging.validated(folder, wanted, predictions)  # last: from there on the run is finished
    for note in [*fit.notes, *resuming.notes(folder), *judging.publish(folder)]:
        say(f"note: {note}")
    say(f"trained in {fit.seconds:.0f} s ({_pace(fit)}){_best_sentence(fit, predictions.n, wanted.unit)}")
    return _ended(folder, fit) | {"validation": judging.plain(scores), "time": accounting.told(folder, "run", say)}


@working.on("eval")
@timeline.timed
def evaluate(name: str, say: Say = print) -> dict[str, Any]:
    """Open the test split of a finished run once, score the saved model on it, and write that down in the ledger.

    name: its folder, or that of a cross-validation: then the mean of its models' probabilities is scored.
    """
    folder = RunFolder.existing(name, folds=True)
    wanted = recipe.load(str(folder.root))
    args = trainer_arguments.arguments(wanted, folder, fitting=False)
    say = _only_first(say, args)
    modality = rooms.find("modalities", wanted.task)
    deciding.ready(folder, wanted)
    rows, train = gathering.opened(wanted, folder)
    model = ensembling.reload(folder, modality)
    look = _open(folder, rows, args)
    if decided := answering.rule(folder):
        say(decided)
    many = f" by {len(model.parts)} models together" if len(model.parts) > 1 else ""
    say(f"{folder.root.name}: scoring {len(rows):,} test {wanted.unit}s{many}, {_hardware_sentence(args)}")
    segment = askers.segmenter(wanted, model, modality, args)
    ask, began = askers.asker(wanted, folder, model, modality, args), time.perf_counter()
    with timeline.phase("evaluate"):
        predictions, scores = ask(rows), None
    each = (time.perf_counter() - began) / max(len(rows), 1)
    if args.process_index == 0:
        predictions.write(folder.predictions("test"))
        scores = judging.scored(folder, wanted, predictions)
        ledger.scored(folder, look, {name: score.value for name, score in scores.items() if "[" not in name})
        predicting.write_mistakes(predictions, rows, modality, folder.mistakes("test"), segment)
        describing.write(rows, modality, model.processor, folder.attributes("test"))
    sooner = askers.in_int8(wanted, folder, model, modality, args, say)
    subject = probing.Subject(modality, model.processor, rows, ask, predictions, segment, sooner)
    with timeline.phase("probes"):
        stressing.run(wanted, folder, "test", subject, each, args, say)
    features, notes = yardsticks.seen(wanted, modality, train, rows, args, say)
    if args.process_index:
        return {"run": str(folder.root)}
    yardsticks.write(folder, predictions, train, rows, features, [*notes, *uniting.sentences(folder)])
    yardsticks.liken(folder, predictions, modality, features)
    parity.check(folder, wanted, modality, model, rows, say)
    facts = judging.judged(folder, wanted, predictions, scores)
    return {"look": look} | facts | {"time": accounting.told(folder, "eval", say)}


def _ended(folder: RunFolder, fit: training.Fit) -> dict[str, Any]:
    facts = {"run": str(folder.root), "seconds": fit.seconds, "examples_per_second": fit.speed, "best": fit.best}
    return facts | {"notes": list(fit.notes), "report": str(folder.report)}


def _check_room(folder: RunFolder, wanted: Recipe, args: Any, backbone: backbones.Backbone, rows: int) -> None:
    """Raise InputError where checkpoints would be too few to average, or do not fit on the disk."""
    planned = quoting.plan(args, rows)
    adapting.check_average(wanted.adapt, planned.checkpoints)
    kept, trained = adapting.saved(wanted.adapt, backbone)
    claiming.room_for(folder, quoting.disk(planned, *quoting.sizes(backbone.parameters, args, kept, trained))[1])


def _met(wanted: Recipe, folder: RunFolder, args: Any, say: Say) -> None:
    """Say who trains what. Raises InputError where the machines of a launch do not have the same before them."""
    say(f"{folder.root.name}: {wanted.task}, {_hardware_sentence(args)}{_trust_sentence(wanted)}")
    launches.shared(partial(claiming.place, folder), args.world_size)
    launches.same("the recipe", recipe.dump(wanted), "copy one file to all of them", args.world_size)
    backbones.check(wanted.model, rooms.find("modalities", wanted.task))


def _read(wanted: Recipe, args: Any, say: Say) -> gathering.Inputs:
    """The data, read by each process for itself. Raises InputError where they do not all find the same."""
    found = gathering.read(wanted, say)
    launches.same("the data", found.report.fingerprints, "copy one set of files to all of them", args.world_size)
    return found


def _begin(folder: RunFolder, wanted: Recipe, splits: splitting.Splits, args: Any, going: resuming.Resumed) -> None:
    """Everything could be read: only now does the run folder come into being, once for all processes."""
    if args.world_size > 1:
        torch.distributed.barrier()
    if args.process_index == 0:
        going.keep()  # first: a new recipe of which nothing is said would be taken for that of the whole run
        text = recipe.dump(wanted)  # then: from there on the run is begun, and can be resumed
        write_whole(folder.root / "recipe.yaml", lambda target: target.write_text(text, encoding="utf-8"))
        splitting.write(splits, folder)


def _answered(folder: RunFolder, wanted: Recipe, predictions: Any, rows: dict[str, int], say: Say) -> Any:
    """Validation predictions by what is tuned on them and kept beside the model: thresholds, or what `decide` says."""
    if not predictions.multi_label:
        decided = answering.settled(folder, wanted, predictions, rows)
        if told := answering.sentence(folder):
            say(told)
        return decided
    tuned = thresholds.tune(predictions)
    thresholds.write(folder.thresholds, tuned, predictions)
    say(thresholds.sentence(tuned, predictions))
    return thresholds.applied(predictions, tuned)


def _open(folder: RunFolder, rows: datasets.Dataset, args: Any) -> int:
    """The ledger line of a look that is about to happen, once for all processes; returns the look's number."""
    if args.process_index:
        return 0
    return ledger.opened(folder, len(rows), fingerprint(rows["id"][:]), ensembling.weights(folder))


def _environment(
    wanted: Recipe,
    folder: RunFolder,
    args: Any,
    seconds: dict[str, float],
    started: str,
    fit: training.Fit,
    backbone: backbones.Backbone,
) -> dict[str, Any]:
    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    seconds |= {"features": fit.features} if fit.features else {}  # a part of "train"
    return {
        "started": started,
        "seed": wanted.seed,
        "git_commit": environment.git_commit(),
        "git_changed": environment.git_changed(),
        "versions": environment.versions(),
        "hardware": environment.hardware(environment.cores(), cards, args.world_size),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "examples_per_second": round(fit.speed, 1),
        "peak_memory_gb": environment.peak_memory_gb(),
        "speed": fit.decided,
        "allocator": arranging.memory(),
        "forced": resuming.notes(folder),
        "model": {
            "name": wanted.model.name,
            "parameters": backbone.parameters,
            "weights_sha256": sha256(folder.model / "model.safetensors"),
        }
        | ({"trust_remote_code": True} if wanted.model.trust_remote_code else {}),
    }


def _pace(fit: training.Fit) -> str:
    each = f"{fit.speed:.0f} examples/s" if fit.speed >= 10 else f"{fit.speed:.1f} examples/s"
    return f"{fit.features:.0f} of them for features, then {each}" if fit.features else each


def _best_sentence(fit: training.Fit, n: int, unit: str) -> str:
    if fit.best["value"] is None:
        return "; the last weights are kept (train.load_best_model_at_end is off)"
    steps = fit.best.get("averaged")
    kept = f"the mean of {len(steps)} checkpoints" if steps else f"step {fit.best['step']:,}"
    return f"; kept {kept}: {fit.best['metric']} {fit.best['value']:.4f} on {n:,} validation {unit}s"


def _hardware_sentence(args: Any) -> str:
    many = f"{args.world_size} process{'es' * (args.world_size > 1)}"
    if args.device.type == "cpu":
        threads = torch.get_num_threads()
        return f"{many} on CPU, {threads} thread{'s' * (threads > 1)}{' each' * (args.world_size > 1)}"
    return f"{many} on {torch.cuda.get_device_name(0) if args.device.type == 'cuda' else args.device.type}"


def _trust_sentence(wanted: Recipe) -> str:
    """Said before the model is opened: afterwards it has run."""
    if not wanted.model.trust_remote_code:
        return ""
    return f"\n  note: Python code that comes with {wanted.model.name} is run (model.trust_remote_code)"


def _only_first(say: Say, args: Any) -> Say:
    """Processes other than the first say nothing."""
    return say if args.process_index == 0 else lambda _: None
