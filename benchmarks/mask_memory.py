"""Does the memory of an evaluation of masks grow with the number of images?  python benchmarks/mask_memory.py

100 and 1,000 scenes of 480 x 360 are answered and counted, each number in a process of its own; what would have to be
held if logits were gathered is printed beside it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

CLASSES, HEIGHT, WIDTH = 11, 360, 480
DIFFERENT = 50  # scenes on the disk; rows repeat them


def scenes(folder: Path) -> list[tuple[str, bytes]]:
    """(path of a JPEG, bytes of its mask) of scenes made of blocks."""
    from PIL import Image

    from hfft import masks

    rng, out = np.random.default_rng(0), []
    for number in range(DIFFERENT):
        ids = np.kron(rng.integers(0, CLASSES, (HEIGHT // 40, WIDTH // 40)), np.ones((40, 40), int))
        colours = rng.integers(0, 256, (CLASSES, 3))[ids] + rng.normal(0, 12, (HEIGHT, WIDTH, 3))
        path = folder / f"{number}.jpg"
        Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(path)
        out.append((str(path), masks.encode(ids.astype(np.int16))))
    return out


def one(count: int) -> None:
    """Peak memory and seconds of one evaluation, printed."""
    import datasets
    import torch
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    from hfft import segmenting
    from hfft.backbones import Backbone
    from hfft.recipe import Model

    names = {k: f"class {k}" for k in range(CLASSES)}
    small = SegformerConfig(num_labels=CLASSES, id2label=names, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1])
    processor = SegformerImageProcessor(size={"height": 180, "width": 240})
    part = Backbone(SegformerForSemanticSegmentation(small), processor, ())
    args = SimpleNamespace(device=torch.device("cpu"), per_device_eval_batch_size=8, process_index=0, world_size=1)
    args.bf16 = args.fp16 = False
    with tempfile.TemporaryDirectory() as folder:
        made = scenes(Path(folder))
        rows = datasets.Dataset.from_dict(
            {
                "image": [{"path": made[i % DIFFERENT][0], "bytes": None} for i in range(count)],
                "mask": [{"path": "", "bytes": made[i % DIFFERENT][1]} for i in range(count)],
                "id": [str(i) for i in range(count)],
            },
            features=datasets.Features(
                {
                    "image": datasets.Image(decode=False),
                    "mask": datasets.Image(decode=False),
                    "id": datasets.Value("string"),
                }
            ),
        )
        segmenting.predict([part], rows.select(range(16)), Model("x"), args)  # warm
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        found = segmenting.predict([part], rows, Model("x"), args)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gathered = count * CLASSES * HEIGHT * WIDTH * 4 / 2**20
    print(f"{count:>6,} {peak:>10.0f} {peak - before:>22.0f} {gathered:>26,.0f} {count / seconds:>10.1f}  {found.n:,}")


def main() -> None:
    print("images   peak MiB  above a warm start MiB  gathered logits would be MiB  images/s  counted")
    for count in (100, 1000):
        subprocess.run([sys.executable, __file__, str(count)], check=True)


if __name__ == "__main__":
    one(int(sys.argv[1])) if len(sys.argv) > 1 else main()
