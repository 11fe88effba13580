"""An ONNX file whose weights and products are whole numbers of 8 bits, by onnxruntime's quantiser.

In: an ONNX file in float32 and, for convolutions, batches to learn their ranges from. Out: a smaller file, and how it
was made. Whether it answers as well is not known here. No torch, no transformers.

Matrix products take their inputs' range from each batch (dynamic): what transformers are made of. Convolutions have it
fixed from batches seen before (static), because measuring it each time costs more than they save.
"""

from __future__ import annotations

import contextlib
import logging
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hfft import scratch, sessions

DYNAMIC, STATIC = "dynamic", "static"
PRODUCTS = ["MatMul", "Gemm"]
TABLES = ["Gather"]  # embeddings: most of a small model's bytes, and in 8 bits as near (docs/export.md)
EXACT = ("vnni", "amx_int8")  # flags of processors whose 8-bit products cannot overflow


def fitting(path: Path) -> str:
    """Which way fits the file: static where most of its weights are those of convolutions."""
    graph = sessions.imported("onnx").load(str(path), load_external_data=False).graph
    sizes = {part.name: int(np.prod(part.dims)) for part in graph.initializer}
    weights = {
        kinds: sum(sizes.get(name, 0) for node in graph.node if node.op_type in kinds for name in node.input)
        for kinds in (("Conv",), tuple(PRODUCTS))
    }
    return STATIC if weights[("Conv",)] > weights[tuple(PRODUCTS)] else DYNAMIC


def quantise(source: Path, target: Path, batches: Iterable[Mapping[str, np.ndarray]] | None) -> dict[str, Any]:
    """Write `target`, static with `batches` of the session's arrays, else dynamic; {"how", "reduce_range", "kinds"}."""
    quantization = sessions.imported("onnxruntime.quantization")
    reduce_range = overflows()
    options = {"per_channel": True, "reduce_range": reduce_range, "weight_type": quantization.QuantType.QInt8}
    with scratch.folder("int8", target.parent) as room, _quiet():
        ready = room / "ready.onnx"
        quantization.quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        if batches is None:
            quantization.quantize_dynamic(str(ready), str(target), op_types_to_quantize=[*PRODUCTS, *TABLES], **options)
        else:
            reader = _reader(quantization, batches)
            quantization.quantize_static(
                str(ready), str(target), reader, quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv", *PRODUCTS], activation_type=quantization.QuantType.QUInt8, **options,
            )  # fmt: skip
    if batches is None:
        return {"how": DYNAMIC, "reduce_range": reduce_range, "kinds": [*PRODUCTS, *TABLES]}
    return {"how": STATIC, "reduce_range": reduce_range, "kinds": ["Conv", *PRODUCTS]}


def overflows() -> bool:
    """Whether this processor adds pairs of 8-bit products in 16 bits, which may overflow: weights then get 7 bits.

    x86 without VNNI or AMX does; what is written there is right on every machine.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True  # not known: the careful way
    return not any(flag in flags for flag in EXACT)


def _reader(quantization: Any, batches: Iterable[Mapping[str, np.ndarray]]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """Batches, one at a time."""

        def __init__(self) -> None:
            self.batches: Iterator[Mapping[str, np.ndarray]] = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            found = next(self.batches, None)
            return None if found is None else dict(found)

    return Reader()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within it onnxruntime's quantiser, which logs through the root logger, gives no advice."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
