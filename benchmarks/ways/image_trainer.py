"""Pictures as transformers' example `run_image_classification.py` does it: imagefolder, `with_transform`, Trainer.

Its random crops and flips; batches of 32 and a learning rate of 1e-3, which its README leaves to the user.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from datasets import load_dataset
from image_model import MEAN, STD, lite0
from pace import asked, finish
from torchvision import transforms
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

words = asked()
set_seed(42)
size = words.size


class Paced(TrainerCallback):
    def on_train_begin(self, *_, **__):
        words.pace.start()

    def on_step_end(self, args, *_, **__):
        words.pace.step(args.per_device_train_batch_size)


class Classifier(torch.nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = lite0(classes)

    def forward(self, pixel_values, labels=None):
        logits = self.backbone(pixel_values)
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}


normal = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
learning = transforms.Compose([transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), *normal])
judging = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), *normal])


def applied(chain):
    def batch(rows):
        rows["pixel_values"] = [chain(picture.convert("RGB")) for picture in rows["image"]]
        return rows

    return batch


def collate(examples):
    pixels = torch.stack([row["pixel_values"] for row in examples])
    return {"pixel_values": pixels, "labels": torch.tensor([row["label"] for row in examples])}


rows = load_dataset("imagefolder", data_dir=str(words.data.resolve()))
names = rows["train"].features["label"].names
arguments = TrainingArguments(
    output_dir=str(words.data.parent / "out_image_trainer"),
    remove_unused_columns=False,
    per_device_train_batch_size=32,
    per_device_eval_batch_size=32,
    learning_rate=1e-3,
    num_train_epochs=words.epochs if words.job else 1000,
    report_to=[],
    disable_tqdm=True,
    save_strategy="no",
    dataloader_pin_memory=False,
)
trainer = Trainer(
    model=Classifier(len(names)),
    args=arguments,
    train_dataset=rows["train"].with_transform(applied(learning)),
    eval_dataset=rows["validation"].with_transform(applied(judging)),
    data_collator=collate,
    callbacks=[Paced()],
)
began = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - began
trainer.evaluate()
scores = trainer.predict(rows["test"].with_transform(applied(judging))).predictions
finish(words.job, np.argmax(scores, axis=1).tolist(), names, len(rows["train"]) * words.epochs, seconds)
