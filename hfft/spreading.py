"""A model that is spread over the processes of a launch, by FSDP or DeepSpeed, instead of being whole in each of them.

In: arguments, and a recipe that may ask for more than such a model can do. Out: which of the two it is, or InputError.
The recipe's `train:` asks for it, or `accelerate launch` by the environment. It must not know rows or the loop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from hfft.errors import InputError, listed
from hfft.recipe import Recipe

FSDP, DEEPSPEED = "FSDP", "DeepSpeed"
KEYS = ("fsdp", "fsdp_config", "deepspeed")  # of `train:`
# On these accelerate keeps the whole model in each process all the same, and does not say so.
LEFT_OUT = ("cpu", "mps")
GATHERED = "stage3_gather_16bit_weights_on_model_save"


def way(args: Any) -> str:
    """FSDP, DEEPSPEED, or "" where every process holds the whole model. args: TrainingArguments."""
    if getattr(args, "deepspeed", None) or _launched(DEEPSPEED):
        return DEEPSPEED
    return FSDP if getattr(args, "fsdp", None) or _launched(FSDP) else ""


def installed(given: dict[str, Any]) -> None:
    """Raise InputError where `train.deepspeed` names no file, or DeepSpeed is not there; its own words are a riddle."""
    named = given.get("deepspeed")
    if isinstance(named, str) and not Path(named).is_file():
        raise InputError(f"train.deepspeed: {named}: no such file (current folder: {Path.cwd()})")
    if named and find_spec("deepspeed") is None:
        raise InputError("train.deepspeed needs a package that is not installed; type: pip install deepspeed")


def check(recipe: Recipe, args: Any) -> None:
    """Raise InputError for what a spread model cannot do, and for a launch that would not spread it."""
    asked = way(args)
    if not asked:
        return
    if asked == DEEPSPEED and (args.fsdp or _launched(FSDP)):
        raise InputError("train.fsdp and train.deepspeed both spread the model; leave one of them out")
    if args.device.type in LEFT_OUT:
        raise InputError(
            f"{asked} spreads a model over GPUs, and there is none here: each process would hold all of it; leave "
            f"{_source(args, asked)} out"
        )
    if asked == FSDP:
        _check_fsdp(args)
    else:
        _check_deepspeed(args)
    if args.save_only_model and args.load_best_model_at_end:
        raise InputError(
            f"train.save_only_model: {asked} goes back to the best checkpoint by its own files, which are left out "
            "then; leave the key out"
        )
    fits(recipe, asked)


def fits(recipe: Recipe, asked: str) -> None:
    """Raise InputError for what a recipe asks of its model that only a whole one can do."""
    for key, why in _unfit(recipe).items():
        raise InputError(f"{key} {why}; with {asked} leave it out")


def alone(recipe: Recipe) -> tuple[Recipe, str]:
    """(the recipe for a single process, which has nobody to spread a model over; a note, or "")."""
    given = [key for key in KEYS if recipe.train.get(key)]
    if not given:
        return recipe, ""
    train = {key: value for key, value in recipe.train.items() if key not in KEYS}
    note = f"{listed(f'train.{key}' for key in given)}: left out here, where one process holds the whole model"
    return dataclasses.replace(recipe, train=train), note


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Within it, models are loaded whole by every process: some libraries would give each of them a part, or nothing.

    A model is spread when training begins, and what is read afterwards answers on each process by itself.
    """
    if (known := sys.modules.get("transformers.integrations.deepspeed")) is not None:
        known.unset_hf_deepspeed_config()  # of ZeRO-3
    key = "FSDP_CPU_RAM_EFFICIENT_LOADING"
    before = os.environ.pop(key, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[key] = before


def cut(trainer: Any) -> None:
    """Say which layers FSDP deals out by themselves, where nobody has said it.

    accelerate takes every kind that the model names, and then the token embeddings once more: where a kind holds them,
    as BertEmbeddings does, torch refuses to deal them out twice. Of a model that names none, as DistilBERT, it would
    make a single part.
    """
    plugin, model = getattr(trainer.accelerator.state, "fsdp_plugin", None), trainer.model
    if plugin is None or plugin.transformer_cls_names_to_wrap:
        return
    tokens = getattr(model, "get_input_embeddings", lambda: None)()
    named = [module for module in model.modules() if type(module).__name__ in (model._no_split_modules or ())]
    holds = {type(module).__name__ for module in named if any(part is tokens for part in module.modules())}
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    layers = named or list(max(lists, key=len, default=()))
    plugin.transformer_cls_names_to_wrap = sorted({type(module).__name__ for module in layers} - holds)


def gather(trainer: Any) -> None:
    """Let the next `save_model` write the whole model in one, whatever checkpoints are written in."""
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")


def check_saved(trainer: Any, folder: Path) -> None:
    """Raise InputError unless the whole model has been written to `folder`."""
    if trainer.args.should_save and not any(folder.glob("model*.safetensors")):
        raise InputError(f"{folder}: the processes did not put their parts of the model together; {_gathering()}")


def _check_fsdp(args: Any) -> None:
    if args.world_size == 1:
        raise InputError(
            f"FSDP spreads a model over several processes, and this is one; leave {_source(args, FSDP)} out, or launch "
            "several: accelerate launch --config_file recipes/accelerate/fsdp2.yaml hfft/run.py --recipe NAME"
        )
    given = (args.fsdp_plugin_args or {}).get("fsdp_version") if args.fsdp else os.environ.get("FSDP_VERSION", "1")
    if str(given) != "2":
        raise InputError(
            "FSDP of version 1 is on its way out of transformers; type train.fsdp_config={version: 2}, or write "
            "fsdp_version: 2 in accelerate's config file"
        )


def _check_deepspeed(args: Any) -> None:
    plugin = args.deepspeed_plugin
    config = getattr(plugin, "deepspeed_config", None) or {}
    if getattr(plugin, "zero_stage", 0) == 3 and not config.get("zero_optimization", {}).get(GATHERED):
        raise InputError(f"DeepSpeed would leave the model in parts when all is done; {_gathering()}")


def _unfit(recipe: Recipe) -> dict[str, str]:
    """Key → why it takes a whole model, for those that the recipe has."""
    adapt = recipe.adapt
    found = {
        "adapt.unfreeze": adapt.unfreeze and "changes what is trained, after the parts have been dealt out",
        "adapt.freeze: backbone": adapt.freeze == "backbone" and "trains a head alone, which is small",
        "adapt.lora": adapt.lora is not None and "is merged into the whole model",
        "adapt.average": adapt.average is not None and "is the mean of whole models",
    }
    return {key: why for key, why in found.items() if why}


def _launched(name: str) -> bool:
    return os.environ.get(f"ACCELERATE_USE_{name.upper()}", "false").lower() == "true"


def _source(args: Any, asked: str) -> str:
    key = asked.lower()
    return f"train.{key}" if getattr(args, key, None) else "accelerate's --config_file, or its `accelerate config`,"


def _gathering() -> str:
    return f"set {GATHERED} to true in DeepSpeed's config (zero3_save_16bit_model in accelerate's)"
