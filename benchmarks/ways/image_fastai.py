"""Pictures by the installed package `fastai`, as its documentation's first example does it: ImageDataLoaders, Learner,
fit_one_cycle, its own resizing, augmentation and mixed layers of learning rates. Batches of 32, its own workers.
"""

from __future__ import annotations

import time

import torch
from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Learner,
    Resize,
    accuracy,
    aug_transforms,
    get_image_files,
    set_seed,
)
from image_model import lite0
from pace import asked, finish

words = asked()
set_seed(42)
# What its batches are normalised by is left out: these weights want another mean.
loaders = ImageDataLoaders.from_folder(
    words.data,
    train="train",
    valid="validation",
    bs=32,
    item_tfms=Resize(words.size + words.size // 7),
    batch_tfms=aug_transforms(size=words.size),
    device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
)


class Paced(Callback):
    def before_fit(self):
        words.pace.start()

    def after_batch(self):
        if self.training:
            words.pace.step(32)


names = list(loaders.vocab)
learner = Learner(loaders, lite0(len(names)), metrics=accuracy, cbs=[Paced()])
began = time.perf_counter()
with learner.no_bar(), learner.no_logging():
    learner.fit_one_cycle(words.epochs if words.job else 1000, 1e-3)
seconds = time.perf_counter() - began
files = sorted(get_image_files(words.data / "test"))
with learner.no_bar():
    scores, _ = learner.get_preds(dl=loaders.test_dl(files))
finish(words.job, scores.argmax(1).tolist(), names, len(loaders.train_ds) * words.epochs, seconds)
