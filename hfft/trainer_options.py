"""The `train:` section, checked against the installed `transformers.TrainingArguments`.

In: a plain mapping. Out: the same mapping with values of the declared types, and a list of mistakes. The class is
read as source, not imported: its import costs seconds, and a mistyped key should be told at once.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from hfft.errors import InputError, brief, meant

Wanted = TypeVar("Wanted", bound=Any)

# Set by hfft itself, or unsafe in a file that is shared: a token in the arguments ends up in a pushed pickle.
RESERVED = {
    "output_dir": "use --output-dir",
    "seed": "write seed: at the top level",
    "data_seed": "write seed: at the top level",
    "do_train": "hfft run trains",
    "do_eval": "hfft run validates",
    "do_predict": "hfft eval opens the test split",
    "resume_from_checkpoint": "use --resume",
    "remove_unused_columns": "hfft passes exactly the columns the model takes",
    "label_names": "labels come from the data",
    "disable_tqdm": "hfft draws the progress line",
    "hub_token": "never in a recipe: use `hf auth login` or HF_TOKEN",
    "hub_strategy": "hfft pushes once, when all is done",
    "hub_always_push": "hfft pushes once, when all is done",
    "hub_revision": "hfft pushes to main and sets a tag",
    "use_cpu": "set by the hardware found",
    "batch_eval_metrics": "metrics are computed on all validation rows at once",
    "prediction_loss_only": "the checkpoint is chosen by a metric",
    "logging_nan_inf_filter": "a loss that is not a number must be seen",
    "log_level": "hfft says what happens",
    "train_sampling_strategy": "batches are shuffled; for unequal classes see sampler:",
}
# What hfft takes where the recipe is silent; `hfft show` prints them.
DEFAULTS: dict[str, Any] = {
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 64,
    "weight_decay": 0.01,
    "warmup_steps": 0.06,  # below 1: share of all steps
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 2,
    "load_best_model_at_end": True,
    "logging_steps": 10,
    "dataloader_num_workers": 0,
    "report_to": "none",
}
# Not fields of TrainingArguments, but of `train:` all the same (see stopping.py).
OWN: dict[str, Any] = {"minutes": float, "patience": int}
# Fields of TrainingArguments that hfft answers to itself: the Trainer never pushes (see pushing.py).
PUSH = ("push_to_hub", "hub_model_id", "hub_private_repo")
# Declared as text for the sake of command lines, and meant as yes or no.
DECLARED = {"fsdp": ["bool", "str", "None"]}
SIMPLE = {"bool": bool, "int": int, "float": float, "str": str}
# Old habits of version 4 and what they are called now.
RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "warmup_ratio": "warmup_steps (a value below 1 is a share of all steps)",
    "no_cuda": "nothing: the hardware found is used",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "lr": "learning_rate",
}


@functools.cache
def fields() -> dict[str, list[str]]:
    """TrainingArguments field → names in its annotation, such as {"warmup_steps": ["float"]}."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("transformers is not installed")
    source = (Path(spec.origin).parent / "training_args.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments":
            found = {
                line.target.id: [part.strip() for part in ast.unparse(line.annotation).split("|")]
                for line in node.body
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            }
            return found | DECLARED
    raise RuntimeError("TrainingArguments not found in transformers/training_args.py")


def check(train: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(values with declared types, mistakes). Numbers may come as text, and `no` as False."""
    known, out, mistakes = fields(), {}, []
    for key, value in train.items():
        if key in RESERVED:
            mistakes.append(f"train.{key}: cannot be set here; {RESERVED[key]}")
        elif key in RENAMED and key not in known:
            mistakes.append(f"train.{key}: unknown key; it is called {RENAMED[key]}")
        elif key in OWN:
            try:
                out[key] = _positive(value, OWN[key])
            except ValidationError:
                kind = "a whole number" if OWN[key] is int else "a number"
                mistakes.append(f"train.{key}: expected {kind} above 0, got {brief(value)}")
        elif key not in known:
            near = meant(key, [*known, *OWN])
            mistakes.append(f"train.{key}: not a field of transformers.TrainingArguments{near}")
        else:
            try:
                out[key] = _typed(value, known[key])
            except ValidationError as error:
                expected = " or ".join(known[key])
                mistakes.append(f"train.{key}: expected {expected}, got {brief(error.errors()[0]['input'])}")
    if out.get("push_to_hub") and "hub_model_id" not in train:
        mistakes.append("train.hub_model_id: is missing; train.push_to_hub needs OWNER/NAME, such as maria/tickets")
    return out, mistakes


def resolved(train: dict[str, Any], average: int | None = None) -> dict[str, Any]:
    """Every value of `train:` that the recipe gives, and hfft where the recipe is silent. average: adapt.average."""
    # The newest are kept beside the best, which is no longer one of them when training went on for nothing.
    kept = {} if average is None else {"save_total_limit": average + 1}
    return DEFAULTS | kept | train


def alone(recipe: Wanted, pushed: bool) -> Wanted:
    """The same recipe. Raises InputError where its model is to be pushed, and nobody sees to it: one of many."""
    if recipe.train.get("push_to_hub") and not pushed:
        raise InputError(
            "train.push_to_hub: more than one model is trained here; type train.push_to_hub=false, and then hfft push "
            "for the best one"
        )
    return recipe


def _positive(value: Any, kind: type) -> Any:
    """A finite number above 0, or None. Raises ValidationError."""
    if value is None:
        return None
    bound: Any = Annotated[kind, Field(gt=0, allow_inf_nan=False) if kind is float else Field(gt=0)]
    return TypeAdapter(bound).validate_python(str(value) if isinstance(value, bool) else value)


def _typed(value: Any, parts: list[str]) -> Any:
    """`value` as the first simple type of the annotation; other annotations are left to TrainingArguments."""
    simple = [SIMPLE[part] for part in parts if part in SIMPLE]
    if value is None and "None" in parts:
        return None
    if value is False and "bool" not in parts and "str" in parts:
        return "no"
    if any(part.startswith(("dict", "list")) for part in parts) and isinstance(value, (dict, list)):
        return value
    if len(simple) == 1:
        strict = ConfigDict(strict=simple[0] in (bool, str), allow_inf_nan=False)
        if simple[0] is not bool and isinstance(value, bool):
            return TypeAdapter(simple[0], config=ConfigDict(strict=True)).validate_python(value)
        return TypeAdapter(simple[0], config=strict).validate_python(value)
    return value
