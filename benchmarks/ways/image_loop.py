"""Pictures as the transfer-learning tutorial of torchvision does it: ImageFolder, Resize 256, CenterCrop 224, SGD, no
workers, contiguous memory, batches of 32. The backbone is the same EfficientNet-Lite0, loaded by timm.
"""

from __future__ import annotations

import time

import torch
from image_model import MEAN, STD, lite0
from pace import asked, finish
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

words = asked()
torch.manual_seed(words.seed)
size = words.size
chain = transforms.Compose(
    [
        transforms.Resize(round(size * 256 / 224)),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
)
rows = {name: ImageFolder(str(words.data / name), chain) for name in ("train", "validation", "test")}
train = DataLoader(rows["train"], batch_size=32, shuffle=True, num_workers=0)
names = rows["train"].classes
device = "cuda" if torch.cuda.is_available() else "cpu"
model = lite0(len(names)).to(device)
epochs = words.epochs if words.job else 1000
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
criterion = torch.nn.CrossEntropyLoss()


def answers(name: str) -> list[int]:
    model.eval()
    found: list[int] = []
    with torch.no_grad():
        for pictures, _ in DataLoader(rows[name], batch_size=32, num_workers=0):
            found += model(pictures.to(device)).argmax(1).tolist()
    return found


began = time.perf_counter()
words.pace.start()
for _ in range(epochs):
    model.train()
    for pictures, labels in train:
        optimizer.zero_grad()
        loss = criterion(model(pictures.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        loss.item()  # the tutorial adds it up
        words.pace.step(len(labels))
    schedule.step()
    answers("validation")
seconds = time.perf_counter() - began
finish(words.job, answers("test"), names, len(rows["train"]) * words.epochs, seconds)
