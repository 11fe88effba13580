"""The folds of a cross-validation as one model: what the mean of their answers needs beside the models themselves.

In: finished folds and the answers to the rows they held out. Out: in the folder above them, the files that a run has:
recipe, split, environment, and in model/ what is decided after the model. All of that comes from rows that no model saw
when it answered them, and never from test. It opens no split and needs no model. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hfft import answering, calibrating, labelsets, recipe
from hfft.mask_records import Answers, MaskPredictions
from hfft.recipe import Recipe
from hfft.records import (
    FOLDS,
    HELD_OUT,
    OUT_OF_FOLD,
    Predictions,
    fingerprint,
    leading,
    read_json,
    write_json,
    write_whole,
)
from hfft.run_folder import RunFolder

POOL = ("train", "validation", HELD_OUT)  # of a fold: the rows that folds are dealt from


def united(whole: RunFolder, runs: list[RunFolder], wanted: Recipe, predictions: Answers) -> None:
    """Write them. wanted: of any fold. predictions: out of fold, of all of `runs`."""
    split = dataclasses.replace(wanted.data.split, folds=None, fold=None)
    plain = dataclasses.replace(wanted, data=dataclasses.replace(wanted.data, split=split))
    text = recipe.dump(plain)
    counts = _split(whole, runs, wanted)
    write_json(whole.environment, _environment([read_json(run.environment) for run in runs]))
    whole.model.mkdir(exist_ok=True)
    decided = _decided(whole, plain, predictions, counts)
    if isinstance(decided, Predictions):
        write_json(whole.model / calibrating.FILE, calibrating.fitted(decided, wanted.abstain, OUT_OF_FOLD))
    # Last: with it the folder is a run.
    write_whole(whole.root / "recipe.yaml", lambda target: target.write_text(text, encoding="utf-8"))


def sentences(folder: RunFolder) -> list[str]:
    """What is scored where several models answer together, beside their score out of fold; none for a single model."""
    if not folder.members:
        return []
    facts = read_json(folder.root / FOLDS)
    lead = leading(facts["scores"])
    said = f"{len(folder.members)} models answer together: what is scored is the mean of their probabilities."
    if lead is None:
        return [said]
    found = facts["scores"][lead]
    return [
        f"{said} The out-of-fold {lead} {found['mean']:.4f} [{found['low']:.4f}, {found['high']:.4f}] is that of "
        "single models; this score is the ensemble's own."
    ]


def _split(whole: RunFolder, runs: list[RunFolder], wanted: Recipe) -> dict[str, int]:
    """split.json and split.parquet: train is every row that folds are dealt from, for each took part in training some
    of the models. Returns class → rows of it.
    """
    tables = [pq.read_table(run.root / "split.parquet") for run in runs]
    rows = [row for table in tables for row in table.to_pylist()]
    pool = sorted({row["id"] for row in rows if row["split"] in POOL})
    test = [row for row in tables[0].to_pylist() if row["split"] == "test"]
    places = ["train"] * len(pool) + ["test"] * len(test)
    columns = {"id": [*pool, *(row["id"] for row in test)], "split": places}
    columns["leak"] = pa.array([None] * len(pool) + [row["leak"] for row in test], pa.string())
    write_whole(whole.root / "split.parquet", lambda target: pq.write_table(pa.table(columns), target))
    each = [read_json(run.split) for run in runs]
    facts = each[0]
    if wanted.masks:  # whose ids name no class; every fold deals all of these images
        found = sum((Counter(facts["counts"].get(name, {})) for name in POOL), Counter())
    else:
        found = labelsets.count(
            [row.partition("-")[2] for row in pool], wanted.data.multi_label
        )  # see loading.identified
    counts = {name: found.get(name, 0) for name in facts["counts"]["train"]}
    common = [line for line in dict.fromkeys(facts["findings"]) if all(line in other["findings"] for other in each)]
    common = [line for line in common if not line.endswith((" in validation", f" in {HELD_OUT}"))]
    made = {
        "method": {key: value for key, value in facts["method"].items() if key not in ("folds", "fold")},
        "counts": {"train": counts, "test": facts["counts"]["test"]},
        "fingerprints": {"train": fingerprint(pool), "test": facts["fingerprints"]["test"]},
        "findings": [*common, f"train is what the folds of {len(runs)} models are dealt from"],
        "leaks": facts["leaks"] | {"overlaps": _overlaps(facts["leaks"]["overlaps"])},
    }
    if "rows" in facts:
        made["rows"] = {"train": len(pool), "test": len(test)}
    if "pixels" in facts:
        total = sum((Counter(facts["pixels"].get(name, {})) for name in POOL), Counter())
        made["pixels"] = {"train": dict(total), "test": facts["pixels"]["test"]}
    write_json(whole.split, made)
    return counts


def _overlaps(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Test rows met in what is train here: at most as many as were met in train and in validation."""
    total: Counter[str] = Counter()
    for pair in pairs:
        if pair["split"] == "test":
            total.update({key: value for key, value in pair.items() if key not in ("split", "with")})
    return [{"split": "test", "with": "train", **total}]


def _environment(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the first fold, with the time and the memory of all of them."""
    seconds: Counter[str] = Counter()
    for one in each:
        seconds.update(one["seconds"])
    model = {"name": each[0]["model"]["name"], "parameters": sum(one["model"]["parameters"] for one in each)}
    facts = {key: each[0][key] for key in ("started", "seed", "git_commit", "git_changed", "versions", "hardware")}
    facts |= {"seconds": {name: round(value, 1) for name, value in seconds.items()}, "model": model}
    peaks = [one["peak_memory_gb"] for one in each if one.get("peak_memory_gb")]
    return facts | ({"peak_memory_gb": max(peaks)} if peaks else {})


def _decided(whole: RunFolder, wanted: Recipe, predictions: Answers, counts: dict[str, int]) -> Answers:
    """The out-of-fold answers by what is tuned on all of them, which is kept in model/; of masks nothing is."""
    if isinstance(predictions, MaskPredictions):
        return predictions
    if not predictions.multi_label:
        predictions = dataclasses.replace(predictions, predicted=predictions.scores.argmax(axis=1))
    return answering.tuned(whole, wanted, predictions, counts, OUT_OF_FOLD)
