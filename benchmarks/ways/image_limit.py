"""Pictures in a bare loop, as fast as we can write it: torchvision's decoder, uint8 until the batch, channels last,
fused AdamW, an allocator that keeps its memory. The same math as hfft's training; what hfft takes beyond is overhead.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import numpy as np
import torch
from image_model import MEAN, STD, lite0
from pace import asked, finish
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional as pixels

words = asked()
torch.manual_seed(42)
if not torch.cuda.is_available():
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(-4, 0)
    libc.mallopt(-1, 2**31 - 1)
names = sorted(path.name for path in (words.data / "train").iterdir())
files = {
    part: [(path, n) for n, name in enumerate(names) for path in sorted((words.data / part / name).glob("*.jpg"))]
    for part in ("train", "validation", "test")
}
mean, std = (255 * torch.tensor(x).reshape(3, 1, 1) for x in (MEAN, STD))
model = lite0(len(names)).to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
criterion = torch.nn.CrossEntropyLoss()


def picture(path: Path) -> torch.Tensor:
    found = decode_jpeg(torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8), mode=ImageReadMode.RGB)
    side = round(min(found.shape[1:]) * 224 / 256)
    return pixels.resized_crop(
        found,
        (found.shape[1] - side) // 2,
        (found.shape[2] - side) // 2,
        side,
        side,
        [words.size, words.size],
        pixels.InterpolationMode.BICUBIC,
        antialias=True,
    )


def batches(part: str, order: np.ndarray):
    for first in range(0, len(order), 32):
        rows = [files[part][n] for n in order[first : first + 32]]
        stacked = torch.stack([picture(path) for path, _ in rows]).contiguous(memory_format=torch.channels_last)
        yield (stacked.float() - mean) / std, torch.tensor([label for _, label in rows])


def answers(part: str) -> list[int]:
    model.eval()
    with torch.inference_mode():
        return [n for batch, _ in batches(part, np.arange(len(files[part]))) for n in model(batch).argmax(1).tolist()]


began = time.perf_counter()
words.pace.start()
for epoch in range(words.epochs if words.job else 1000):
    model.train()
    for batch, labels in batches("train", np.random.default_rng(epoch).permutation(len(files["train"]))):
        loss = criterion(model(batch), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        words.pace.step(len(labels))
    answers("validation")
seconds = time.perf_counter() - began
finish(words.job, answers("test"), names, len(files["train"]) * words.epochs, seconds)
