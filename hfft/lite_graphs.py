"""A model as a LiteRT (TensorFlow Lite) file: one row of one size in, its logits out.

In: a model in memory and the arrays of a row. Out: a file. The converter takes no free number of rows, so what reads
the file (`sessions.py`) gives it one row after the other, texts padded to the one length.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hfft import sessions
from hfft.errors import InputError
from hfft.references import short


class Named(torch.nn.Module):
    """A model that gives its logits alone; the file's inputs are called as the arrays are."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, **arrays: torch.Tensor) -> torch.Tensor:
        return self.model(**arrays).logits  # type: ignore[no-any-return]


def write(model: Any, arrays: Mapping[str, torch.Tensor], path: Path, length: int | None) -> None:
    """Write `path` for one row, of texts of `length` tokens. Raises InputError where the model cannot be converted."""
    litert = sessions.imported("litert_torch")
    row = {name: tensor[:1] for name, tensor in arrays.items()}
    if length:
        row = {
            name: torch.nn.functional.pad(part[:, :length], (0, max(0, length - part.shape[1])))
            for name, part in row.items()
        }
    try:
        # The converter prints its steps where facts in JSON may go.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            litert.convert(Named(model).eval(), sample_kwargs=row).export(str(path))
    except (OSError, MemoryError):  # of the machine, and not of the model
        raise
    except Exception as error:  # whatever a model's own code trips over on the way
        raise InputError(
            f"this model ({model.config.model_type}) cannot be written for LiteRT ({type(error).__name__}: "
            f"{short(error)}); --format onnx takes more kinds of models"
        ) from error
