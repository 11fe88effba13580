"""The verb `export`: a run's model in another format, held against the model it came from before anyone relies on it.

In: a finished run, a format. Out: exports/<format>/ with the model, what its answers need, and what was measured; or a
refusal, and no files. Like verbs.py, this is a place where stages meet.

Rows: those of the test split where the run has been scored on it, else validation rows. The ledger gets a line for it.
Float32 files are held against the model by their logits: no label is read, nothing can be chosen by it, and it is no
look. 8 bits are accepted by their score, which is one. What a static 8-bit model learns its ranges from are training
rows, of a stream validation rows; what its probabilities become answers by is fitted on validation rows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import torch

from hfft import (
    backbones,
    eight_bit,
    ensembling,
    environment,
    export_answers,
    export_inputs,
    export_page,
    export_verdicts,
    gathering,
    gating,
    ledger,
    lite_graphs,
    mask_records,
    onnx_graphs,
    recipe,
    rooms,
    serving,
    sessions,
    tokenising,
    working,
)
from hfft.backbones import Backbone
from hfft.errors import InputError, counted, listed, meant
from hfft.gathering import Say
from hfft.mask_records import Answers
from hfft.recipe import Recipe
from hfft.records import VALIDATION, fingerprint, put, write_json
from hfft.references import sha256
from hfft.run_folder import EXPORT_FACTS, RunFolder

FORMATS = ("onnx", "onnx-int8", "openvino", "litert")
EIGHT_BIT = "onnx-int8"
FILES = {"openvino": sessions.OPENVINO, "litert": sessions.LITERT}
NEEDS = {"openvino": ("onnx", "onnxruntime", "onnxscript", "openvino"), "litert": ("litert_torch", "ai_edge_litert")}
CALIBRATION = 128  # rows that a static 8-bit model learns its ranges from
LEFT = ("model.safetensors", "README.md")  # of the model folder: the weights are in the file, and its page is another
VERSION = 1


@dataclass(frozen=True)
class Job:
    """A run, its model and the rows to hold the export against. work: where the files are until they may be kept."""

    folder: RunFolder
    wanted: Recipe
    modality: ModuleType
    backbone: Backbone
    split: str
    held: datasets.Dataset
    kind: str
    work: Path

    @property
    def file(self) -> Path:
        return self.work / FILES.get(self.kind, sessions.ONNX)

    @property
    def judged(self) -> bool:
        """Whether it is accepted by how well it answers, and not by giving the model's own logits."""
        return self.kind == EIGHT_BIT

    def batches(self, rows: datasets.Dataset, size: int) -> Iterator[dict[str, torch.Tensor]]:
        return serving.batches(self.backbone, self.modality, rows, self.wanted.model, size)

    def rows(self, split: str) -> datasets.Dataset:
        return self.held if split == self.split else gathering.held_back(self.wanted, self.folder, split)

    def answers(self, rows: datasets.Dataset) -> Answers:
        """What the exported file answers to rows, as `hfft predict` asks it."""
        facts = (self.work, self.folder, self.wanted, self.modality, self.backbone)
        return export_answers.predicted(*facts, rows)


@working.on("export")
def export(
    name: str,
    kind: str,
    output_dir: str | None = None,
    margin: float = 0.01,
    rows: int = 200,
    keep: bool = False,
    overwrite: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Write the model of run `name` as `kind`, measure it, and keep it where it may be relied on.

    output_dir: default exports/<kind> in the run. margin: how much worse than the model 8 bits may be, on the leading
    metric. rows: for parity and speed. keep: the files stay whatever was found. Returns the facts of export.json with
    {"run", "folder": where it is, None where refused}; their "exit_code" is 0, 1 where it must not be used, 3 where the
    rows are too few to tell. Raises InputError for words that make no sense, and for models that cannot be traced.
    """
    folder, target = _checked(name, kind, output_dir, margin, rows, overwrite)
    wanted = recipe.load(str(folder.root))
    modality = rooms.find("modalities", wanted.task)
    split = "test" if folder.predictions("test").is_file() else VALIDATION
    held = gathering.held_back(wanted, folder, split)
    backbone = backbones.reload(folder.model, modality)
    work = _room(target)
    job = Job(folder, wanted, modality, backbone, split, held, kind, work)
    try:
        say(f"{folder.root.name}: writing {kind}")
        look = _open(job) if split == "test" else None
        made = _written(job)
        _beside(job)
        facts = _about(job) | {"look": look, "labels": look is not None and job.judged} | made
        facts |= _measured(job, rows, say) | {"fitted": _fitted(job, say) if job.judged else None}
        facts |= _compared(job, margin, say) if job.judged else export_verdicts.equal(facts["parity"], wanted.unit)
        if look is not None:
            ledger.scored(folder, look, {})  # seen to its end; what was found is in export.json
        kept = facts["exit_code"] == 0 or keep
        if kept:
            _finish(job, facts, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return facts | {"run": str(folder.root), "folder": str(target) if kept else None}


def _checked(
    name: str, kind: str, output_dir: str | None, margin: float, rows: int, overwrite: bool
) -> tuple[RunFolder, Path]:
    """(run, where the export goes), before anything heavy is done."""
    if kind not in FORMATS:
        raise InputError(f"--format: no {kind!r}{meant(kind, FORMATS)}; known: {listed(FORMATS)}")
    if not 0 < margin < 1:
        raise InputError(f"--margin: expected a share above 0 and below 1, such as 0.01 for one point, got {margin:g}")
    if rows < 1:
        raise InputError(f"--rows: expected 1 or more, got {rows}")
    folder = RunFolder.existing(name)
    target = Path(output_dir) if output_dir else folder.export(kind)
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or (target / EXPORT_FACTS).is_file())):
        raise InputError(f"{target} is no export and is not overwritten; type another --output-dir")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise InputError(f"{target} holds an export already; type --overwrite to make it anew, or --output-dir FOLDER")
    for module in NEEDS.get(kind, ("onnx", "onnxruntime", "onnxscript")):
        sessions.imported(module)
    return folder, target


def _room(target: Path) -> Path:
    """A new folder beside the target, to be renamed to it. Raises InputError where none can be made."""
    work = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        work.mkdir(parents=True)
    except OSError as error:
        why = error.strerror or error
        raise InputError(
            f"{target.parent} cannot be written ({why}); make it writable, or type another --output-dir"
        ) from error
    return work


def _open(job: Job) -> int:
    """The ledger line of an opening of the test rows; returns its number. Labels are read where answers are judged."""
    prints = fingerprint(job.held["id"][:]), ensembling.weights(job.folder)
    return ledger.opened(job.folder, len(job.held), *prints, purpose=f"export {job.kind}", labels=job.judged)


def _written(job: Job) -> dict[str, Any]:
    """Write the model's file; {"int8": how it was made, or None}. Held-back rows serve as examples of shapes only."""
    two = job.held.select([0, min(1, len(job.held) - 1)])
    whole = job.work / (f"float32-{sessions.ONNX}" if job.kind != "onnx" else sessions.ONNX)
    arrays = next(job.batches(two, 2))
    if job.kind == "litert":
        text = job.modality.INPUT == "text"
        longest = tokenising.limit(job.backbone.processor, job.wanted.model) if text else None
        lite_graphs.write(job.backbone.model.cpu().eval(), arrays, job.file, longest)
        return {"int8": None}
    onnx_graphs.write(job.backbone.model.cpu().eval(), arrays, whole)
    if job.kind == "onnx":
        return {"int8": None}
    if job.kind == "openvino":
        onnx_graphs.to_openvino(whole, job.file)
        return {"int8": None}
    about: dict[str, Any] = {"ranges_from": None, "rows": 0}
    if eight_bit.fitting(whole) == eight_bit.STATIC:
        source, seen = _seen(job)
        about = {"ranges_from": source, "rows": len(seen)}
    batches = map(serving.arrays, job.batches(seen, 8)) if about["rows"] else None
    return {"int8": eight_bit.quantise(whole, job.file, batches) | about}


def _seen(job: Job) -> tuple[str, datasets.Dataset]:
    """(split, rows that ranges are learnt from): training rows; of a stream, which cannot be drawn from, validation."""
    source = VALIDATION if job.wanted.data.streaming else "train"
    return source, serving.spread(job.rows(source), CALIBRATION)


def _beside(job: Job) -> None:
    """What lies beside the file: configuration, processor, and how probabilities become answers."""
    for left in job.work.glob("float32-*"):
        left.unlink()
    for path in sorted(job.folder.model.iterdir()):
        if path.is_file() and path.name not in LEFT:
            shutil.copyfile(path, job.work / path.name)


def _fitted(job: Job, say: Say) -> dict[str, Any] | None:
    """Temperature and thresholds, fitted to the file's own answers to validation rows; of masks there are none."""
    if job.modality.MASKS:
        return None
    rows = job.rows(VALIDATION)
    say(f"fitting its temperature and thresholds: {counted(len(rows), job.wanted.unit)} of {VALIDATION}")
    return export_answers.refitted(job.work, job.folder, job.wanted, job.answers(rows))


def _measured(job: Job, rows: int, say: Say) -> dict[str, Any]:
    """Parity and speed at two sizes of batches, on rows spread over the split."""
    threads = torch.get_num_threads()
    session = sessions.load(job.work, threads)
    some, parts = serving.spread(job.held, rows), []
    for size in serving.OF_MASKS if job.modality.MASKS else serving.SIZES:
        say(f"holding it against the model: {counted(len(some), job.wanted.unit)} of {job.split}, {size} at a time")
        found = serving.held_against(job.backbone, session, job.batches(some, size))
        parts.append({"batch": size} | found)
    parity: dict[str, Any] = {"split": job.split, "n": len(some), "tolerance": export_verdicts.TOLERANCE}
    parity |= {"largest_logit_gap": max(part["largest_logit_gap"] for part in parts)}
    speed = [{"batch": part["batch"]} | part.pop("speed") for part in parts]
    machine = environment.hardware(environment.cores(), [], 1)
    about = {"threads": threads, "machine": machine["cpu"], "cores": machine["cores"], "batches": speed}
    return {
        "engine": session.machine,
        "arrays": list(session.inputs),
        "parity": parity | {"batches": parts},
        "speed": about,
    }


def _compared(job: Job, margin: float, say: Say) -> dict[str, Any]:
    """The 8-bit answers to all rows of the split against the run's own: no worse than `margin`, or refused."""
    base = mask_records.read(job.folder.predictions(job.split))
    say(f"comparing its answers with the run's own: {counted(base.n, job.wanted.unit)} of {job.split}")
    ours = export_answers.decided(job.work, job.folder, job.wanted, job.answers(job.held))
    verdict, metric, apart = export_verdicts.no_worse(base, ours, job.wanted.metrics, margin)
    facts = {"metric": metric, "margin": margin, "n": base.n, "split": job.split, "verdict": verdict.verdict}
    facts |= {"value": apart.value, "low": apart.low, "high": apart.high, "method": apart.method}
    ends = {
        gating.PASS: "",
        gating.FAIL: " It is refused: take --format onnx, or allow more with --margin.",
        gating.UNCLEAR: " So it is refused: take --format onnx, or a larger --margin, or keep it untold with --keep.",
    }
    facts = {"comparison": facts, "accepted": verdict.verdict == gating.PASS}
    return facts | {"exit_code": gating.exit_code([verdict]), "why": verdict.why + ends[verdict.verdict]}


def _about(job: Job) -> dict[str, Any]:
    """What is in the folder and where it comes from."""
    names = backbones.class_order(job.backbone.model)
    facts: dict[str, Any] = {"version": VERSION, "format": job.kind, "file": job.file.name, "task": job.wanted.task}
    facts |= {"name": job.folder.root.name, "classes": list(names), "multi_label": job.wanted.data.multi_label}
    facts |= {"inputs": export_inputs.described(job.backbone, job.modality, job.wanted.model)}
    facts |= {"weights_sha256": ensembling.weights(job.folder), "date": environment.today()}
    return facts | {"versions": environment.versions(), "split": job.split}


def _finish(job: Job, facts: dict[str, Any], target: Path) -> None:
    """The facts and the page, and all of it to where it belongs."""
    files = [path for path in job.work.iterdir() if path.name.startswith(job.file.stem)]
    facts |= {"mb": round(sum(path.stat().st_size for path in files) / 1e6, 2), "file_sha256": sha256(job.file)}
    write_json(job.work / EXPORT_FACTS, facts)
    (job.work / "README.md").write_text(export_page.page(facts, job.work), encoding="utf-8")
    put(job.work, target)
