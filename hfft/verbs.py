"""The verbs as functions: the one place where stages meet. The command line and notebooks call the same ones.

Each verb returns plain facts and says what it is doing through `say`; none of them exits or formats.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from hfft import backbones, baselines, checkpoints, environment, gating, loading, predicting, recipe, references, reporting
from hfft import rooms, scoring, splitting, training
from hfft.errors import InputError, listed
from hfft.recipe import Recipe
from hfft.records import Predictions, RunFolder, fingerprint, read_json, write_json

Say = Callable[[str], None]


def check(name: str, overrides: tuple[str, ...] = (), say: Say = print) -> dict[str, Any]:
    """Read a recipe and its data as training would, and report what is there. Opens no model, writes nothing."""
    wanted = recipe.load(name, overrides)
    splits = _splits(wanted, say)
    gating.check(wanted.gates, scoring.keys(wanted.metrics, splits.labels))
    training.best_metric(wanted, splits.labels)
    return {"recipe": name, "task": wanted.task, **dataclasses.asdict(splits.report)}


def run(
    name: str, overrides: tuple[str, ...] = (), output_dir: str | None = None, resume: bool = False, say: Say = print
) -> dict[str, Any]:
    """Fine-tune as the recipe says. Returns {"run": folder, "validation": scores, …}. Never scores the test split.

    output_dir: default runs/<recipe>. Raises InputError when it already holds a run, unless `resume`.
    """
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    clock = {"start": time.perf_counter()}
    wanted = recipe.load(name, overrides)
    folder = RunFolder(_output_dir(name, output_dir))
    point = _checkpoint(folder, wanted, resume, say)
    args = training.arguments(wanted, folder)
    say = say if args.process_index == 0 else _silent
    modality = rooms.find("modalities", wanted.task)
    say(f"{folder.root.name}: {wanted.task}, {_hardware_sentence(args)}")
    splits = _splits(wanted, say)
    gating.check(wanted.gates, scoring.keys(wanted.metrics, splits.labels))
    training.best_metric(wanted, splits.labels)
    transformers.set_seed(wanted.seed)
    backbone = backbones.load(wanted.model, modality, splits.labels)
    parameters = sum(p.numel() for p in backbone.model.parameters())
    say(f"model: {wanted.model.name}, {parameters / 1e6:.1f} M parameters; {'; '.join(backbone.notes)}")
    if resume and folder.split.is_file() and read_json(folder.split)["fingerprints"] != splits.report.fingerprints:
        raise InputError(f"{folder.root}: the data has changed since this run began; bring it back, or start a new run")
    _together(args)
    if args.process_index == 0:
        folder.root.mkdir(parents=True, exist_ok=True)
        (folder.root / "recipe.yaml").write_text(recipe.dump(wanted), encoding="utf-8")
        splitting.write(splits, folder)
    clock["loaded"] = time.perf_counter()
    train, validation = (_with_ids(splits.parts[part], backbone) for part in ("train", "validation"))
    fit = training.fit(wanted, args, backbone, modality, train, validation, folder, point)
    clock["trained"] = time.perf_counter()
    saved = backbones.reload(folder.model, modality)
    plain = training.arguments(wanted, folder, fitting=False)
    predictions = predicting.predict(saved, modality, splits.parts["validation"], wanted.model, plain)
    if args.process_index:
        return {"run": str(folder.root)}
    scores = scoring.score(predictions, wanted.metrics)
    folder.write_scores("validation", scores)
    predictions.write(folder.predictions("validation"))
    write_json(folder.root / "history.json", [_plain(row) for row in fit.history])
    seconds = {"load": clock["loaded"] - clock["start"], "train": fit.seconds, "validate_and_save": time.perf_counter() - clock["trained"]}
    write_json(folder.environment, _environment(wanted, folder, args, started, seconds, parameters, fit))
    _publish(folder)
    say(
        f"trained in {fit.seconds:.0f} s ({fit.speed:.0f} examples/s); best {fit.best['metric']} "
        f"{fit.best['value']:.4f} at step {fit.best['step']:,} on {predictions.n:,} validation rows" if fit.best["value"] is not None
        else f"trained in {fit.seconds:.0f} s ({fit.speed:.0f} examples/s)"
    )
    return {"run": str(folder.root), "seconds": fit.seconds, "examples_per_second": fit.speed, "best": fit.best, "validation": _facts(scores)}


def evaluate(name: str, say: Say = print) -> dict[str, Any]:
    """Open the test split of a finished run once, score the saved model on it, and write that down in the ledger."""
    folder = RunFolder.existing(name)
    wanted = recipe.load(str(folder.root))
    args = training.arguments(wanted, folder, fitting=False)
    say = say if args.process_index == 0 else _silent
    datasets.disable_progress_bars()
    modality = rooms.find("modalities", wanted.task)
    table = loading.read(wanted.data, modality)
    rows = splitting.reopen(table, folder, "test")
    backbone = backbones.reload(folder.model, modality)
    say(f"{folder.root.name}: scoring {len(rows):,} test rows, {_hardware_sentence(args)}")
    predictions = predicting.predict(backbone, modality, rows, wanted.model, args)
    if args.process_index:
        return {"run": str(folder.root)}
    scores = scoring.score(predictions, wanted.metrics)
    look = _write_opening(folder, predictions, {k: v.value for k, v in scores.items() if "[" not in k})
    predictions.write(folder.predictions("test"))
    predicting.write_mistakes(predictions, rows, modality, folder.mistakes("test"))
    folder.write_scores("test", scores)
    held = _baselines(folder, wanted, table, rows, predictions)
    notes = scoring.notes(predictions)
    verdicts = gating.judge(wanted.gates, scores)
    write_json(folder.root / "notes.json", notes)
    write_json(folder.root / "gates.json", [{k: v for k, v in vars(x).items() if k != "score"} for x in verdicts])
    _publish(folder)
    return {
        "run": str(folder.root),
        "n": predictions.n,
        "look": look,
        "test": _facts(scores),
        "baselines": {k: _facts(v) for k, v in held.items()},
        "notes": notes,
        "gates": [{k: v for k, v in vars(x).items() if k != "score"} for x in verdicts],
        "report": str(folder.report),
        "exit_code": gating.exit_code(verdicts),
    }


def predict(name: str, inputs: list[Any]) -> list[dict[str, float]]:
    """Class probabilities of each input by a finished run's model: [{class: probability}, …], the likeliest first."""
    folder = RunFolder.existing(name)
    wanted = recipe.load(str(folder.root))
    modality = rooms.find("modalities", wanted.task)
    if not inputs:
        return []
    args = training.arguments(wanted, folder, fitting=False)
    datasets.disable_progress_bars()
    backbone = backbones.reload(folder.model, modality)
    scores = predicting.probabilities(backbone, modality, modality.as_rows(inputs), wanted.model, args)
    names = backbones.class_order(backbone.model)
    return [{names[i]: float(row[i]) for i in row.argsort()[::-1]} for row in scores]


def report(name: str) -> Path:
    """Write report.html and the card again from the files of a run; opens no split."""
    folder = RunFolder.existing(name)
    _publish(folder)
    return folder.report


def _splits(wanted: Recipe, say: Say) -> splitting.Splits:
    datasets.disable_progress_bars()
    modality = rooms.find("modalities", wanted.task)
    splits = splitting.split(loading.read(wanted.data, modality), wanted.data, wanted.seed)
    sizes = ", ".join(f"{name} {splits.report.size(name):,}" for name in splits.parts)
    say(f"data: {loading.shown(wanted.data)}: {sizes} rows; {len(splits.labels)} classes: {listed(splits.labels)}")
    for finding in splits.report.findings:
        say(f"  note: {finding}")
    return splits


def _output_dir(name: str, output_dir: str | None) -> Path:
    if output_dir:
        return Path(output_dir)
    stem, path = recipe.locate(name)
    return path.parent if path.name == "recipe.yaml" and Path(name).is_dir() else Path("runs") / stem


def _checkpoint(folder: RunFolder, wanted: Recipe, resume: bool, say: Say) -> Path | None:
    """Where to go on from. Raises InputError when the folder is taken, or holds another recipe's run."""
    held = sorted(path.name for path in folder.root.iterdir()) if folder.root.is_dir() else []
    if folder.root.exists() and not folder.root.is_dir():
        raise InputError(f"{folder.root} is a file; type --output-dir FOLDER")
    if not resume:
        if held:
            done = folder.model.is_dir()
            state = "already holds a run" if (folder.root / "recipe.yaml").is_file() else f"is not empty ({listed(held, 4)})"
            first = f"`hfft eval {folder.root}` to score it" if done else f"`hfft run {folder.root} --resume` to go on with it"
            raise InputError(f"{folder.root} {state}, and nothing is overwritten; type {first}, or --output-dir {_free(folder.root)}")
        return None
    if not held:
        raise InputError(f"{folder.root}: there is nothing to resume; leave --resume out to start")
    if not (folder.root / "recipe.yaml").is_file() or recipe.load(str(folder.root)) != wanted:
        raise InputError(f"{folder.root} was made with another recipe; type `hfft run {folder.root} --resume`")
    if folder.model.is_dir():
        raise InputError(f"{folder.root} is finished; type `hfft eval {folder.root}`")
    point, damaged = checkpoints.newest(folder.checkpoints)
    for path in damaged:
        say(f"{path} is incomplete or damaged: passed over")
    say(f"resuming from {point}" if point else "no whole checkpoint yet: starting from the beginning")
    return point


def _free(root: Path) -> Path:
    number = 2
    while (path := root.with_name(f"{root.name}-{number}")).exists():
        number += 1
    return path


def _with_ids(rows: datasets.Dataset, backbone: backbones.Backbone) -> datasets.Dataset:
    """Rows with `labels`: class ids in the order of the model's outputs."""
    ids = predicting.label_ids(rows["label"][:], backbones.class_order(backbone.model))
    return rows.remove_columns([c for c in ("label", "id", "key", "split") if c in rows.column_names]).add_column("labels", ids)


def _baselines(
    folder: RunFolder, wanted: Recipe, table: loading.Table, rows: datasets.Dataset, predictions: Predictions
) -> dict[str, dict[str, Any]]:
    """Majority class and, for texts, TF-IDF + linear; trained on the same rows, scored on the same rows."""
    train = splitting.reopen(table, folder, "train")
    fixed = (predictions.labels, predictions.ids, predictions.names)
    made = {"majority": baselines.majority(train["label"][:], *fixed)}
    if "text" in rows.column_names:
        texts, tests = (_joined(part) for part in (train, rows))
        made["tfidf_linear"] = baselines.tfidf_linear(list(zip(texts, train["label"][:], strict=True)), tests, *fixed)
    scores = {name: scoring.score(found, wanted.metrics) for name, found in made.items()}
    for name, found in made.items():
        found.write(folder.predictions(f"test_{name}"))
    write_json(folder.baselines, {n: {k: dataclasses.asdict(s) for k, s in part.items()} for n, part in scores.items()})
    return scores


def _joined(rows: datasets.Dataset) -> list[str]:
    texts = rows["text"][:]
    if "text_pair" not in rows.column_names:
        return texts
    return [f"{a} {b or ''}" for a, b in zip(texts, rows["text_pair"][:], strict=True)]


def _write_opening(folder: RunFolder, predictions: Predictions, scores: dict[str, float | None]) -> int:
    """One ledger line; returns which look at the test split this was, counting from 1."""
    look = len(folder.openings()) + 1
    folder.append_opening(
        {
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "look": look,
            "split": "test",
            "n": predictions.n,
            "fingerprint": fingerprint([str(row) for row in predictions.ids]),
            "weights": references.sha256(folder.model / "model.safetensors"),
            "scores": scores,
        }
    )
    return look


def _environment(wanted: Recipe, folder: RunFolder, args: Any, started: str, seconds: dict[str, float], parameters: int, fit: training.Fit) -> dict[str, Any]:
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "started": started,
        "seed": wanted.seed,
        "git_commit": environment.git_commit(),
        "versions": environment.versions(),
        "hardware": environment.hardware(training.cores(), cards, args.world_size),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "examples_per_second": round(fit.speed, 1),
        "peak_memory_gb": environment.peak_memory_gb(),
        "model": {
            "name": wanted.model.name,
            "parameters": parameters,
            "weights_sha256": references.sha256(folder.model / "model.safetensors"),
        },
    }


def _publish(folder: RunFolder) -> None:
    reporting.render(folder)
    (folder.model / "README.md").write_text(reporting.card(folder), encoding="utf-8")


def _facts(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: dataclasses.asdict(score) for name, score in scores.items()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: float(v) if isinstance(v, (int, float)) else v for k, v in row.items()}


def _hardware_sentence(args: Any) -> str:
    many = f"{args.world_size} process{'es' * (args.world_size > 1)}"
    if args.device.type == "cpu":
        return f"{many} on CPU, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)} each"
    return f"{many} on {torch.cuda.get_device_name(0) if args.device.type == 'cuda' else args.device.type}"


def _together(args: Any) -> None:
    if args.world_size > 1:
        torch.distributed.barrier()


def _silent(_: str) -> None:
    """Processes other than the first say nothing."""


os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
