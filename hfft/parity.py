"""Does the saved model answer the same for somebody who has its folder and plain transformers, and not hfft?

In: a run, its model in memory, test rows that are open anyway. Out: facts, kept in parity.json. A fresh process, which
imports nothing of hfft but what the card says one must, loads the folder with `transformers.pipeline`, and models of
timm with `timm.create_model` as well, and answers some of the rows. Pictures are handed over as hfft read them, as PNG.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import datasets
import numpy as np
import torch

from hfft import backbones, ensembling, forwarding, scratch, segmenting, serving, timeline, tokenising
from hfft.ensembling import Ensemble
from hfft.errors import counted
from hfft.gathering import Say
from hfft.picture_rows import decoded
from hfft.recipe import Recipe
from hfft.records import write_json
from hfft.run_folder import RunFolder

ROWS = 200
TOLERANCE = 1e-3  # of a logit: far above rounding, far below what wrong weights, inputs or names do
SHOWN_PIXELS = 64  # along each axis of an image's logits, at most, that are held against each other
SECONDS = 1200
SWITCH = "HFFT_PARITY"  # "off": no fresh process is started, and nothing is claimed
SCRIPT = Path(__file__).with_name("parity_check.py")
# What `segmenting` is to do there: float32, one image at a time, on this process alone.
ON_CPU: Any = SimpleNamespace(
    device=torch.device("cpu"), per_device_eval_batch_size=1, bf16=False, fp16=False, process_index=0, world_size=1
)
# A process of its own and not one of a launch; on the CPU, in float32, as most will try it.
FOREIGN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")


@timeline.phase("parity")
def check(
    run: RunFolder, wanted: Recipe, modality: ModuleType, model: Ensemble, rows: datasets.Dataset, say: Say
) -> dict[str, Any] | None:
    """Hold the folder against the model in memory on 200 of `rows`; write and return the facts of parity.json.

    {"n", "rows": their ids, "way": how it is called, "largest_logit_gap", "label_flips", "answers", "timm",
    "tolerance", "weights_sha256", "passed", "why"}. passed is None where a pipeline reads inputs otherwise, which is no
    failure. Returns None, and writes nothing, where HFFT_PARITY is "off".
    """
    if os.environ.get(SWITCH) == "off":
        return None
    facts: dict[str, Any] = {"n": 0, "rows": [], "tolerance": TOLERANCE, "weights_sha256": ensembling.weights(run)}
    facts |= {"largest_logit_gap": None, "label_flips": None, "answers": 0, "timm": None, "passed": None}
    if why := unlike(wanted, model):
        facts["why"] = why
    else:
        some = serving.spread(rows, ROWS)
        facts |= {"n": len(some), "rows": some["id"][:]}
        say(f"parity: a fresh process with plain transformers answers {counted(len(some), wanted.unit)} of them")
        facts |= _held(run, wanted, modality, model, some)
    write_json(run.parity, facts)
    return facts


def unlike(wanted: Recipe, model: Ensemble) -> str:
    """Why a plain pipeline does not read inputs as this run does; "" where it does."""
    if len(model.parts) > 1:
        return "the models of several folds answer together, which no single pipeline does"
    if wanted.model.trust_remote_code:
        return "the model runs Python code of its own, which a pipeline does not run unasked"
    if wanted.model.window:
        return "images are read in windows at their own size, and a pipeline reads them whole"
    if wanted.model.truncation not in ("head", "tail"):
        return f"long texts are read by model.truncation {wanted.model.truncation}, and a pipeline reads one end alone"
    return ""


def _held(
    run: RunFolder, wanted: Recipe, modality: ModuleType, model: Ensemble, some: datasets.Dataset
) -> dict[str, Any]:
    part = model.parts[0]
    part.model.cpu().eval()
    with scratch.folder("parity") as room:
        request = {"model": str(run.model.resolve()), "pipeline": modality.PIPELINE, "names": list(model.names)}
        # Both compute at once, and threads that wait for a core of the other's cost more than fewer threads.
        mine = max(1, torch.get_num_threads() // 2)
        request |= {"threads": torch.get_num_threads() if modality.MASKS else mine, "step": 1, "reader": None}
        if part.model.config.model_type == "hfft_fcn":
            request["reader"] = "hfft.fcn"
        inputs, way = _inputs(wanted, modality, part, some, room)
        if modality.MASKS:
            shown = segmenting.probabilities(part, some.select([0]), ON_CPU)
            request["step"] = max(1, -(-max(shown.shape[2:]) // SHOWN_PIXELS))
        with (
            forwarding.on_threads(mine),
            ThreadPoolExecutor(1) as beside,
        ):  # most of what the process takes are its imports
            pending = beside.submit(asked, request | inputs, room)
            batches = [] if modality.MASKS else serving.batches(part, modality, some, wanted.model, 1)
            ours = [serving.torch_logits(part.model, batch) for batch in batches]
            found, why = pending.result()
        if found is None:
            return {"passed": False, "why": why, "way": way}
        if modality.MASKS:
            return _judged_masks(found, part, some, wanted, way, request["step"])
        return _judged(np.concatenate(ours), found, part, way, wanted.unit)


def _inputs(
    wanted: Recipe, modality: ModuleType, part: backbones.Backbone, some: datasets.Dataset, room: Path
) -> tuple[dict[str, Any], str]:
    """(the rows as the fresh process gets them, the call that answers as hfft does)"""
    if modality.INPUT == "text":
        longest = tokenising.limit(part.processor, wanted.model)
        side = {"head": "right", "tail": "left"}[wanted.model.truncation]
        texts: list[Any] = [text or "" for text in some["text"][:]]
        if "text_pair" in some.column_names:
            pairs = zip(texts, some["text_pair"][:], strict=True)
            texts = [{"text": text, "text_pair": pair or ""} for text, pair in pairs]
        before = 'pipe.tokenizer.truncation_side = "left"; ' if side == "left" else ""
        way = f"{before}pipe(text, truncation=True, max_length={longest})"
        return {"texts": texts, "max_length": longest, "truncation_side": side}, way
    paths = [room / f"{number}.png" for number in range(len(some))]
    for path, source in zip(paths, some["image"][:], strict=True):
        decoded(source).save(path)
    return {"images": [str(path) for path in paths]}, "pipe(picture)"


def asked(request: dict[str, Any], room: Path) -> tuple[dict[str, np.ndarray] | None, str]:
    """(what the fresh process answered, "") or (None, why it could not)."""
    path = room / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if request["reader"]:  # where hfft runs from a checkout it is not installed
        path_of = [str(SCRIPT.parent.parent), *environment.get("PYTHONPATH", "").split(os.pathsep)]
        environment["PYTHONPATH"] = os.pathsep.join(part for part in path_of if part)
    environment["PYTHONSAFEPATH"] = "1"  # plain transformers, and nothing of the folder of the script (from 3.11 on)
    command = [sys.executable, str(SCRIPT), str(path)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None, f"plain transformers did not answer within {SECONDS // 60} minutes"
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        if "No space left on device" in done.stderr:  # which says nothing about the model
            raise OSError(errno.ENOSPC, "No space left on device", str(room))
        return None, f"plain transformers cannot use the model folder: {lines[-1][:300] if lines else 'it was killed'}"
    with np.load(path.with_name("answer.npz"), allow_pickle=False) as found:
        return dict(found), ""


def _judged(
    ours: np.ndarray, found: dict[str, np.ndarray], part: backbones.Backbone, way: str, unit: str
) -> dict[str, Any]:
    answer = serving.answers_of(part.model)
    facts = _apart(ours, found["logits"], answer) | {"answers": len(ours), "way": way}
    if "timm" in found:
        facts["timm"] = _apart(ours, found["timm"], answer)
    gaps = {"transformers.pipeline": facts} | ({"timm.create_model": facts["timm"]} if "timm" in found else {})
    return facts | _verdict(gaps, counted(len(ours), unit))


def _apart(ours: np.ndarray, theirs: np.ndarray, answer: Any) -> dict[str, Any]:
    gap = float(np.abs(ours.astype(np.float64) - theirs).max())
    return {"largest_logit_gap": gap, "label_flips": int((answer(ours) != answer(theirs)).sum())}


def _judged_masks(
    found: dict[str, np.ndarray], part: backbones.Backbone, some: datasets.Dataset, wanted: Recipe, way: str, step: int
) -> dict[str, Any]:
    """The same of pixels, one image at a time: logits of all images at once would fill the memory."""
    gap, flips, pixels = 0.0, 0, 0
    kept: list[torch.Tensor] = []
    hook = part.model.register_forward_hook(lambda *called: kept.append(called[-1].logits))
    try:
        for number, ours in enumerate(segmenting.answers([part], some, wanted.model, ON_CPU)):
            logits = kept.pop()[0, :, ::step, ::step].double().numpy()
            gap = max(gap, float(np.abs(logits - found[f"logits_{number}"]).max()))
            flips += int((ours.answer != found[f"answer_{number}"]).sum())
            pixels += ours.answer.size
    finally:
        hook.remove()
    facts = {"largest_logit_gap": gap, "label_flips": flips, "answers": pixels, "way": way}
    return facts | _verdict({"transformers.pipeline": facts}, counted(len(some), wanted.unit))


def _verdict(gaps: dict[str, dict[str, Any]], rows: str) -> dict[str, Any]:
    """Passed where every way gives the model's logits: then flips are between classes that are as good as equal."""
    told = ", ".join(
        f"{who} differs by {one['largest_logit_gap']:.2g} of a logit at most, "
        f"{counted(one['label_flips'], 'label')} flipped"
        for who, one in gaps.items()
    )
    if all(one["largest_logit_gap"] <= TOLERANCE for one in gaps.values()):
        return {"passed": True, "why": f"in a fresh process, on {rows} of test, {told}"}
    return {
        "passed": False,
        "why": f"THE SAVED MODEL ANSWERS OTHERWISE WITHOUT HFFT: on {rows} of test, {told}; more than {TOLERANCE:g} is "
        "no rounding. Do not publish this model folder",
    }
