"""Where the model of a recipe is, and what keeps it from being read, as one sentence.

In: `Model`, and errors of transformers, torch and the Hub. Out: a path or a name of the Hub, and InputError. It must
not know what a model is made into.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import transformers
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, StrictDataclassError
from safetensors import SafetensorError

from hfft import model_files, reaching, references
from hfft.errors import InputError
from hfft.recipe import Model

TIMM = "timm/"
# What transformers and torch raise for a model that does not fit the task, and for damaged or foreign weights.
DOES_NOT_FIT = (KeyError, TypeError, ValueError, AttributeError, ImportError, StrictDataclassError)
DAMAGED = (SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError)


def located(spec: Model, modality: ModuleType) -> tuple[str, bool]:
    """(where the model is, whether that is a bare state dict); InputError for an image model in a text task."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    path = references.resolve(spec.name)
    bare = Path(path).suffix in (".pth", ".pt", ".bin")
    if references.is_file(path) and not (bare and modality.PROCESSOR == "AutoImageProcessor"):
        raise InputError(
            f"model.name {spec.name!r} is one file, and was not opened: a pickle could run any code. Expected a folder "
            "with config.json and model.safetensors, as save_pretrained makes it, or a name of the Hub"
        )
    if (bare or path.startswith(TIMM)) and modality.PROCESSOR != "AutoImageProcessor":
        raise InputError(f"model.name {spec.name!r} is an image model; this task needs a text model")
    if spec.pretrained or not path.startswith(TIMM):
        _ask(path)
    return path, bare


def _ask(path: str) -> None:
    """Go offline, for what the Hub would have to be asked about, where it does not answer."""
    if not path.startswith((".", "/", "~")) and not references.is_file(path) and not references.is_folder(path):
        reaching.why()


@contextlib.contextmanager
def explained(spec: Model, path: str, modality: ModuleType) -> Iterator[None]:
    """What cannot be had or read becomes one sentence."""
    try:
        yield
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        if "use_safetensors=True" in str(error):  # which transformers asks to leave out
            raise InputError(model_files.refused(spec.name, modality.AUTO_CLASS)) from error
        why = "" if references.is_folder(path) else reaching.why()
        raise InputError(references.unreachable(spec.name, path, error, why)) from error
    except DAMAGED as error:
        raise InputError(
            f"model.name {spec.name!r}: the weights are damaged or of another kind: {references.short(error)}"
        ) from error


@contextlib.contextmanager
def fitting(spec: Model) -> Iterator[None]:
    """What does not fit the task becomes one sentence."""
    try:
        yield
    except DOES_NOT_FIT as error:
        raise InputError(f"model.name {spec.name!r} cannot be used for this task: {references.short(error)}") from error
