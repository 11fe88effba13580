"""Do one process and two give the same answers? Random configurations of the three tasks, as Markdown.

python -m benchmarks.equality                # from the root of a checkout; 50 configurations, some minutes
python -m benchmarks.equality --count 6 --seed 1

Each configuration draws a task, rows, sizes of batches, workers, a sampler or augmentation, model and seed, and whether
one process or two train. The saved model then answers its test rows three times: by one process, by two, and by one
that is given a single row at a time. Compared are ids, classes, probabilities (of masks: the confusion matrix of each
image) and metrics, to the last bit; and the weights of a training with workers beside those of one without. Two
processes are forked once and get all configurations. Tiny models with random weights, three steps of training.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

TASKS = ("tiny_textcls", "tiny_imgcls", "tiny_semseg")
CLASSES = ["accuracy", "f1", "log_loss", "auroc"]
SAMPLERS = (None, None, "over_sampling", "class_balanced", "repeat_factor", "under_sampling")
PART = 6  # configurations whose models lie on the disk at once
WAYS = {"one": "by one process", "two": "by two", "rows": "one row at a time"}


def configurations(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """{"name", "recipe", "words", "processes"} of each; the tasks take turns, all else is drawn."""
    draw = random.Random(seed)
    return [_configuration(number, draw) for number in range(count)]


def _configuration(number: int, draw: random.Random) -> dict[str, Any]:
    recipe, test = TASKS[number % len(TASKS)], draw.choice((0.15, 0.35, 0.5))
    words = {
        "seed": draw.randrange(1000),
        "train.max_steps": 3,
        "train.eval_strategy": "no",
        "train.save_strategy": "no",
        "train.load_best_model_at_end": "false",
        "train.per_device_train_batch_size": draw.choice((3, 7, 8, 16)),
        "train.per_device_eval_batch_size": draw.choice((2, 3, 7, 16, 33, 64)),
        "train.dataloader_num_workers": draw.choice((0, 0, 1, 2, 4)),
        "data.split.test": test,
        "data.split.validation": 0.1,
        "data.split.train": round(0.9 - test, 2),
    }
    if recipe == "tiny_semseg":
        words |= {"data.options.scenes": draw.randint(20, 60), "data.options.size": draw.choice((40, 48))}
        words |= draw.choice(({}, {"augment.flip": "true"}, {"augment.crop": 0.8}))
        words |= draw.choice(({}, {"model.window": "true", "model.image_size": [32, 32]}))
    else:
        words |= {"data.limit": draw.randint(60, 240), "metrics": CLASSES, "data.split.by": draw.choice(DEALT)}
        sampler = draw.choice(SAMPLERS)
        words |= {} if sampler is None else {"sampler": sampler}
        words |= _of_texts(draw) if recipe == "tiny_textcls" else _of_pictures(draw)
    told = [f"{key}={json.dumps(value) if isinstance(value, list) else value}" for key, value in words.items()]
    return {"name": f"{number:02}", "recipe": recipe, "words": told, "processes": draw.choice((1, 2))}


DEALT = ("random", "hash")


def _of_texts(draw: random.Random) -> dict[str, Any]:
    found = {"model.max_length": draw.choice((8, 16, 32)), "model.truncation": draw.choice(("head", "tail", "windows"))}
    found |= draw.choice(({}, {"model.pooling": "mean"}))
    return found | draw.choice(({}, {"augment.typos": 0.3}, {"augment.word_dropout": 0.2}))


def _of_pictures(draw: random.Random) -> dict[str, Any]:
    name = draw.choice(("test_resnet", "test_vit", "test_efficientnet"))
    changes = ({}, {"augment.crop": 0.7}, {"augment.color_jitter": 0.4}, {"augment.mixup": 0.2})
    return {"model.name": f"timm/{name}", "model.image_size": 32} | draw.choice(changes)


def trained(jobs: list[dict[str, Any]], root: Path, world: int) -> None:
    """Those that so many processes are to train; by one process those with workers a second time, without."""
    from hfft import verbs

    for job in jobs:
        if job["processes"] != world:
            continue
        verbs.run(job["recipe"], tuple(job["words"]), str(root / job["name"]), say=_nothing)
        if world == 1 and "train.dataloader_num_workers=0" not in job["words"]:
            plain = (*job["words"], "train.dataloader_num_workers=0")
            verbs.run(job["recipe"], plain, str(root / f"{job['name']}-plain"), say=_nothing)


def answered(jobs: list[dict[str, Any]], root: Path, way: str) -> None:
    """Each saved model's answers to its test rows and their metrics, into files; written by the first process."""
    from hfft import askers, ensembling, gathering, recipe, rooms, scoring, trainer_arguments
    from hfft.records import write_json
    from hfft.run_folder import RunFolder

    for job in jobs:
        folder = RunFolder(root / job["name"])
        wanted = recipe.load(str(folder.root), ["train.per_device_eval_batch_size=1"] if way == "rows" else [])
        args = trainer_arguments.arguments(wanted, folder, fitting=False)
        modality, rows = rooms.find("modalities", wanted.task), gathering.held_back(wanted, folder, "test")
        found = askers.asker(wanted, folder, ensembling.reload(folder, modality), modality, args)(rows)
        if args.process_index == 0:
            found.write(root / f"{job['name']}-{way}.parquet")
            scores = {name: vars(score) for name, score in scoring.score(found, wanted.metrics).items()}
            write_json(root / f"{job['name']}-{way}.json", {"scores": scores, "ids": rows["id"][:]})


def compared(job: dict[str, Any], root: Path) -> dict[str, Any]:
    """What came out of one configuration."""
    import numpy as np

    from hfft import mask_records
    from hfft.mask_records import MaskPredictions
    from hfft.records import read_json

    files = {way: root / f"{job['name']}-{way}.parquet" for way in WAYS}
    found = {way: mask_records.read(path) for way, path in files.items()}
    told = {way: read_json(path.with_suffix(".json")) for way, path in files.items()}
    one, other = found["one"], found["rows"]
    facts = {"task": job["recipe"], "n": one.n, "name": job["name"]}
    facts["once"] = all(part.ids.tolist() == told["one"]["ids"] for part in found.values())
    facts["once"] &= len(set(told["one"]["ids"])) == one.n
    facts["equal"] = files["one"].read_bytes() == files["two"].read_bytes() and told["one"] == told["two"]
    if isinstance(one, MaskPredictions):
        facts |= {"labels": not (one.cells != other.cells).nnz, "apart": 0.0}
    else:
        facts |= {"labels": bool((one.predicted == other.predicted).all())}
        facts["apart"] = float(np.abs(one.scores - other.scores).max())
    plain = root / f"{job['name']}-plain" / "model" / "model.safetensors"
    if plain.is_file():
        facts["workers"] = plain.read_bytes() == (root / job["name"] / "model" / "model.safetensors").read_bytes()
    return facts


def measured(jobs: list[dict[str, Any]], root: Path) -> list[dict[str, Any]]:
    """`compared` of each: two processes are launched beside one, and again for the answers."""
    from tests.processes import beside, together

    (root / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    program, place = "benchmarks.equality", str(root)
    beside(program, ("--work", "train", place))
    if any(job["processes"] == 2 for job in jobs):
        together(program, "--work", "train", place)
    together(program, "--work", "two", place)
    beside(program, ("--work", "one", place), ("--work", "rows", place))
    return [compared(job, root) for job in jobs]


def work(what: str, root: Path) -> None:
    """A launched process's part."""
    # Of tests, which have one core each; four workers on it are slow, and as right as on many.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    jobs = json.loads((root / "jobs.json").read_text(encoding="utf-8"))
    if what == "train":
        trained(jobs, root, int(os.environ.get("WORLD_SIZE", "1")))
    else:
        answered(jobs, root, what)


HEAD = ("task", "test rows", "1 and 2 processes: bit-equal", "each row once, in order", "batches of 1: same classes")
HEAD += ("largest difference of a probability", "0 and N workers: same weights")


def table(found: list[dict[str, Any]]) -> str:
    """The figures as Markdown, N/N each."""
    out = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for task in (*TASKS, "all"):
        rows = [row for row in found if task in (row["task"], "all")]
        if not rows:
            continue
        sizes, again = [row["n"] for row in rows], [row for row in rows if "workers" in row]
        cells = [task, f"{min(sizes)} to {max(sizes)}", *(_share(rows, key) for key in ("equal", "once", "labels"))]
        cells += [f"{max(row['apart'] for row in rows):.1e}", _share(again, "workers")]
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out)


def _share(rows: list[dict[str, Any]], key: str) -> str:
    return f"{sum(row[key] for row in rows)}/{len(rows)}"


def _nothing(_: str) -> None:
    """Of what a run says."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", nargs=2, metavar=("WHAT", "FOLDER"), help="a launched process's part")
    given = parser.parse_args()
    if given.work:
        return work(given.work[0], Path(given.work[1]))
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    from tests import processes

    processes.SECONDS = 3600  # for one part
    jobs, found = configurations(given.count, given.seed), []
    for start in range(0, len(jobs), PART):
        with tempfile.TemporaryDirectory() as room:
            found += measured(jobs[start : start + PART], Path(room))
        print(f"{len(found)} of {len(jobs)}, {_share(found, 'equal')} bit-equal", file=sys.stderr, flush=True)
    print(table(found))
    bad = [row["name"] for row in found if not (row["equal"] and row["once"] and row.get("workers", True))]
    if bad:
        sys.exit(f"not equal: {', '.join(bad)}")


if __name__ == "__main__":
    main()
