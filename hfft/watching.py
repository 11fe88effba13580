"""A training that is watched from outside: its validation scores are told as they come, and it can be ended early.

In: the callbacks of `Trainer`. Out: calls of what a search hands in, and the two ways out. It must not know a search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback

from hfft.agreeing import agreed

OUTSIDE: ContextVar[tuple[Watch, ...]] = ContextVar("outside", default=())  # of every training that begins


class Unpromising(Exception):  # noqa: N818  # no error: a search thought better of it
    """Raised out of a training that is not worth its time."""


class OutOfTime(Exception):  # noqa: N818
    """Raised out of a training when the time of the whole is over."""


@dataclass
class Watch(TrainerCallback):
    """tell: is given (the metric's value, percent of the training that is done) after each validation, on the first
    process, and says whether the training is to end. until: `time.perf_counter()` at which it ends anyhow, or None.

    metric: as the validation names it, without eval_.
    """

    metric: str
    tell: Callable[[float, int], bool]
    until: float | None = None
    said: str | None = None  # of callbacks that end a training with a sentence

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        value = (metrics or {}).get(f"eval_{self.metric}")
        share = round(100 * state.global_step / max(state.max_steps, 1))
        if value is not None and share < 100 and agreed(lambda: self.tell(float(value), share)):
            raise Unpromising

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.until is not None and agreed(self._over):
            raise OutOfTime

    def _over(self) -> bool:
        return self.until is not None and time.perf_counter() > self.until


@contextmanager
def watched(*watches: Watch) -> Iterator[None]:
    """Every training inside is watched."""
    token = OUTSIDE.set(watches)
    try:
        yield
    finally:
        OUTSIDE.reset(token)
