"""A model as an ONNX file: the processor's arrays in, logits out, any number of rows and, of texts, any length.

In: a model in memory and the arrays of a few rows. Out: a file. It must not know where rows come from, nor whether the
file is any good: that is measured afterwards.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hfft import sessions
from hfft.errors import InputError

OPSET = 20  # the first with GELU as one operation
ONE_FILE = 1_900_000_000  # bytes of weights: a single file may hold 2 GB
TEXT = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class Positional(torch.nn.Module):
    """A model that takes its arrays in one order and gives its logits alone: what an exported graph looks like."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, tuple(names)

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.names, arrays, strict=True))).logits  # type: ignore[no-any-return]


def write(model: Any, arrays: Mapping[str, Any], path: Path) -> None:
    """Trace `model`, on the CPU, and write `path`; weights of more than 2 GB lie beside it.

    arrays: tensors of two rows or more, of unpadded length three or more: a size of 1 would be taken for a constant.
    Raises InputError where torch cannot trace the model.
    """
    names = [name for name in (*TEXT, "pixel_values") if name in arrays]
    # Export gives every part of the wrapper the wrapper's mode back: eval, or dropout would be on afterwards.
    wrapper = Positional(model, names).eval()
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    axes = tuple({0: batch} if name == "pixel_values" else {0: batch, 1: length} for name in names)
    try:
        with _quiet():
            torch.onnx.export(
                wrapper, tuple(arrays[name] for name in names), str(path), input_names=names,
                output_names=["logits"], dynamic_shapes=(axes,), dynamo=True, opset_version=OPSET, optimize=True,
                external_data=size > ONE_FILE, verbose=False,
            )  # fmt: skip
        _cleared(path)
    except (OSError, MemoryError):  # of the machine, and not of the model
        raise
    except Exception as error:  # whatever a model's own code trips over on the way
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"this model ({model.config.model_type}) cannot be written as ONNX: torch cannot trace it "
            f"({type(error).__name__}: {why}); its model folder is still what transformers loads"
        ) from error


def _cleared(path: Path) -> None:
    """Without what the exporter notes for itself: lines of code, with the folders of this machine that they lie in."""
    onnx = sessions.imported("onnx")
    made = onnx.load(str(path), load_external_data=False)
    parts = [made, made.graph, *made.graph.node, *made.graph.input, *made.graph.output, *made.graph.value_info]
    parts += [*made.graph.initializer, *made.functions, *(node for one in made.functions for node in one.node)]
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.save(made, str(path))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter logs and warns about its own insides; what matters is measured afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def to_openvino(source: Path, target: Path) -> None:
    """An ONNX file as OpenVINO's .xml and .bin, in float32."""
    openvino = sessions.imported("openvino")
    # `convert_model` would do the same, and tell Google Analytics of it.
    openvino.save_model(openvino.Core().read_model(str(source)), str(target), compress_to_fp16=False)
