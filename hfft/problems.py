"""Attempts that may fail without ending what comes after them: each failure becomes a `Problem` with its fix.

In: a function to try. Out: what it returned, or one more problem in the list. It must not know what is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from hfft import mishaps
from hfft.errors import InputError, full
from hfft.recipe import Recipe
from hfft.records import SplitReport
from hfft.run_folder import RunFolder

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """step: what was being rehearsed. what: what came and what was expected. fix: what to type or do."""

    step: str
    what: str
    fix: str


@dataclass(frozen=True)
class Trial:
    """What a rehearsal works on, and what it has found so far.

    chosen: the training options with hfft's defaults. folder: where it may write. split: what was dealt where, for the
    page. problems, notes: grow on the way.
    """

    wanted: Recipe
    chosen: dict[str, Any]
    labels: tuple[str, ...]
    modality: ModuleType
    folder: RunFolder
    split: SplitReport | None = None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, step: str, fix: str, action: Callable[[], T]) -> T | None:
        """What `action` returns, or None and one more problem, or several where its message has several lines."""
        try:
            return action()
        except InputError as error:
            lines = [line.strip() for line in str(error).splitlines()]
            self.problems.extend(Problem(step, line.removeprefix(f"{step}: "), fix) for line in lines if line)
        except Exception as error:  # whatever a library raises here would end the real run: it is told, not swallowed
            self.problems.append(Problem(step, told(error), _remedy(error, self.chosen) or fix))
        return None


def told(error: Exception) -> str:
    """The last line of a library's complaint, with its kind and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace is not None else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 300 else text[:297] + '…'}{where}"


def _remedy(error: Exception, chosen: dict[str, Any]) -> str | None:
    """What to type against errors that everybody meets."""
    if mishaps.out_of_memory(error):
        size = int(chosen["per_device_train_batch_size"])
        half, times = max(size // 2, 1), 2 * int(chosen.get("gradient_accumulation_steps", 1))
        return (
            f"memory ran out; type train.per_device_train_batch_size={half} train.gradient_accumulation_steps={times} "
            "(the same steps in less memory), or a smaller model.max_length or model.image_size"
        )
    if full(error):
        return "the disk is full; make room, or type --output-dir FOLDER for another disk"
    return None
