"""What computes logits for prediction: torch, or a file that `hfft export` made.

In: a run folder and an engine's name. Out: engines, one, or one for each fold. It must not know inputs or answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from hfft import environment, forwarding, sessions, trainer_options
from hfft.errors import InputError, listed, meant
from hfft.forwarding import Engine
from hfft.recipe import Recipe
from hfft.records import read_json
from hfft.run_folder import EXPORT_FACTS, RunFolder

if TYPE_CHECKING:  # an exported file is answered with no torch, whose import is most of a start
    from hfft.backbones import Backbone

TORCH = "torch"
EXPORTED = ("onnx", "onnx-int8", "openvino")  # folders of a run's exports/
NAMES = (TORCH, *EXPORTED)
ROUNDED = "onnx-int8"
MULTI_LABEL = "multi_label_classification"
PICTURES = {"cpu": 8}  # of a batch, where nobody says
MANY = 64  # of a batch elsewhere: an accelerator with few at once waits for the next


@dataclass(frozen=True)
class Torch:
    """A saved model on the fastest device there is. half: what it computes in where the recipe's `train` says so."""

    part: Backbone
    device: Any
    half: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        from hfft.backbones import class_order

        return class_order(self.part.model)

    @property
    def several(self) -> bool:
        from hfft.backbones import several

        return several(self.part.model)

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.part.processor.model_input_names)

    @property
    def processor(self) -> Any:
        return self.part.processor

    @property
    def workers(self) -> int:
        return workers() if self.device.type == "cpu" else 1

    @property
    def tokens(self) -> int:
        return 2048 if self.device.type == "cpu" else 32768

    @property
    def pictures(self) -> int:
        return PICTURES.get(self.device.type, MANY)

    def each_alone(self) -> contextlib.AbstractContextManager[None]:
        return forwarding.on_threads(1)  # batches beside one another are faster than threads in one

    def run(self, arrays: Mapping[str, Any]) -> np.ndarray:
        """Logits, float32 (n, classes)."""
        import torch

        given = {name: torch.as_tensor(array).to(self.device) for name, array in arrays.items()}
        with torch.inference_mode(), torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            found = self.part.model(**given)
        return found[0 if "logits" not in found else "logits"].float().cpu().numpy()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Exported:
    """A session of an exported file, with what lies beside it."""

    session: Any
    processor: Any
    names: tuple[str, ...]
    several: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.session.inputs)

    @property
    def workers(self) -> int:
        return workers()

    @property
    def tokens(self) -> int:
        return 1024

    @property
    def pictures(self) -> int:
        return PICTURES["cpu"]

    @contextlib.contextmanager
    def each_alone(self) -> Iterator[None]:
        """Sessions are opened with one thread."""
        yield

    def run(self, arrays: Mapping[str, Any]) -> np.ndarray:
        """Logits, float32 (n, classes)."""
        return self.session.run({name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[no-any-return]


def workers() -> int:
    """Batches that are computed beside one another: one for each core that this process has."""
    return environment.own_cores()


def known(name: str) -> str:
    """The same. Raises InputError for an engine that there is not."""
    if name not in NAMES:
        raise InputError(f"--engine: no {name!r}{meant(name, NAMES)}; known: {listed(NAMES)}")
    return name


def load(
    folder: RunFolder, wanted: Recipe, modality: ModuleType, engine: str = TORCH, fast: bool = False
) -> list[Engine]:
    """The engine of a run, or one for each of its folds. Raises InputError where there is none.

    fast: what answers and does nothing else; of such a model no gradients can be had.
    """
    if known(engine) != TORCH:
        return [_exported(run, modality, engine) for run in folder.members or [folder]]
    import torch

    from hfft import packed_linear

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    device = found or torch.device("cpu")
    if device.type == "cpu":  # launchers start workers with one thread each, whatever the machine has
        torch.set_num_threads(workers())
    chosen = trainer_options.resolved(wanted.train, wanted.adapt.average)
    half = torch.bfloat16 if chosen.get("bf16") else torch.float16 if chosen.get("fp16") else None
    if folder.members:
        from hfft import ensembling

        parts = ensembling.reload(folder, modality).parts
    else:
        from hfft import backbones

        parts = (backbones.reload(folder.model, modality),)
    for part in parts:
        part.model.eval().to(device)
        if fast and device.type == "cpu" and half is None and not modality.MASKS:
            packed_linear.pack(part.model)
    return [Torch(part, device, half) for part in parts]


def notes(folder: RunFolder, engine: str) -> list[str]:
    """What to say of an engine's answers: an export kept although it failed its own test, calibration of another."""
    places = [run.export(engine) / EXPORT_FACTS for run in folder.members or [folder]] if engine != TORCH else []
    facts = [(path, read_json(path)) for path in places if path.is_file()]
    found = [f"{path.parent} was kept untested: {made['why']}" for path, made in facts if made.get("exit_code")]
    if engine == ROUNDED and folder.answering(engine) is folder:
        found.append(
            "temperature, `sure` and sets are fitted to the float model's probabilities; those in 8 bits differ a "
            "little, and how well the promises hold for them is not measured"
        )
    return found


def as_backbone(engine: Any, config: Any = None) -> Any:
    """An engine as what asks a `Backbone`'s model for the logits of pictures. config: of the model, for its classes."""
    if isinstance(engine, Torch):
        return engine.part
    from hfft.serving import Served

    return SimpleNamespace(model=Served(engine, config), processor=engine.processor)


def _exported(folder: RunFolder, modality: ModuleType, engine: str) -> Engine:
    place = folder.export(engine)
    if not (place / "config.json").is_file():
        raise InputError(f"{folder.root} has no {engine} export; type hfft export {folder.root} --format {engine}")
    return exported(place, modality)


def exported(place: Path, modality: ModuleType) -> Engine:
    """The exported file in a folder that holds its config.json and processor, too."""
    config = read_json(place / "config.json")
    ids = config.get("id2label") or dict(enumerate(config["label_names"]))  # as models of timm have them
    names = tuple(str(ids[key]) for key in sorted(ids, key=int))
    made = sessions.load(place, threads=1)
    return Exported(made, _processor(place, modality, made.inputs), names, config.get("problem_type") == MULTI_LABEL)


def _processor(place: Path, modality: ModuleType, inputs: tuple[str, ...]) -> Any:
    """What makes a file's inputs. Of texts the tokenizer's own file under a class of no model: without torch."""
    import transformers

    if modality.PROCESSOR == "AutoTokenizer" and (place / "tokenizer.json").is_file():
        kind: Any = transformers.PreTrainedTokenizerFast
        return kind.from_pretrained(str(place), model_input_names=list(inputs), trust_remote_code=False)
    return getattr(transformers, modality.PROCESSOR).from_pretrained(str(place), trust_remote_code=False)
