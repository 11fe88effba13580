"""An exported model as a function from the processor's arrays to logits, with no torch and no transformers.

In: a folder that `hfft export` wrote. Out: a `Session`. It must not know how inputs are made or what answers mean.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hfft.errors import InputError

ONNX, OPENVINO, LITERT = "model.onnx", "openvino_model.xml", "model.tflite"
EXTRAS = {"onnx": "export", "onnxruntime": "export", "onnxscript": "export", "openvino": "openvino"}
EXTRAS |= {"litert_torch": "litert", "ai_edge_litert": "litert"}
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Session:
    """inputs: names of the arrays it takes, in the file's order; others are left aside. machine: what computes.

    run: arrays of one batch, (n, …) each, of any n and, of texts, of any length → logits, float32 (n, classes), or of
    masks (n, classes, h, w) at the model's own size.
    """

    inputs: tuple[str, ...]
    run: Callable[[Arrays], np.ndarray]
    machine: str


def load(folder: Path, threads: int | None = None) -> Session:
    """The exported model in `folder`. threads: as many as the library takes by itself where None.

    Raises InputError where there is no exported model, where its file is damaged, or where its library is missing.
    """
    found = next((name for name in OPENERS if (folder / name).is_file()), None)
    if found is None:
        run, kind = folder.parent.parent, folder.name
        raise InputError(f"{folder} holds no exported model: type `hfft export {run} --format {kind}` first")
    return OPENERS[found](folder / found, threads)


def imported(name: str) -> Any:
    """The module `name`. Raises InputError that names hfft's extra where it is not installed."""
    if name == "openvino":  # which has a stand-in for what would tell Google Analytics of each use
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise InputError(
            f"{error.name} is not installed, and exported models need it: pip install 'hfft[{EXTRAS[error.name]}]'"
        ) from error


def _onnx(path: Path, threads: int | None) -> Session:
    onnxruntime = imported("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings about constants that the exporter left are nothing to act upon
    if threads:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own kinds, of which each names something else
        raise _damaged(path, error) from error
    types = {part.name: _dtype(part.type) for part in session.get_inputs()}

    def run(arrays: Arrays) -> np.ndarray:
        found = session.run(None, _taken(arrays, types))[0]
        return np.asarray(found, dtype=np.float32)

    return Session(tuple(types), run, f"onnxruntime {onnxruntime.__version__}")


def _openvino(path: Path, threads: int | None) -> Session:
    openvino = imported("openvino")
    core = openvino.Core()
    # Its own choice is bfloat16 where the processor has it, which moves logits by more than parity allows.
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    options |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
    try:
        compiled = core.compile_model(str(path), "CPU", options)
    except RuntimeError as error:
        raise _damaged(path, error) from error
    types = {part.get_any_name(): part.element_type.to_dtype() for part in compiled.inputs}

    def run(arrays: Arrays) -> np.ndarray:
        found = compiled(_taken(arrays, types))[compiled.output(0)]
        return np.array(found, dtype=np.float32)

    return Session(tuple(types), run, f"openvino {openvino.__version__.partition('-')[0]}")


def _litert(path: Path, threads: int | None) -> Session:
    """The file takes one row of one length: rows go in one after the other, texts padded where nothing attends."""
    made = imported("ai_edge_litert.interpreter").Interpreter
    try:
        interpreter = made(model_path=str(path), num_threads=threads)
        runner = interpreter.get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error
    inputs = runner.get_input_details()
    types = {name: np.dtype(part["dtype"]) for name, part in inputs.items()}
    length = None if "pixel_values" in inputs else int(next(iter(inputs.values()))["shape"][1])

    def run(arrays: Arrays) -> np.ndarray:
        taken, found = _taken(arrays, types), []
        for row in range(len(next(iter(taken.values())))):
            one = {name: array[row : row + 1] for name, array in taken.items()}
            given = one if length is None else {name: _filled(array, length) for name, array in one.items()}
            found.append(next(iter(runner(**given).values())))
        return np.concatenate(found).astype(np.float32)

    version = importlib.metadata.version("ai-edge-litert")
    return Session(tuple(types), run, f"ai-edge-litert {version}")


def _filled(array: np.ndarray, length: int) -> np.ndarray:
    """A row (1, tokens) at the one length a file takes. Raises InputError for a longer one."""
    if array.shape[1] > length:
        raise InputError(f"this export takes texts of at most {length} tokens, and one has {array.shape[1]}")
    return np.pad(array, ((0, 0), (0, length - array.shape[1])))


def _taken(arrays: Arrays, types: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays a model takes, in its own number format. Raises InputError that names one that is missing."""
    if missing := [name for name in types if name not in arrays]:
        raise InputError(f"the exported model takes {', '.join(types)}, and {missing[0]} is not there")
    return {name: np.ascontiguousarray(arrays[name], dtype=kind) for name, kind in types.items()}


def _dtype(name: str) -> np.dtype[Any]:
    """What onnxruntime calls tensor(int64), for numpy."""
    return np.dtype({"tensor(float)": "float32"}.get(name, name.removeprefix("tensor(").removesuffix(")")))


def _damaged(path: Path, error: Exception) -> InputError:
    why = " ".join(str(error).split())[:200]
    return InputError(f"{path} cannot be read ({why}): export it again with --overwrite")


OPENERS = {ONNX: _onnx, OPENVINO: _openvino, LITERT: _litert}
