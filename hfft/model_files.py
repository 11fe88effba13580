"""What of a model's files may run code, and that none does unless the recipe says so in so many words.

In: `Model`, folders, configs. Out: plain tensors, options for transformers, or one sentence. It must not know tasks.
Three things of a model can be code: Python files beside it (`trust_remote_code`), weights that are pickles, and a
config that names compiled kernels of the Hub.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from hfft import notation, references
from hfft.errors import InputError, listed
from hfft.recipe import Model

SAFE = {"trust_remote_code": False}
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
OURS = ("training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt")  # of a checkpoint, beside its weights
OWN_CODE = "it runs Python code of its own, as model.trust_remote_code says"
ATTENTION = ("_attn_implementation", "_experts_implementation")


def trust(spec: Model) -> dict[str, bool]:
    """Options for whatever transformers loads of a recipe's model; never None, which would ask on a terminal."""
    return {"trust_remote_code": spec.trust_remote_code}


def trusted(folder: Path) -> dict[str, bool]:
    """The same for the saved model of a run, by the recipe beside it; a folder without one is not trusted."""
    path = folder.parent / "recipe.yaml"
    tree = notation.read(path) if path.is_file() else None
    model = tree.get("model") if isinstance(tree, dict) else None
    return {"trust_remote_code": isinstance(model, dict) and model.get("trust_remote_code") is True}


def own_code(model: Any) -> bool:
    """Whether a loaded model's class came with its files, and not with a package."""
    return type(model).__module__.partition(".")[0] == "transformers_modules"


def check(spec: Model, path: str, auto_class: str) -> None:
    """Raise InputError for weights other than the recipe's, and for a folder whose only weights are pickles."""
    folder = Path(path)
    if spec.sha256 is not None:
        file = folder / "model.safetensors" if folder.is_dir() else folder
        if not file.is_file():
            raise InputError(
                f"model.sha256 is set, but {spec.name} is not a local file or folder with model.safetensors"
            )
        if (found := references.sha256(file)) != spec.sha256:
            raise InputError(f"{file.name} of {spec.name}: sha256 is {found}, but the recipe expects {spec.sha256}")
    if not (spec.pretrained and folder.is_dir()) or any(folder.glob("*.safetensors")):
        return
    held = sorted({file.name for kind in PICKLES for file in folder.glob(kind)} - set(OURS))
    if held:
        raise InputError(
            f"model.name {spec.name!r}: no safetensors in the folder, only {listed(held, 3)}: a pickle can run any "
            "code when it is opened, and was not opened. Where you trust it, make a folder that holds none: "
            f"{_way(auto_class)}"
        )


def refused(name: str, auto_class: str) -> str:
    """The same for a model of the Hub."""
    return (
        f"model.name {name!r}: the Hub has no safetensors of it, only pickles, which can run any code when they are "
        f"opened: none was. Where you trust it, make a folder that holds none: {_way(auto_class)}"
    )


def _way(auto_class: str) -> str:
    return (
        f"transformers.{auto_class}.from_pretrained(NAME, use_safetensors=False).save_pretrained(FOLDER), and its "
        "tokenizer or processor likewise"
    )


def check_config(config: Any, name: str, trust: dict[str, bool]) -> None:
    """Raise InputError for a config that would fetch compiled code from the Hub and run it."""
    if trust["trust_remote_code"]:
        return
    for key, value in _kernels(config):
        raise InputError(
            f"model.name {name!r}: its config asks for {key.strip('_')} {value!r}, compiled code from the Hub; take "
            "the line out of config.json, or type model.trust_remote_code=true, which lets this model run any code"
        )


def _kernels(config: Any) -> Iterator[tuple[str, str]]:
    parts = [config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", None) or {})]
    for part in parts:
        for key in ATTENTION:
            value = getattr(part, key, None)
            for one in value.values() if isinstance(value, dict) else [value]:
                if isinstance(one, str) and "/" in one:
                    yield key, one


def tensors(path: Path) -> Any:
    """What a file of torch holds, if that is tensors and plain values. Raises InputError otherwise; nothing is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own words on files that it refuses right after
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path.name}: no plain weights: the file is damaged, or a pickle that asks for code to be run "
            f"({references.short(error)[:120]}). Nothing of it was run; hfft takes tensors alone"
        ) from error
    except Exception as error:  # damaged bytes make unpicklers raise nearly anything
        raise InputError(
            f"{path.name}: the weights are damaged or of another kind: {references.short(error)}"
        ) from error
