"""What a person watches while many runs follow one another: which it is, the best so far, the time left.

In: how many there will be, and the score of each. Out: sentences, and the head of the line that progress.py draws.
Nothing here changes what is trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from hfft.agreeing import first
from hfft.records import less_is_better

HEAD: ContextVar[str] = ContextVar("head", default="")  # what the line of a training begins with


@dataclass
class Step:
    """One of many. value: its score, set when it is known. passed: it was not finished, on purpose."""

    name: str
    value: float | None = None
    passed: bool = False


@dataclass
class Milestones:
    """The steps of long work. unit: "fold", "trial". total: how many, None if only time ends it. metric: of the scores,
    None until it is known. say: is told a sentence when a step begins, on the first process of a launch. until:
    `time.perf_counter()` at which the work ends whatever is done, None for never. mean: of steps that do not compete,
    such as folds, the mean so far is told, and not the best.
    """

    unit: str
    total: int | None
    metric: str | None
    say: Callable[[str], None]
    until: float | None = None
    mean: bool = False
    steps: list[Step] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def skipped(self, name: str, value: float | None = None) -> None:
        """Step `name` is there already."""
        self.steps.append(Step(name, value))
        self._say(f"{self._place(len(self.steps))}: {name} is there already, passed over")

    def known(self, name: str, value: float | None) -> None:
        """The same without a word, where there may be many of them."""
        self.steps.append(Step(name, value, value is None))

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Around one step: its head is the line's while it lasts. What it raises goes on."""
        made, began = Step(name), time.perf_counter()
        self.steps.append(made)
        head = " · ".join(part for part in (HEAD.get(), self.head) if part)
        self._say(head)
        token = HEAD.set(head)
        try:
            yield made
        except BaseException:
            self.steps.remove(made)
            raise
        finally:
            HEAD.reset(token)
        self.spent.append(time.perf_counter() - began)

    @property
    def best(self) -> Step | None:
        """The step with the best score so far; of equals the first."""
        scored = [step for step in self.steps if step.value is not None and not step.passed]
        sign = -1 if self.metric and less_is_better(self.metric) else 1
        return max(scored, key=lambda step: sign * (step.value or 0.0), default=None)

    @property
    def head(self) -> str:
        """ "fold 3 of 5 · best f1_macro 0.9120 (fold-1) · about 4 min left": of the step that has begun."""
        parts = [self._place(len(self.steps))]
        if (best := self.best) is not None and self.mean:
            known = [step.value for step in self.steps if step.value is not None]
            parts.append(f"mean {self.metric} {sum(known) / len(known):.4f}")
        elif best is not None:
            parts.append(f"best {self.metric} {best.value:.4f} ({best.name})")
        if (left := self.left) is not None:
            parts.append(f"about {lasting(left)} left")
        return " · ".join(parts)

    @property
    def left(self) -> float | None:
        """Seconds to the end from the mean of the steps so far; None before one is done."""
        ends = []
        if self.total is not None and self.spent:
            ends.append((self.total - len(self.steps) + 1) * sum(self.spent) / len(self.spent))
        if self.until is not None:
            ends.append(max(self.until - time.perf_counter(), 0.0))
        return min(ends, default=None)

    def stopped(self) -> str:
        """What is told where Ctrl-C ended it."""
        done = [step for step in self.steps if step.value is not None]
        many = f" of {self.total}" if self.total is not None else ""
        return f"Stopped after {len(done)}{many} {self.unit}s: what is said here is of these; --resume goes on."

    def _place(self, number: int) -> str:
        return f"{self.unit} {number}" + (f" of {self.total}" if self.total is not None else "")

    def _say(self, sentence: str) -> None:
        if first():
            self.say(sentence)


def lasting(seconds: float) -> str:
    """
    >>> lasting(42.3), lasting(250), lasting(9000)
    ('42 s', '4 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
