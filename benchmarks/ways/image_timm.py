"""Pictures as timm's own training script does it: create_dataset, create_loader with its augmentation, its optimizer.

Two workers on two cores; batches of 32, SGD at 0.01 with Nesterov momentum, float32, contiguous memory.
"""

from __future__ import annotations

import time

import torch
from image_model import MEAN, STD, lite0
from pace import asked, finish
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2

words = asked()
torch.manual_seed(42)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def loader(name: str, training: bool):
    rows = create_dataset("", root=str(words.data), split=name, is_training=training, batch_size=32)
    shape = (3, words.size, words.size)
    return rows, create_loader(
        rows, shape, 32, is_training=training, mean=MEAN, std=STD, num_workers=2, device=device, interpolation="bicubic"
    )


train_rows, train = loader("train", True)
_, held = loader("validation", False)
_, test = loader("test", False)
names = sorted(train_rows.reader.class_to_idx)
model = lite0(len(names)).to(device)
optimizer = create_optimizer_v2(model, opt="sgd", lr=0.01, momentum=0.9, weight_decay=2e-5)
criterion = torch.nn.CrossEntropyLoss()


def answers(batches) -> list[int]:
    model.eval()
    found: list[int] = []
    with torch.inference_mode():
        for pictures, _ in batches:
            found += model(pictures).argmax(1).tolist()
    return found


began = time.perf_counter()
words.pace.start()
for _ in range(words.epochs if words.job else 1000):
    model.train()
    for pictures, labels in train:
        loss = criterion(model(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        words.pace.step(len(labels))
    answers(held)
seconds = time.perf_counter() - began
finish(words.job, answers(test), names, len(train) * 32 * words.epochs, seconds)
