"""Training steps on texts, hfft beside the ways of others: the same model, rows and machine, in turn, as Markdown.

    python benchmarks/packed.py                      # 5 turns of 30 steps each
    python benchmarks/packed.py --turns 9 --steps 50 --set speed.dropout=0.0

Rows are the tweets of recipes/bert_textcls.yaml, cut as it cuts them, in plain shuffled order. Each way trains a model
of its own, and goes on from where its last turn ended. What it imitates:

run_classification  transformers' example at its defaults: Trainer, every row padded to 128 tokens, batch 8
nlp_example         accelerate's example: a bare loop, batches of 16 padded to their longest row, AdamW
padded              hfft with packing and cheap dropout taken out
hfft                hfft as it is, with the words of --set
bare                the same math as hfft in the shortest loop that does it
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from hfft import backbones, environment, optimizing, quickening, recipe, rooms, sources, trainer_arguments, training
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder

Way = Callable[[int], float]  # seed → examples per second
# What the machine gave to this process, where others use it as well: ratios then hold, and seconds say nothing.
CLOCK = time.process_time if "--alone" not in sys.argv else time.perf_counter


def rows_of(wanted: Recipe, count: int = 10_000) -> tuple[datasets.Dataset, tuple[str, ...]]:
    """Texts and class ids of `count` rows of the recipe's data, and the classes."""
    table = sources.load(wanted.data)["train"].shuffle(seed=wanted.seed).select(range(count))
    columns = wanted.data.columns
    names = sorted({str(label) for label in table[columns["label"]][:]})
    labels = [names.index(str(label)) for label in table[columns["label"]][:]]
    texts = [text or "" for text in table[columns["text"]][:]]
    return datasets.Dataset.from_dict({"text": texts, "labels": labels}), tuple(names)


class Clock(transformers.TrainerCallback):
    """Examples per second between the end of the second step and the end of the last."""

    speed = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = CLOCK()
        if state.global_step == 2:
            self.began = now
        elif state.global_step > 2:
            self.speed = args.train_batch_size * (state.global_step - 2) / (now - self.began)


def hfft_way(wanted: Recipe, rows: datasets.Dataset, names: tuple[str, ...], steps: int, plain: bool) -> Way:
    modality = rooms.find("modalities", wanted.task)
    backbone = backbones.load(wanted.model, modality, names)

    @contextlib.contextmanager
    def nothing(*_: Any) -> Iterator[None]:
        yield

    def turn(seed: int) -> float:
        with tempfile.TemporaryDirectory() as room:
            run, clock, was = RunFolder(Path(room) / "run"), Clock(), quickening.quick
            args = trainer_arguments.arguments(wanted, run)
            args.data_seed, args.max_steps = seed, steps
            if plain:
                quickening.quick = nothing  # type: ignore[assignment]
            try:
                training.fit(wanted, args, backbone, modality, rows, rows.select(range(8)), run, watch=clock)
            finally:
                quickening.quick = was
        return clock.speed

    return turn


def loop(model: Any, batches: Any, optimizer: Any, schedule: Any, clip: float | None, steps: int) -> float:
    """Examples per second of a bare loop, without its first two steps."""
    model.train()
    for step, batch in zip(range(steps), batches, strict=False):
        if step == 2:
            began, seen = CLOCK(), 0
        labels = batch.pop("labels")
        loss = torch.nn.functional.cross_entropy(model(**batch).logits, labels)
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step >= 2:
            seen += len(labels)
    return seen / (CLOCK() - began)


def bare_way(wanted: Recipe, rows: datasets.Dataset, names: tuple[str, ...], steps: int) -> Way:
    modality = rooms.find("modalities", wanted.task)
    backbone = backbones.load(wanted.model, modality, names)
    prepared = modality.prepare(rows, backbone.processor, wanted.model)
    args = trainer_arguments.arguments(wanted, RunFolder(Path(tempfile.gettempdir()) / "unused"), fitting=False)
    size = args.per_device_train_batch_size
    columns = [(torch.tensor(row["input_ids"]), row["labels"]) for row in prepared]

    def batches(seed: int) -> Iterator[dict[str, torch.Tensor]]:
        order = torch.randperm(len(columns), generator=torch.Generator().manual_seed(seed)).tolist()
        for start in range(0, len(order), size):
            ids, labels = zip(*(columns[place] for place in order[start : start + size]), strict=True)
            padded = torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True)
            mask = (padded != 0).long()
            yield {"input_ids": padded, "attention_mask": mask, "labels": torch.tensor(labels)}

    def turn(seed: int) -> float:
        kind, options = optimizing.optimizer(args, backbone.model)
        optimizer = kind(options.pop("params"), **options)
        schedule = transformers.get_linear_schedule_with_warmup(optimizer, 0, steps)
        with quickening.quick(backbone.model, args, wanted.speed, True):
            return loop(backbone.model, batches(seed), optimizer, schedule, args.max_grad_norm, steps)

    return turn


def nlp_way(wanted: Recipe, rows: datasets.Dataset, names: tuple[str, ...], steps: int) -> Way:
    """https://github.com/huggingface/accelerate, examples/nlp_example.py, on the CPU."""
    from accelerate import Accelerator

    modality = rooms.find("modalities", wanted.task)
    backbone = backbones.load(wanted.model, modality, names)
    prepared = modality.prepare(rows, backbone.processor, wanted.model).with_format("torch")

    def collate(items: list[Any]) -> Any:
        return backbone.processor.pad(items, padding="longest", return_tensors="pt")

    def turn(seed: int) -> float:
        accelerator = Accelerator(cpu=True)
        torch.manual_seed(seed)
        loader = torch.utils.data.DataLoader(prepared, shuffle=True, collate_fn=collate, batch_size=16, drop_last=True)
        optimizer = torch.optim.AdamW(backbone.model.parameters(), lr=2e-5)
        schedule = transformers.get_linear_schedule_with_warmup(optimizer, 100, steps)
        model, optimizer, loader, schedule = accelerator.prepare(backbone.model, optimizer, loader, schedule)
        return loop(model, loader, optimizer, schedule, None, steps)

    return turn


def example_way(wanted: Recipe, rows: datasets.Dataset, names: tuple[str, ...], steps: int) -> Way:
    """https://github.com/huggingface/transformers, examples/pytorch/text-classification/run_classification.py."""
    backbone = backbones.load(wanted.model, rooms.find("modalities", wanted.task), names)

    def tokens(batch: dict[str, Any]) -> Any:
        return backbone.processor(batch["text"], padding="max_length", max_length=128, truncation=True)

    prepared = rows.map(tokens, batched=True, desc=None)

    def turn(seed: int) -> float:
        clock = Clock()
        with tempfile.TemporaryDirectory() as room:
            args = transformers.TrainingArguments(room, max_steps=steps, seed=seed, save_strategy="no", use_cpu=True)
            args.disable_tqdm = True
            collate = transformers.default_data_collator
            trainer = transformers.Trainer(backbone.model, args, collate, prepared, callbacks=[clock])
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train()
        return clock.speed

    return turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="words for one more way of hfft")
    parser.add_argument("--only", nargs="*", default=[], help="names of ways")
    parser.add_argument("--alone", action="store_true", help="nothing else runs: two threads, and seconds that pass")
    asked = parser.parse_args()
    if not asked.alone:
        environment.cores = lambda: 1
    still = ["train.eval_strategy=no", "train.save_strategy=no", "train.load_best_model_at_end=false"]
    wanted = recipe.load("bert_textcls", still)
    rows, names = rows_of(wanted, asked.rows)
    of = (rows, names, asked.steps)
    ways: dict[str, Callable[[], Way]] = {
        "run_classification": lambda: example_way(wanted, *of),
        "nlp_example": lambda: nlp_way(wanted, *of),
        "padded": lambda: hfft_way(wanted, *of, True),
        "hfft": lambda: hfft_way(wanted, *of, False),
        "bare": lambda: bare_way(wanted, *of),
    }
    if asked.set:
        other = recipe.load("bert_textcls", [*still, *asked.set])
        ways[f"hfft {' '.join(asked.set)}"] = lambda: hfft_way(other, *of, False)
    made = {name: way() for name, way in ways.items() if not asked.only or name in asked.only}
    speeds: dict[str, list[float]] = {name: [] for name in made}
    for seed in range(asked.turns):
        for name in list(made) if seed % 2 == 0 else list(made)[::-1]:
            speeds[name].append(made[name](seed))
    first = next(iter(speeds))
    print(
        f"{datetime.date.today()}, torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}"
    )
    print(f"{asked.turns} turns of {asked.steps} steps each\n\n| way | examples/s | ratio to {first} |\n|---|---|---|")
    for name, found in speeds.items():
        ratios = [own / base for own, base in zip(found, speeds[first], strict=True)]
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"| {name} | {statistics.median(found):.1f} | {spread} |")


if __name__ == "__main__":
    main()
