"""The verbs as functions: the one place where stages meet. The command line and notebooks call the same ones.

Each verb returns plain facts and says what it is doing through `say`; none of them exits or formats.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from hfft import (
    backbones,
    baselines,
    claiming,
    environment,
    gating,
    loading,
    predicting,
    quoting,
    recipe,
    rehearsing,
    reporting,
    rooms,
    scoring,
    splitting,
    training,
)
from hfft.errors import InputError, listed
from hfft.recipe import Recipe
from hfft.records import Predictions, RunFolder, Score, fingerprint, read_json, write_json
from hfft.references import sha256

Say = Callable[[str], None]


def check(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    hub: str | None = None,
    fast: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Read a recipe and its data as training would, rehearse the run in small, and report both. Leaves nothing behind.

    fast: read only; opens no model. hub: OWNER/NAME that a push would go to. The facts' "rehearsal" holds problems,
    notes and the quote.
    """
    clock = time.perf_counter()
    if not fast:
        rehearsing.alone()
    wanted = recipe.load(name, overrides)
    splits = _splits(wanted, say)
    facts = {"recipe": name, "task": wanted.task, **dataclasses.asdict(splits.report)}
    if fast:
        _check_names(wanted, splits.labels)
        return facts
    train, validation, folder = splits.parts["train"], splits.parts["validation"], claiming.folder(name, output_dir)
    say("rehearsing the run in small …")
    read = time.perf_counter() - clock
    played = rehearsing.rehearse(wanted, splits.labels, train, validation, folder, hub, read)
    return facts | {"rehearsal": dataclasses.asdict(played)}


def run(
    name: str, overrides: tuple[str, ...] = (), output_dir: str | None = None, resume: bool = False, say: Say = print
) -> dict[str, Any]:
    """Fine-tune as the recipe says. Returns {"run": folder, "validation": scores, …}. Never scores the test split.

    output_dir: default runs/<recipe>. Raises InputError when it already holds a run, unless `resume`.
    """
    started, clock = _now(), time.perf_counter()
    wanted, folder = recipe.load(name, overrides), claiming.folder(name, output_dir)
    if not resume:
        claiming.fresh(folder)
    claiming.writable(folder)
    args = training.arguments(wanted, folder)
    say = _only_first(say, args)
    say(f"{folder.root.name}: {wanted.task}, {_hardware_sentence(args)}")
    point = claiming.resumed(folder, wanted, say) if resume else None
    splits = _splits(wanted, say)
    _check_names(wanted, splits.labels)
    if resume and read_json(folder.split)["fingerprints"] != splits.report.fingerprints:
        raise InputError(f"{folder.root}: the data has changed since this run began; bring it back, or start a new run")
    modality = rooms.find("modalities", wanted.task)
    transformers.set_seed(wanted.seed)
    backbone = backbones.load(wanted.model, modality, splits.labels)
    say(f"model: {wanted.model.name}, {backbone.parameters / 1e6:.1f} M parameters; {'; '.join(backbone.notes)}")
    planned = quoting.plan(args, splits.report.size("train"))
    claiming.room_for(folder, quoting.disk(planned, *quoting.sizes(backbone.parameters, args))[1])
    train, validation = (predicting.labelled(splits.parts[part], backbone) for part in ("train", "validation"))
    _begin(folder, wanted, splits, args)
    loaded = time.perf_counter() - clock
    fit = training.fit(wanted, args, backbone, modality, train, validation, folder, point)
    plain = training.arguments(wanted, folder, fitting=False)
    saved = backbones.reload(folder.model, modality)
    predictions = predicting.predict(saved, modality, splits.parts["validation"], wanted.model, plain)
    if args.process_index:
        return {"run": str(folder.root)}
    scores = scoring.score(predictions, wanted.metrics)
    folder.write_scores("validation", scores)
    predictions.write(folder.predictions("validation"))
    write_json(folder.root / "history.json", fit.history)
    seconds = {"load": loaded, "train": fit.seconds, "all": time.perf_counter() - clock}
    write_json(folder.environment, _environment(wanted, folder, args, seconds, started, fit, backbone))
    _publish(folder)
    say(f"trained in {fit.seconds:.0f} s ({fit.speed:.0f} examples/s){_best_sentence(fit, predictions.n)}")
    facts = {"run": str(folder.root), "seconds": fit.seconds, "examples_per_second": fit.speed, "best": fit.best}
    return facts | {"validation": _facts(scores), "report": str(folder.report)}


def evaluate(name: str, say: Say = print) -> dict[str, Any]:
    """Open the test split of a finished run once, score the saved model on it, and write that down in the ledger."""
    folder = RunFolder.existing(name)
    wanted = recipe.load(str(folder.root))
    args = training.arguments(wanted, folder, fitting=False)
    say = _only_first(say, args)
    _quiet()
    modality = rooms.find("modalities", wanted.task)
    table = loading.read(wanted.data, modality)
    rows = splitting.reopen(table, folder, "test")
    backbone = backbones.reload(folder.model, modality)
    say(f"{folder.root.name}: scoring {len(rows):,} test rows, {_hardware_sentence(args)}")
    predictions = predicting.predict(backbone, modality, rows, wanted.model, args)
    if args.process_index:
        return {"run": str(folder.root)}
    scores = scoring.score(predictions, wanted.metrics)
    look = _write_opening(folder, predictions, scores)
    predictions.write(folder.predictions("test"))
    predicting.write_mistakes(predictions, rows, modality, folder.mistakes("test"))
    folder.write_scores("test", scores)
    beside = _baselines(folder, wanted, splitting.reopen(table, folder, "train"), rows, predictions)
    notes, verdicts = scoring.notes(predictions), gating.judge(wanted.gates, scores)
    gates = [{"metric": v.metric, "rule": v.rule, "verdict": v.verdict, "why": v.why} for v in verdicts]
    write_json(folder.root / "notes.json", notes)
    write_json(folder.root / "gates.json", gates)
    _publish(folder)
    facts = {"run": str(folder.root), "n": predictions.n, "look": look, "test": _facts(scores), "baselines": beside}
    ending = {"report": str(folder.report), "exit_code": gating.exit_code(verdicts)}
    return facts | {"notes": notes, "gates": gates} | ending


def predict(name: str, inputs: list[Any]) -> list[dict[str, float]]:
    """Class probabilities of each input by a finished run's model: [{class: probability}, …], the likeliest first."""
    folder = RunFolder.existing(name)
    wanted = recipe.load(str(folder.root))
    modality = rooms.find("modalities", wanted.task)
    if not inputs:
        return []
    _quiet()
    args = training.arguments(wanted, folder, fitting=False)
    backbone = backbones.reload(folder.model, modality)
    scores = predicting.probabilities(backbone, modality, modality.as_rows(inputs), wanted.model, args)
    names = backbones.class_order(backbone.model)
    return [{names[i]: float(row[i]) for i in (-row).argsort(kind="stable")} for row in scores]


def report(name: str) -> Path:
    """Write report.html and the card again from the files of a run; opens no split."""
    folder = RunFolder.existing(name)
    _publish(folder)
    return folder.report


def _splits(wanted: Recipe, say: Say) -> splitting.Splits:
    """Read and split, and say what was found."""
    _quiet()
    modality = rooms.find("modalities", wanted.task)
    splits = splitting.split(loading.read(wanted.data, modality), wanted.data, wanted.seed)
    sizes = ", ".join(f"{name} {splits.report.size(name):,}" for name in splits.parts)
    say(f"data: {loading.shown(wanted.data)}: {sizes} rows; {len(splits.labels)} classes: {listed(splits.labels)}")
    for finding in splits.report.findings:
        say(f"  note: {finding}")
    return splits


def _check_names(wanted: Recipe, labels: tuple[str, ...]) -> None:
    """Metric and gate names, as soon as the classes are known."""
    known = scoring.keys(wanted.metrics, labels)
    gating.check(wanted.gates, known)
    training.best_metric(wanted, known)


def _begin(folder: RunFolder, wanted: Recipe, splits: splitting.Splits, args: Any) -> None:
    """Everything could be read: only now does the run folder come into being, once for all processes."""
    if args.world_size > 1:
        torch.distributed.barrier()
    if args.process_index == 0:
        folder.root.mkdir(parents=True, exist_ok=True)
        (folder.root / "recipe.yaml").write_text(recipe.dump(wanted), encoding="utf-8")
        splitting.write(splits, folder)


def _baselines(
    folder: RunFolder, wanted: Recipe, train: datasets.Dataset, rows: datasets.Dataset, predictions: Predictions
) -> dict[str, dict[str, Any]]:
    """Majority class and, for texts, TF-IDF + linear: trained on the same rows, scored on the same rows."""
    fixed = (predictions.labels, predictions.ids, predictions.names)
    made = {"majority": baselines.majority(train["label"][:], *fixed)}
    if "text" in rows.column_names:
        texts, tests = baselines.joined(train), baselines.joined(rows)
        made["tfidf_linear"] = baselines.tfidf_linear(list(zip(texts, train["label"][:], strict=True)), tests, *fixed)
    scores = {}
    for name, found in made.items():
        found.write(folder.predictions(f"test_{name}"))
        scores[name] = _facts(scoring.score(found, wanted.metrics))
    write_json(folder.baselines, scores)
    return scores


def _write_opening(folder: RunFolder, predictions: Predictions, scores: dict[str, Score]) -> int:
    """One ledger line; returns which look at the test split this was, counting from 1."""
    look = len(folder.openings()) + 1
    folder.append_opening(
        {
            "time": _now(),
            "look": look,
            "split": "test",
            "n": predictions.n,
            "fingerprint": fingerprint([str(row) for row in predictions.ids]),
            "weights": sha256(folder.model / "model.safetensors"),
            "scores": {name: score.value for name, score in scores.items() if "[" not in name},
        }
    )
    return look


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
    return {
        "started": started,
        "seed": wanted.seed,
        "git_commit": environment.git_commit(),
        "git_changed": environment.git_changed(),
        "versions": environment.versions(),
        "hardware": environment.hardware(training.cores(), cards, args.world_size),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "examples_per_second": round(fit.speed, 1),
        "peak_memory_gb": environment.peak_memory_gb(),
        "model": {
            "name": wanted.model.name,
            "parameters": backbone.parameters,
            "weights_sha256": sha256(folder.model / "model.safetensors"),
        },
    }


def _publish(folder: RunFolder) -> None:
    reporting.render(folder)
    (folder.model / "README.md").write_text(reporting.card(folder), encoding="utf-8")


def _facts(scores: dict[str, Score]) -> dict[str, Any]:
    return {name: dataclasses.asdict(score) for name, score in scores.items()}


def _best_sentence(fit: training.Fit, n: int) -> str:
    if fit.best["value"] is None:
        return "; the last weights are kept, because nothing was compared on validation"
    return f"; kept step {fit.best['step']:,}: {fit.best['metric']} {fit.best['value']:.4f} on {n:,} validation rows"


def _hardware_sentence(args: Any) -> str:
    many = f"{args.world_size} process{'es' * (args.world_size > 1)}"
    if args.device.type == "cpu":
        threads = torch.get_num_threads()
        return f"{many} on CPU, {threads} thread{'s' * (threads > 1)}{' each' * (args.world_size > 1)}"
    return f"{many} on {torch.cuda.get_device_name(0) if args.device.type == 'cuda' else args.device.type}"


def _only_first(say: Say, args: Any) -> Say:
    """Processes other than the first say nothing."""
    return say if args.process_index == 0 else lambda _: None


def _quiet() -> None:
    """`datasets` draws a bar per step and logs what it also raises; hfft says the same once."""
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
