"""Eight rows of each class, ten draws: hfft's recipe beside SetFit on the very same rows and weights.

    python benchmarks/few_shot.py rows  FOLDER    the rows of each draw, as CSV, with those to predict
    python benchmarks/few_shot.py hfft  FOLDER [key=value …]
    python benchmarks/few_shot.py setfit FOLDER   in an environment that has setfit (it wants another transformers)
    python benchmarks/few_shot.py told  FOLDER    mean, spread and the paired difference over the draws

The protocol is SetFit's (Tunstall et al. 2022, section 4): draws by seed, no validation rows, accuracy on the whole
test split. Settings are chosen with `--split validation`, whose rows take no other part; test is the default.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).parent / "recipes" / "few_shot_emotion.yaml"
DRAWS = range(10)


def rows(folder: Path, split: str) -> None:
    """FOLDER/rows/SEED.csv: the rows that hfft draws; FOLDER/rows/SPLIT.csv: what is to be predicted."""
    from hfft import loading, recipe, rooms, splitting

    (folder / "rows").mkdir(parents=True, exist_ok=True)
    for seed in DRAWS:
        wanted = recipe.load(str(RECIPE), [f"data.split.seed={seed}"])
        modality = rooms.find("modalities", wanted.task)
        made = splitting.split(loading.read(wanted.data, modality), wanted.data, wanted.split_seed, modality)
        for name, part in ((str(seed), "train"), (split, split)):
            held = made.parts[part]
            with (folder / "rows" / f"{name}.csv").open("w", newline="", encoding="utf-8") as target:
                csv.writer(target).writerows([("text", "label"), *zip(held["text"], held["label"], strict=True)])


def ours(folder: Path, split: str, words: list[str]) -> None:
    """FOLDER/hfft.json: accuracy of each draw."""
    found = []
    for seed in DRAWS:
        run = folder / "runs" / str(seed)
        drawn = [f"data.split.seed={seed}", f"seed={seed}", *words]
        command = [sys.executable, "-m", "hfft"]
        subprocess.run(
            [*command, "run", str(RECIPE), *drawn, "--output-dir", str(run)], check=True, capture_output=True
        )
        if split == "test":
            subprocess.run([*command, "eval", str(run)], check=True, capture_output=True)
        scores = json.loads((run / "metrics.json").read_text())[split]
        found.append(scores["accuracy"]["value"])
        print(seed, round(found[-1], 4), flush=True)
    (folder / "hfft.json").write_text(json.dumps(found))


def theirs(folder: Path, split: str, model: str) -> None:
    """FOLDER/setfit.json: accuracy of each draw, by the settings of SetFit's paper."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    held = Dataset.from_csv(str(folder / "rows" / f"{split}.csv"))
    found = []
    for seed in DRAWS:
        args = TrainingArguments(batch_size=16, num_iterations=20, num_epochs=1, seed=seed, report_to="none")
        train = Dataset.from_csv(str(folder / "rows" / f"{seed}.csv"))
        trainer = Trainer(model=SetFitModel.from_pretrained(model), args=args, train_dataset=train)
        trainer.train()
        answers = trainer.model.predict(held["text"])
        found.append(sum(a == b for a, b in zip(answers, held["label"], strict=True)) / len(held))
        print(seed, round(found[-1], 4), flush=True)
    (folder / "setfit.json").write_text(json.dumps(found))


def told(folder: Path) -> None:
    """Mean and standard deviation over draws, and the 95 % t interval of the mean difference."""
    import numpy as np
    from scipy import stats

    both = {name: np.array(json.loads((folder / f"{name}.json").read_text())) for name in ("hfft", "setfit")}
    for name, values in both.items():
        print(f"{name}: {100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f} ({len(values)} draws)")
    gap = both["hfft"] - both["setfit"]
    low, high = stats.ttest_1samp(gap, 0.0).confidence_interval()
    print(f"difference: {100 * gap.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rows", "hfft", "setfit", "told"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    parser.add_argument("--model", default="", help="setfit: the folder of the weights")
    given = parser.parse_intermixed_args()
    if given.what == "rows":
        rows(given.folder, given.split)
    elif given.what == "hfft":
        ours(given.folder, given.split, given.words)
    elif given.what == "setfit":
        theirs(given.folder, given.split, given.model)
    else:
        told(given.folder)
