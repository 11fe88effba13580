"""A finished run as something that answers: its model, or its folds, loaded once; no Trainer, no table of rows.

In: a run folder and an engine's name. Out: an `Answerer`: raw probabilities, and answers by the run's own rule. It must
not know files of inputs. Logits are those of `hfft eval` to 1e-5; only the make-up of batches differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from hfft import (
    answer_rows,
    engines,
    environment,
    forwarding,
    recipe,
    rooms,
    tempering,
    trainer_options,
    unusable,
)
from hfft.answer_rows import Answer, Rule
from hfft.errors import InputError
from hfft.forwarding import Engine
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder

WINDOW = 4096  # texts that are tokenised and sorted together
DECODED = 128  # pictures that are held as pixels


@dataclass(frozen=True)
class Answerer:
    """rule: from probabilities to answers. parts: one engine, or one for each fold. calibrated: of what is told."""

    root: str
    wanted: Recipe
    modality: ModuleType
    parts: tuple[Engine, ...]
    rule: Rule
    calibrated: bool = True
    batch: int | None = None  # tokens of a batch of texts, or pictures of one

    @property
    def names(self) -> tuple[str, ...]:
        return self.parts[0].names

    @property
    def multi_label(self) -> bool:
        return self.parts[0].several

    @property
    def masks(self) -> bool:
        return bool(self.modality.MASKS)

    def raw(self, inputs: Sequence[Any]) -> np.ndarray:
        """The model's own probabilities, float32 (n, classes), in the order of `inputs`.

        inputs: texts or (text, text_pair) tuples; paths, bytes or PIL pictures. Raises InputError for others, for a
        text without a visible sign, and for a picture that cannot be read.
        """
        for place, row in enumerate(inputs if self.modality.INPUT == "text" else ()):
            text = row[0] if isinstance(row, (tuple, list)) and row else row
            if isinstance(text, str) and (why := unusable.why(text)):
                raise InputError(f"input {place + 1:,} of {len(inputs):,}: {why}")
        found, problems = self.attempted(inputs)
        if problems:
            raise InputError(problems[min(problems)])
        return found

    def attempted(self, inputs: Sequence[Any]) -> tuple[np.ndarray, dict[int, str]]:
        """(`raw` of the inputs that can be read, in their order; place → why, of those that cannot)."""
        if self.masks:
            raise InputError(f"{self.root} answers each pixel: in Python, hfft.load({self.root!r}).segment([...])")
        problems: dict[int, str] = {}
        texts = self.modality.INPUT == "text"
        each = self._of_texts(list(inputs)) if texts else self._of_pictures(list(inputs), problems)
        made = [np.concatenate(part) for part in zip(*each, strict=True)]
        parts = [tempering.of_logits(logits, self.multi_label) for logits in made]
        if len(parts) == 1:
            return parts[0], problems
        return np.mean([part.astype(np.float64) for part in parts], axis=0).astype(np.float32), problems

    def unreadable(self, inputs: Sequence[Any]) -> dict[int, str]:
        """Place → why, of pictures that cannot be decoded."""
        found = enumerate(image for images in _decoded(list(inputs)) for image in images)
        return {place: str(image) for place, image in found if isinstance(image, InputError)}

    def answers(self, inputs: Sequence[Any], calibrated: bool = True) -> list[Answer]:
        """An `Answer` to each input, in their order."""
        return self.rule.answers(self.raw(inputs), self.calibrated and calibrated)

    def ranked(self, inputs: Sequence[Any], calibrated: bool = True) -> list[dict[str, float]]:
        """class → probability of each input, the answer first, the others by likelihood."""
        return [answer.probabilities for answer in self.answers(inputs, calibrated)]

    def segment(self, inputs: Sequence[Any]) -> Iterator[np.ndarray]:
        """A class index for each pixel of each image, int16 (h, w), one image at a time."""
        if not self.masks:
            raise InputError(
                f"{self.root} gives each input a class: in Python, hfft.load({self.root!r}).predict([...])"
            )
        from hfft import picture_rows, segmenting

        args, rows = mask_arguments(self.parts[0], self.wanted), picture_rows.as_rows(list(inputs))
        for found in segmenting.answers(
            [engines.as_backbone(part) for part in self.parts], rows, self.wanted.model, args
        ):
            yield found.answer

    def _of_texts(self, inputs: list[Any]) -> Iterator[list[np.ndarray]]:
        modality: Any = self.modality
        columns = modality.as_columns(inputs)
        encoders = [modality.encoder(part.processor, self.wanted.model) for part in self.parts]
        for start in range(0, max(len(inputs), 1), WINDOW):
            some = {role: column[start : start + WINDOW] for role, column in columns.items()}
            yield [forwarding.of_texts(*each, some, self.batch) for each in zip(self.parts, encoders, strict=True)]

    def _of_pictures(self, inputs: list[Any], problems: dict[int, str]) -> Iterator[list[np.ndarray]]:
        """problems: gets place → why, of what cannot be decoded."""
        place = 0
        for images in _decoded(inputs):
            problems |= {place + i: str(image) for i, image in enumerate(images) if isinstance(image, InputError)}
            place += len(images)
            good = [image for image in images if not isinstance(image, InputError)]
            yield [forwarding.of_pictures(part, good, self.batch) for part in self.parts]


def mask_arguments(engine: Any, wanted: Recipe) -> Any:
    """What `segmenting` wants of TrainingArguments, for an engine on this process alone."""
    import torch

    half = getattr(engine, "half", None)
    chosen = trainer_options.resolved(wanted.train, wanted.adapt.average)
    return SimpleNamespace(
        device=getattr(engine, "device", torch.device("cpu")),
        per_device_eval_batch_size=chosen["per_device_eval_batch_size"],
        bf16=half is torch.bfloat16,
        fp16=half is torch.float16,
        process_index=0,
        world_size=1,
    )


def _decoded(inputs: list[Any]) -> Iterator[list[Any]]:
    """DECODED pictures at a time, as RGB, or as the InputError that one ended with; at least one list."""
    from hfft import picture_rows

    def tried(source: Any) -> Any:
        try:
            return picture_rows.decoded(picture_rows.sources([source])[0])
        except InputError as error:
            return error

    with ThreadPoolExecutor(environment.cores()) as pool:
        for start in range(0, max(len(inputs), 1), DECODED):
            yield list(pool.map(tried, inputs[start : start + DECODED]))


def load(
    run: str,
    engine: str = engines.TORCH,
    calibrated: bool = True,
    sets: str = answer_rows.SETS,
    batch: int | None = None,
    fast: bool = False,
) -> Answerer:
    """A finished run, or the folds of a cross-validation together, ready to answer. Raises InputError as loading does.

    engine: "torch", or an export of the run: "onnx", "onnx-int8", "openvino". calibrated: at the temperature of
    model/calibration.json, where the run has one (of 8 bits at theirs); no answer is another without. sets: the kind,
    lac, aps or lac_per_class. batch: tokens of a batch of texts, or pictures of one. fast: as in engines.load.
    """
    folder = RunFolder.existing(run, folds=True)
    wanted = recipe.load(str(folder.root))
    modality = rooms.find("modalities", wanted.task)
    parts = tuple(engines.load(folder, wanted, modality, engine, fast))
    names, several = parts[0].names, parts[0].several
    rule = (
        Rule(names, several)
        if modality.MASKS
        else answer_rows.read(folder.answering(engine), wanted, names, several, sets)
    )
    return Answerer(run, wanted, modality, parts, rule, calibrated, batch)
